"""How long it takes to price a stone: the estimator on a frame, its quick way, and a whole quote, side by side.

Trees are walked twice: by NumPy, and compiled where the installation could compile that.

Each model is fitted with its default parameters to four of five of the project's own stones.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import pandas as pd

from diamonds import models
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer import Pricer, TrainingSummary
from diamonds.schema import FEATURES, REQUIRED, contradictions
from diamonds.stones import SortedStones
from diamonds.walk import Walk

STONES = Path(__file__).parents[1] / "data/01_raw/appraisals/diamonds.csv"
ASKED, MANY, REPEATS = 1000, 1000, 30


def microseconds(call: Callable[[Any], object], asked: Sequence[Any]) -> float:
    """The median time of a call."""
    taken = []
    for each in asked:
        began = time.perf_counter()
        call(each)
        taken.append((time.perf_counter() - began) * 1e6)
    return median(taken)


def fitted(name: str, train: pd.DataFrame) -> Pricer:
    """A pricer of this model; its bands are of no matter here."""
    module = models.get(name)
    estimator = module.build(module.Params()).fit(train[list(FEATURES)], train["price"])
    band = ConformalBand(0.9, {"any": (0.9, 1.1)})
    return Pricer(
        name, estimator, band, band, Proportions.of(train), TrainingSummary.of(train, {}, ""), SortedStones.of(train)
    )


def by_numpy(pricer: Pricer) -> Callable[[Any], float]:
    """The quick way as it is where nothing is compiled."""
    quick = models.get(pricer.name).quick(pricer.estimator)
    with patch.object(Walk, "over", return_value=None):
        quick.one(dict(pricer.stones.head(1).iloc[0]))
    return quick.one


def measure(pricer: Pricer, holdout: pd.DataFrame) -> list[float]:
    """The medians in µs: one stone five times, then many stones twice."""
    stones = holdout[list(FEATURES)]
    described = stones.head(ASKED).to_dict("records")
    four_cs = [{field: stone[field] for field in REQUIRED} for stone in described]
    frames = [stones.iloc[[place]] for place in range(ASKED // 10)]
    many = [stones.head(MANY)] * REPEATS
    began = time.perf_counter()
    pricer.quote(described[0])  # the first one makes the quick way
    print(f"{pricer.name}: its quick way is made in {time.perf_counter() - began:.2f} s")
    quick = models.get(pricer.name).quick(pricer.estimator)
    return [
        microseconds(pricer.estimator.predict, frames),
        microseconds(by_numpy(pricer), described),
        microseconds(quick.one, described),
        microseconds(pricer.quote, described),
        microseconds(pricer.quote, four_cs),
        microseconds(pricer.estimator.predict, many),
        microseconds(pricer.price, many),
    ]


def main() -> None:
    """Print the medians and how many times sooner the quick way answers."""
    stones = pd.read_csv(STONES).astype({"price": float})
    stones = stones[(stones[["x", "y", "z"]] > 0).all(axis=1)]
    stones = stones[~contradictions(stones).any(axis=1)].sample(frac=1, random_state=0)
    holdout, train = stones.iloc[: len(stones) // 5], stones.iloc[len(stones) // 5 :]
    rows = {name: measure(fitted(name, train), holdout) for name in models.available()}
    print("\nµs                                  one stone                            1,000 stones")
    titles = "".join(f"{title:>8}" for title in ("NumPy", "one", "quote", "4 Cs", "ratio"))
    print(f"{'':24}{'estimator':>10}{titles} {'estimator':>10} {'price':>7}")
    for name, (frame, numpy, one, quote, four_cs, estimator, price) in rows.items():
        ratio = f"{frame / quote:.0f}x"
        print(
            f"{name:24}{frame:>10,.0f} {numpy:>7.1f} {one:>7.1f} {quote:>7.1f} {four_cs:>7.1f} {ratio:>7}"
            f" {estimator:>10,.0f} {price:>7,.0f}"
        )


if __name__ == "__main__":
    main()
