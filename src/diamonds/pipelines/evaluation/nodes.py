"""Judging pricers on stones that none of them has learned from."""

from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from diamonds.attempts import Failure, succeeded
from diamonds.blocks import Blocks, Engine
from diamonds.datasets.champion import CurrentChampion
from diamonds.effects import importances
from diamonds.errors import ModelError
from diamonds.features import only_four_cs
from diamonds.metrics import CONFIDENCE, PairedGain, band_quality, errors, paired_gain, segments
from diamonds.pipelines.evaluation import blockwise
from diamonds.pricer import Pricer
from diamonds.schema import carat_bands, frame_hash, stone_keys

#: A carat band with fewer holdout stones than this cannot keep a challenger from winning.
FEWEST_STONES = 100
COMPARED = ("challenger", "champion")
#: More points than this make a figure slow to open and no clearer.
MOST_POINTS = 3000
#: Stones explained for a figure; more make it slower and hardly other.
MOST_EXPLAINED = 200
LOG_DOLLARS = {"type": "log", "tickvals": [200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000], "tickformat": "$,d"}


class Promotion(BaseModel, extra="forbid"):
    """When a challenger becomes champion.

    Attributes:
        metric: The error on the holdout that decides; less is better.
        min_gain: By how much it must be less than the champion's, as a fraction of that.
        sure: The share of bootstrap resamples of the holdout in which it must be.
        max_band_loss: By how much it may be more, as a fraction, in any carat band with enough stones.
        resamples: How many resamples are drawn.
        seed: Of the draws.
    """

    metric: Literal["mae", "rmse", "mape"]
    min_gain: float = Field(ge=0, lt=1)
    sure: float = Field(gt=0.5, lt=1)
    max_band_loss: float = Field(ge=0)
    resamples: int = Field(ge=100)
    seed: int


def evaluate(pricer: Pricer, holdout: pd.DataFrame | Blocks) -> tuple[dict[str, Any], pd.DataFrame | Blocks]:
    """The errors of a pricer and the quality of its band: overall, and by carat band, cut, color and clarity.

    Returns:
        The metrics, `four_cs` among them: as they are where nothing but weight and grades is given; and the quotes
        they are made from, a row for each holdout stone: `price`, `low`, `high`.

    Raises:
        ModelError: The model computes something that is no number.
    """
    if isinstance(holdout, Blocks):
        return blockwise.evaluate(pricer, holdout)
    quoted = pricer.price(holdout)
    if not np.isfinite(quoted.to_numpy()).all():
        raise ModelError(f"{pricer.name} {pricer.version} computes prices that are no numbers")
    by_segment: dict[str, dict[str, Any]] = {}
    for kind, name, members in segments(holdout):
        by_segment.setdefault(kind, {})[name] = {"stones": int(members.sum())} | _quality(
            holdout[members], quoted[members]
        )
    metrics = {
        "model": pricer.name,
        "version": pricer.version,
        "stones": len(holdout),
        "holdout": frame_hash(holdout),
        "overall": _quality(holdout, quoted),
        "four_cs": _quality(holdout, pricer.price(only_four_cs(holdout))),
        "segments": by_segment,
    }
    return metrics, quoted


def rank(promotion: Promotion, *metrics: dict[str, Any] | Failure) -> list[dict[str, Any]]:
    """The models of this run that could be trained and judged, the best first.

    Raises:
        ModelError: There is none, or they were not judged on the same holdout.
    """
    judged = succeeded(*metrics)
    if not judged:
        raise ModelError("no model could be trained and judged: see each model's error in `diamonds history`")
    if len({each["holdout"] for each in judged}) > 1:
        raise ModelError(
            "the models were not judged on the same holdout, so that they cannot be ranked: "
            + ", ".join(f"{each['model']} {each['version']} on {each['holdout'][:12]}" for each in judged)
            + "; `kedro run --pipelines=evaluation` judges all on the present one"
        )
    rows = [
        {"model": each["model"], "version": each["version"], "holdout": each["holdout"], **each["overall"]}
        for each in judged
    ]
    return sorted(rows, key=lambda row: float(row[promotion.metric]))


def judge(
    leaderboard: list[dict[str, Any]],
    holdout: pd.DataFrame | Blocks,
    champion: CurrentChampion | None,
    promotion: Promotion,
    engine: Engine = Engine(),  # noqa: B008 - it is never changed
    **quotes: pd.DataFrame | Blocks,
) -> dict[str, Any]:
    """Decide whether the best of this run replaces the champion, both judged on the same holdout.

    Stones that the champion has learned from, under another split, judge neither. Of stones in blocks, at most
    `engine.most_stones` judge.

    Args:
        leaderboard: The models of this run, the best first.
        holdout: The stones that judge.
        champion: The present champion, or None.
        promotion: The rule.
        engine: What does the work.
        quotes: What each model of this run quotes for the holdout, by `quotes_of(model)`.

    Returns:
        `promote`, the challenger's `model` and `version`, both errors, the gain with its interval, the `reason` in
        one sentence, and the entry of the champion it was judged against.

    Raises:
        ModelError: The best was judged on another holdout than this.
    """
    best = leaderboard[0]
    if best["holdout"] != frame_hash(holdout):
        raise ModelError(
            f"{best['model']} {best['version']} was judged on another holdout than the present one:"
            " `kedro run --pipelines=evaluation` judges it anew"
        )
    decision = {
        "model": best["model"],
        "version": best["version"],
        "metric": promotion.metric,
        "challenger": best[promotion.metric],
        "champion": None,
        "gain": None,
        "previous_id": champion.entry.promotion_id if champion else 0,
    }
    if champion is None or champion.pricer is None:
        return decision | _unopposed(_named(best["model"], promotion, best[promotion.metric]), champion)
    stones, quoted = _judges(holdout, quotes[quotes_of(best["model"])], engine, promotion)
    return decision | _opposed(best, stones, champion.pricer, promotion, quoted)


def _judges(
    holdout: pd.DataFrame | Blocks, quoted: pd.DataFrame | Blocks, engine: Engine, promotion: Promotion
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The stones that judge, and what the challenger quotes for them."""
    if isinstance(holdout, Blocks) and isinstance(quoted, Blocks):
        return blockwise.side_by_side(holdout, quoted, engine.most_stones, promotion.seed)
    if isinstance(holdout, pd.DataFrame) and isinstance(quoted, pd.DataFrame):
        return holdout, quoted
    raise ModelError(
        "the holdout and its quotes are of different engines: `kedro run --pipelines=evaluation` judges anew"
    )


def _unopposed(name: str, champion: CurrentChampion | None) -> dict[str, Any]:
    """The best becomes champion where there is none, or none that can be loaded."""
    if champion is None:
        return {"promote": True, "reason": f"{name} is the first champion"}
    return {"promote": True, "reason": f"{name} takes over: the champion cannot be loaded, {champion.problem}"}


def _opposed(
    best: dict[str, Any], holdout: pd.DataFrame, champion: Pricer, promotion: Promotion, quoted: pd.DataFrame
) -> dict[str, Any]:
    """What the stones say between the best and the champion, where enough of them are new to both."""
    unseen = ~_learned_from(champion, holdout)
    if unseen.sum() < min(FEWEST_STONES, len(holdout)):
        name = _named(best["model"], promotion, best[promotion.metric])
        return {"promote": False, "reason": f"{name} {_no_judges(champion, int(unseen.sum()))}"}
    judges = holdout[unseen]
    return _compare(best["model"], judges, _side_by_side(judges, quoted[unseen], champion), champion.name, promotion)


def _learned_from(pricer: Pricer, stones: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of the stones a pricer has learned from, a block of its own at a time."""
    keys, found = stone_keys(stones), np.zeros(len(stones), dtype=bool)
    for block in pricer.stones.blocks():
        found |= keys.isin(stone_keys(block)).to_numpy()
    return found


def _compare(
    model: str, holdout: pd.DataFrame, prices: pd.DataFrame, champion: str, promotion: Promotion
) -> dict[str, Any]:
    """Hold both errors on these stones against the rule; models go by their names."""
    ours, standing = (errors(prices["actual"], prices[each])[promotion.metric] for each in COMPARED)
    gain = paired_gain(
        prices,
        promotion.metric,
        more_than=promotion.min_gain,
        resamples=promotion.resamples,
        seed=promotion.seed,
    )
    lost = _worst_band(prices, holdout, promotion)
    compared = f"the champion {_named(champion, promotion, standing)}"
    verdict = _verdict(compared, gain, lost, len(holdout), promotion)
    return {
        "promote": gain.sureness >= promotion.sure and lost is None,
        "challenger": ours,
        "champion": standing,
        "gain": asdict(gain),
        "reason": f"{_named(model, promotion, ours)} {verdict}",
    }


def _named(model: str, promotion: Promotion, error: float) -> str:
    return f"{model} with {_shown(promotion.metric, error)}"


def quotes_of(model: str) -> str:
    """The name of a model's quotes among the arguments of `judge`."""
    return f"quotes_of_{model}"


def _side_by_side(holdout: pd.DataFrame, challenger: pd.DataFrame, champion: Pricer) -> pd.DataFrame:
    """What each holdout stone costs, and what the challenger and the champion quote for it, in dollars."""
    return pd.DataFrame(
        {
            "actual": holdout["price"],
            "challenger": challenger["price"],
            "champion": champion.price(holdout)["price"],
        }
    )


def _no_judges(champion: Pricer, stones: int) -> str:
    return (
        f"cannot be compared with the champion {champion.name}, which has learned from all but {stones} of the stones"
        " held out: the split has changed; `diamonds champion set` decides by hand"
    )


def _verdict(compared: str, gain: PairedGain, lost: str | None, stones: int, promotion: Promotion) -> str:
    """How the challenger did against the champion, in words: by how much, and what is held against it."""
    found = f"{gain.gain:+.2%} ({CONFIDENCE:.0%} interval {gain.low:+.2%} to {gain.high:+.2%})"
    if gain.sureness < promotion.sure:
        asked = f"more than {promotion.min_gain:.2%} in {promotion.sure:.0%} of resamples is asked for"
        return f"does not beat {compared} on the same {stones:,} stones: {found}, {asked}"
    if lost:
        return f"beats {compared} by {found} but {lost}, at most {promotion.max_band_loss:.0%} is let pass"
    return f"beats {compared} on the same {stones:,} stones: {found}"


def _worst_band(prices: pd.DataFrame, holdout: pd.DataFrame, promotion: Promotion) -> str | None:
    """Where the challenger is worse by more than is let pass: the worst carat band, in words; None if nowhere."""
    losses = {}
    for band, members in prices.groupby(carat_bands(holdout["carat"])):
        if len(members) >= FEWEST_STONES:
            ours, theirs = (errors(members["actual"], members[name])[promotion.metric] for name in COMPARED)
            losses[str(band)] = ours / theirs - 1 if theirs else float(ours > 0)
    worst = max(losses, key=lambda band: losses[band], default=None)
    if worst is None or losses[worst] <= promotion.max_band_loss:
        return None
    return f"is worse by {losses[worst]:.1%} for stones of {worst} ct"


def plot_actual_against_predicted(pricer: Pricer, holdout: pd.DataFrame | Blocks) -> go.Figure:
    """Predicted against actual prices of holdout stones, on logarithmic axes."""
    shown = _drawn(holdout, MOST_POINTS)
    predicted = pricer.price(shown)["price"]
    texts = [f"{carat:g} ct {cut}, {color}, {clarity}" for carat, cut, color, clarity in
             zip(shown["carat"], shown["cut"], shown["color"], shown["clarity"], strict=True)]  # fmt: skip
    ends = [float(shown["price"].min()), float(shown["price"].max())]
    figure = go.Figure(
        [
            go.Scattergl(
                x=shown["price"],
                y=predicted,
                text=texts,
                mode="markers",
                marker={"size": 4, "opacity": 0.35},
                name=pricer.name,
            ),
            go.Scatter(
                x=ends,
                y=ends,
                mode="lines",
                line={"dash": "dot", "color": "gray"},
                name="as it should be",
            ),
        ]
    )
    figure.update_layout(
        title=f"{pricer.name}: predicted against actual price of {len(shown):,} holdout stones",
        xaxis={"title": "actual price, USD", **LOG_DOLLARS},
        yaxis={"title": "predicted price, USD", **LOG_DOLLARS},
    )
    return figure


def plot_importances(pricer: Pricer, holdout: pd.DataFrame | Blocks) -> go.Figure:
    """How much each feature matters to the prices of holdout stones, as bars, the most on top."""
    shown = _drawn(holdout, MOST_EXPLAINED)
    found = importances(pricer.explain(shown))[::-1]
    figure = go.Figure(
        go.Bar(
            x=found["share"],
            y=found.index,
            customdata=found["usd"],
            text=found["share"].map("{:.1%}".format),
            hovertemplate="%{y}: %{x:.1%} of the price, $%{customdata:,.2f}<extra></extra>",
            orientation="h",
            textposition="outside",
            cliponaxis=False,
        )
    )
    figure.update_layout(
        title=f"{pricer.name}: mean effect on the price in percent, over {len(shown):,} holdout stones",
        xaxis={
            "title": "size of the effect, percent of the price",
            "tickformat": ".0%",
            "rangemode": "nonnegative",
        },
    )
    return figure


def plot_leaderboard(leaderboard: list[dict[str, Any]], promotion: Promotion) -> go.Figure:
    """The models' errors as bars, the best on top."""
    worst_first = leaderboard[::-1]
    values = [row[promotion.metric] for row in worst_first]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=[row["model"] for row in worst_first],
            text=[_shown(promotion.metric, value) for value in values],
            orientation="h",
            textposition="outside",
            cliponaxis=False,
        )
    )
    figure.update_layout(
        title="Leaderboard: error on the holdout, less is better",
        xaxis={"title": _axis(promotion.metric)},
    )
    return figure


def _drawn(stones: pd.DataFrame | Blocks, most: int) -> pd.DataFrame:
    """So many of the stones for a figure."""
    if isinstance(stones, Blocks):
        return stones.sample(most, seed=0)
    return stones.sample(min(most, len(stones)), random_state=0)


def _quality(stones: pd.DataFrame, quoted: pd.DataFrame) -> dict[str, float]:
    return errors(stones["price"], quoted["price"]) | band_quality(stones["price"], quoted["low"], quoted["high"])


def _shown(metric: str, value: float) -> str:
    return f"{metric.upper()} {value:.2%}" if metric == "mape" else f"{metric.upper()} ${value:,.2f}"


def _axis(metric: str) -> str:
    return "MAPE, share of the price" if metric == "mape" else f"{metric.upper()}, USD"
