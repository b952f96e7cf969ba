"""How long it takes to find the stones like one: the index, in memory and mapped, and pandas' filter and sort."""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from diamonds.schema import GRADES
from diamonds.similar import SimilarStones
from diamonds.stones import SortedStones

STONES = Path(__file__).parents[1] / "data/01_raw/appraisals/diamonds.csv"
SIZES = (5_000, 53_940, 5_000_000)
QUERIES, QUERIES_OF_PANDAS = 3_000, 15
#: Measures and prices of stones that there are, changed by so much, are those of stones that there could be.
SPREAD = 0.02

Query = tuple[float, str, str, str]


def many(stones: pd.DataFrame, size: int) -> pd.DataFrame:
    """So many stones: a sample, or the stones over and over, each a little different."""
    if size <= len(stones):
        return stones.sample(size, random_state=0)
    rng = np.random.default_rng(0)
    more = stones.iloc[rng.integers(len(stones), size=size)].reset_index(drop=True)
    for column, decimals in {"carat": 4, "depth": 1, "table": 1, "price": 0, "x": 2, "y": 2, "z": 2}.items():
        more[column] = (more[column] * (1 + rng.normal(0, SPREAD, size))).round(decimals)
    return more


def microseconds(look_up: Callable[[Query], object], asked: list[Query]) -> float:
    """The median time of a look-up, in the quietest of five parts: the machine may have other work."""
    return min(_median(look_up, asked[part::5]) for part in range(5))


def _median(look_up: Callable[[Query], object], asked: list[Query]) -> float:
    taken = []
    for query in asked:
        began = time.perf_counter()
        look_up(query)
        taken.append((time.perf_counter() - began) * 1e6)
    return median(taken)


def by_pandas(stones: pd.DataFrame, query: Query, n: int) -> object:
    """The plain way: filter, measure, sort."""
    carat, cut, color, clarity = query
    same = stones[(stones["cut"] == cut) & (stones["color"] == color) & (stones["clarity"] == clarity)]
    return same.loc[(same["carat"] - carat).abs().sort_values().head(n).index].to_dict("records")


def measure(stones: pd.DataFrame) -> dict[str, float]:
    """What the index of these stones costs, and what it and pandas take to find some of them."""
    asked = [tuple(row) for row in stones.sample(QUERIES, random_state=1)[["carat", *GRADES]].itertuples(index=False)]
    began = time.perf_counter()
    known = SortedStones.of(stones)
    index = SimilarStones(known)
    built = time.perf_counter() - began
    gc.collect()
    ours = {n: microseconds(lambda query, n=n: index.nearest(*query, n), asked) for n in (5, 10)}
    written = microseconds(lambda query: index.nearest_json(*query, 10), asked)
    with tempfile.TemporaryDirectory() as folder:
        mapped = SimilarStones(SortedStones.from_blocks([stones], Path(folder)))
        from_file = microseconds(lambda query: mapped.nearest(*query, 10), asked)
    theirs = microseconds(lambda query: by_pandas(stones, query, 10), asked[:QUERIES_OF_PANDAS])
    return {
        "stones": len(stones),
        "nearest_5_us": ours[5],
        "nearest_10_us": ours[10],
        "mapped_10_us": from_file,
        "json_10_us": written,
        "pandas_10_us": theirs,
        "ratio": theirs / ours[10],
        "build_seconds": built,
        "mib": known.nbytes / 2**20,
    }


def main() -> None:
    """Print the measures over growing numbers of stones, as a table and as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON here too")
    file = parser.parse_args().json
    stones = pd.read_csv(STONES, dtype=dict.fromkeys(GRADES, "category")).astype({"price": float})
    names = ("stones", "5, µs", "10, µs", "mapped, µs", "JSON, µs", "pandas, µs", "ratio", "build, s", "MiB")
    print(("{:>11}" * len(names)).format(*names))
    measured = []
    for size in SIZES:
        found = measure(many(stones, size))
        measured.append(found)
        print(
            "{:>11,}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}{:>11,.0f}{:>10,.0f}x{:>11.2f}{:>11.1f}".format(*found.values())
        )
    slower = measured[-1]["nearest_10_us"] / measured[0]["nearest_10_us"]
    print(f"Over {SIZES[-1]:,} stones it takes {slower:.1f} times what it takes over {SIZES[0]:,}.")
    document = json.dumps(measured)
    print(document)
    if file is not None:
        file.write_text(f"{document}\n")


if __name__ == "__main__":
    main()
