"""Part `prices`: how far off prices are from a feed of stones whose market rises, and what the market index gives.

The stones are the project's own, in orders of chance. The champions are trained once, before the feed begins.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.traffic.findings import Findings
from diamonds import models
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer import Pricer, TrainingSummary
from diamonds.schema import FEATURES, contradictions
from diamonds.stones import SortedStones
from diamonds.streams.learners.market_index import MarketIndex, Params
from diamonds.streams.learners.price import PriceModel
from diamonds.streams.science.level import Level
from diamonds.streams.science.stones import features_of

STONES = Path(__file__).parents[2] / "data/01_raw/appraisals/diamonds.csv"
#: Stones that champions are trained on, those of a feed, and those of them that are not judged where a model is new.
TRAINED_ON, STREAM, NEW = 5000, 5000, 1000
#: The stone from which on prices rise by 1 % in 100 stones, or jump by 15 %.
MOVES_AT, RISE, JUMP = 2000, log(1.01) / 100, log(1.15)
#: Rows of a page, after each of which a service could learn of another index.
PAGE = 10
#: Of a champion of trees: enough for what is asked here.
FEWER_TREES = {"n_estimators": 200, "learning_rate": 0.1, "n_jobs": 1}

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Errors:
    """How far prices were off, as shares of the true ones: over all stones, the mean at the end, just after a jump."""

    mape: float
    bias_of_the_last_500: float
    mape_of_100_after_the_move: float

    @classmethod
    def of(cls, relative: Sequence[float], move: int) -> "Errors":
        """Of the errors one by one; the market moves at the place `move`."""
        off = np.abs(relative)
        return cls(float(off.mean()), float(np.mean(relative[-500:])), float(off[move : move + 100].mean()))


def measure(*, quick: bool) -> Findings:
    """Compare streaming models with those that stay, and champions with the index and without."""
    findings = Findings("prices")
    feeds = [_feed(seed) for seed in range(1 if quick else 3)]
    _compare_models([stream for _, stream in feeds], findings)
    for name, params in (("linear", {}), ("xgboost", FEWER_TREES)):
        _compare_champions(name, params, feeds, findings)
    _count_false_alarms(40 if quick else 400, findings)
    _time_and_check(feeds[0][1], findings)
    wrong = [f"{each.what} is {each.value:g} {each.unit}" for each in findings.figures if each.is_reached is False]
    findings.blame("bars", [each for each in wrong if "µs" not in each])
    return findings


def _feed(seed: int) -> tuple[pd.DataFrame, Rows]:
    """Stones to train a champion on, and others as a feed gives them."""
    stones = pd.read_csv(STONES).astype({"price": float}).drop_duplicates()
    stones = stones[(stones[["x", "y", "z"]] > 0).all(axis=1)]
    stones = stones[~contradictions(stones).any(axis=1)].sample(TRAINED_ON + STREAM, random_state=seed)
    streamed: list[dict[Any, Any]] = stones[TRAINED_ON:].to_dict("records")
    return stones[:TRAINED_ON].reset_index(drop=True), streamed


#: What the market does, in log dollars by the place of a stone.
MARKETS: dict[str, Callable[[int], float]] = {
    "stands still": lambda place: 0.0,  # noqa: ARG005
    "rises": lambda place: RISE * max(place - MOVES_AT, 0),
    "jumps": lambda place: JUMP * (place >= MOVES_AT),
}


def _moved(rows: Rows, market: str) -> Rows:
    by = MARKETS[market]
    return [row | {"price": row["price"] * exp(by(place))} for place, row in enumerate(rows)]


def _compare_models(streams: Sequence[Rows], findings: Findings) -> None:
    """The streaming model with walks and without, beside fits to batches, from the thousandth stone on."""
    ways: dict[str, Callable[[Rows], list[float]]] = {
        "fitted once, to 1,000 stones": lambda rows: _refitted(rows, every=len(rows)),
        "refitted to all, every 1,000": lambda rows: _refitted(rows, every=NEW),
        "streaming, no walk": lambda rows: _streamed(rows, 0.0),
        "streaming, walk 1e-6": lambda rows: _streamed(rows, 1e-6),
        "streaming, walk 1e-5": lambda rows: _streamed(rows, 1e-5),
        "streaming, walk 1e-4": lambda rows: _streamed(rows, 1e-4),
    }
    found = {}
    findings.remarks += ["", _heading("log-price model")]
    for name, way in ways.items():
        print(name, file=sys.stderr)
        found[name] = {
            market: _mean(Errors.of(way(_moved(rows, market)), MOVES_AT - NEW) for rows in streams)
            for market in MARKETS
        }
        findings.remarks.append(_line(name, found[name]))
    walking, standing = found["streaming, walk 1e-6"], found["streaming, no walk"]
    findings.add("streaming model, market stands still: MAPE", 100 * walking["stands still"].mape, "%", most=10.75)
    findings.add("and what its walk costs there", 100 * (walking["stands still"].mape - standing["stands still"].mape),
        "points", most=0.1)  # fmt: skip
    findings.add("and its bias at the end of a market that rises", 100 * walking["rises"].bias_of_the_last_500, "%",
        least=-2, most=2)  # fmt: skip


def _streamed(rows: Rows, walk: float) -> list[float]:
    """The relative errors of a model that learns each stone after it was priced."""
    model = PriceModel(walk)
    errors = []
    for place, row in enumerate(rows):
        if place >= NEW:
            errors.append(model.answer(row)["price"] / row["price"] - 1)
        model.learn(row)
    return errors


def _refitted(rows: Rows, every: int) -> list[float]:
    """The relative errors of least squares on the same features, fitted to all stones so far every so often."""
    described = np.array([features_of(row) for row in rows])
    log_prices = np.log([row["price"] for row in rows])
    errors: list[float] = []
    for begin in range(NEW, len(rows), every):
        told, *_ = np.linalg.lstsq(described[:begin], log_prices[:begin])
        stop = begin + every
        errors += np.expm1(described[begin:stop] @ told - log_prices[begin:stop]).tolist()
    return errors


def _compare_champions(
    name: str, params: dict[str, Any], feeds: Sequence[tuple[pd.DataFrame, Rows]], findings: Findings
) -> None:
    """A champion's prices as trained, with the index always, and with it where it is offered, as a service does."""
    print(name, file=sys.stderr)
    by_way: dict[str, dict[str, Errors]] = {"as trained": {}, "times the index": {}, "where offered": {}}
    champions = [(_champion(name, params, train), stream) for train, stream in feeds]
    for market in MARKETS:
        errors = [_indexed(champion, _moved(rows, market)) for champion, rows in champions]
        for way, of_each in zip(by_way, zip(*errors, strict=True), strict=True):
            by_way[way][market] = _mean(Errors.of(each, MOVES_AT) for each in of_each)
    findings.remarks += ["", _heading(f"champion: {name}")]
    findings.remarks += [_line(way, found) for way, found in by_way.items()]
    as_trained = by_way["as trained"]
    for way in ("times the index", "where offered"):
        found = by_way[way]
        left = found["rises"].mape - as_trained["stands still"].mape
        cost = found["stands still"].mape - as_trained["stands still"].mape
        findings.add(f"{name} {way}: MAPE that a rising market adds", 100 * left, "points", most=0.2)
        findings.add("and bias at its end", 100 * found["rises"].bias_of_the_last_500, "%", least=-2, most=2)
        findings.add("and what it costs where the market stands still", 100 * cost, "points", most=0.1)


def _champion(name: str, params: dict[str, Any], train: pd.DataFrame) -> Pricer:
    """A pricer of this model; its bands are of no matter here."""
    module = models.get(name)
    estimator = module.build(module.Params(**params)).fit(train[list(FEATURES)], train["price"])
    band = ConformalBand(0.9, {"any": (0.9, 1.1)})
    return Pricer(
        name,
        estimator,
        band,
        band,
        Proportions.of(train),
        TrainingSummary.of(train, {}, ""),
        SortedStones.of(train),
        "1",
    )


def _indexed(champion: Pricer, rows: Rows) -> tuple[list[float], list[float], list[float]]:
    """The relative errors without the index, with that of the stone before, and with what the page before offered."""
    learner = MarketIndex(Params())
    learner.follow(lambda: champion)
    without, always, offered, factor = [], [], [], 1.0
    for place, row in enumerate(rows):
        if place:
            answer = learner.answer(row)
            without.append(answer["champion_price"] / row["price"] - 1)
            always.append(answer["price"] / row["price"] - 1)
            offered.append(answer["champion_price"] * factor / row["price"] - 1)
        learner.learn(row)
        if place % PAGE == PAGE - 1:
            said = learner.report()["statistics"]
            factor = said["market_index"] if said["offered"] else 1.0
    return without, always, offered


#: How log prices may lie about a market that never moves: by generator and number of stones.
SCATTERED: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "sd 0.05": lambda random, rows: random.normal(0, 0.05, rows),
    "sd 0.1": lambda random, rows: random.normal(0, 0.1, rows),
    "sd 0.3": lambda random, rows: random.normal(0, 0.3, rows),
    "0.2 t3": lambda random, rows: 0.2 * random.standard_t(3, rows),
}


def _count_false_alarms(streams: int, findings: Findings) -> None:
    """How many streams of 5,000 stones ever show an interval without 1 after any stone, if nothing moves."""
    for name, scattered in SCATTERED.items():
        print(f"false alarms, {name}", file=sys.stderr)
        random = np.random.default_rng(1)
        wrong = sum(_ever_wrong(scattered(random, 5000).tolist()) for _ in range(streams))
        what = f"{name}: of {streams} streams without drift, interval ever without 1"
        findings.add(what, 100 * wrong / streams, "%", most=5)


def _ever_wrong(values: list[float]) -> bool:
    level = Level(Params().walk, Params().spread)
    for value in values:
        level.see(value)
        low, high = level.interval
        if not low <= 0 <= high:
            return True
    return False


def _time_and_check(rows: Rows, findings: Findings) -> None:
    """What a stone takes, and how near the coefficients are to those of a batch fit where nothing walks."""
    model = PriceModel(0.0)
    gap = max(abs(each["streamed"] - each["batch"]) for each in _taught(model, rows).audit(iter(rows)))
    findings.add("coefficients, beside a batch fit: the greatest gap", gap * 1e9, "1e-9", most=1)
    walking = PriceModel(1e-6)
    began = time.process_time()
    _taught(walking, rows)
    taken = (time.process_time() - began) / len(rows)
    findings.add("price model: processor time to predict, score and learn a stone", 1e6 * taken, "µs", most=25)


def _taught(model: PriceModel, rows: Rows) -> PriceModel:
    for row in rows:
        model.learn(row)
    return model


def _mean(errors: Iterable[Errors]) -> Errors:
    """The mean over streams."""
    return Errors(*np.mean([astuple(each) for each in errors], axis=0).tolist())


def _heading(what: str) -> str:
    return f"{what:30}" + "".join(f"{market:>26}" for market in MARKETS)


def _line(name: str, found: dict[str, Errors]) -> str:
    """The mean error of all stones and the bias of the last 500; of a jump, the mean error of the 100 after it."""
    usual = [f"{each.mape:6.2%}, bias {each.bias_of_the_last_500:+6.1%}" for each in list(found.values())[:-1]]
    jump = f"{found['jumps'].mape_of_100_after_the_move:6.2%} of 100 after"
    return f"{name:30}" + "".join(f"{each:>26}" for each in [*usual, jump])
