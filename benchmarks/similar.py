"""How long it takes to find the stones like one: the index, and pandas' filter and sort, side by side."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pandas as pd

from diamonds.similar import SimilarStones

STONES = Path(__file__).parents[1] / "data/01_raw/appraisals/diamonds.csv"
N, QUERIES = 10, 300


def microseconds(look_up: Callable[[pd.Series], object], asked: list[pd.Series]) -> float:
    """The median time of a look-up."""
    taken = []
    for stone in asked:
        began = time.perf_counter()
        look_up(stone)
        taken.append((time.perf_counter() - began) * 1e6)
    return median(taken)


def main() -> None:
    """Print both medians and their ratio, over growing numbers of stones."""
    stones = pd.read_csv(STONES).astype({"price": float})
    print(f"{'stones':>10} {'index, µs':>10} {'pandas, µs':>11} {'ratio':>7}")
    for size in (5_000, len(stones)):
        part = stones.sample(size, random_state=0)
        asked = [stone for _, stone in part.sample(QUERIES, random_state=1).iterrows()]
        index = SimilarStones(part)

        def by_index(stone: pd.Series, index: SimilarStones = index) -> object:
            return index.nearest(stone["carat"], stone["cut"], stone["color"], stone["clarity"], N)

        def by_pandas(stone: pd.Series, part: pd.DataFrame = part) -> object:
            same = part[
                (part["cut"] == stone["cut"])
                & (part["color"] == stone["color"])
                & (part["clarity"] == stone["clarity"])
            ]
            nearest = (same["carat"] - stone["carat"]).abs().sort_values().head(N).index
            return same.loc[nearest].to_dict("records")

        ours, theirs = microseconds(by_index, asked), microseconds(by_pandas, asked)
        print(f"{size:>10,} {ours:>10.0f} {theirs:>11.0f} {theirs / ours:>6.1f}x")


if __name__ == "__main__":
    main()
