"""A table in blocks: files that are read one at a time, by whoever works on them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.blocks import workers

if TYPE_CHECKING:
    from xgboost import Booster

#: More rows than asked for, in standard deviations, that a sample begins with before it is cut to size.
SLACK = 6


class Part(NamedTuple):
    """One block: a Parquet file, and how many rows it has."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Blocks:
    """A table whose rows come in the order of its parts, each small enough for memory."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, frames: Iterable[pd.DataFrame]) -> Self:
        """The table that these frames make up, one after the other, on the run's own disk space."""
        folder = workers.current().new_folder()
        return cls._whole(write(frame, _place(folder, number)) for number, frame in enumerate(frames))

    @classmethod
    def at(cls, place: Path) -> Self:
        """The table that lies here: a folder of parts, in the order of their names, or one file."""
        paths = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
        return cls._whole(Part(path, _rows_in(path)) for path in paths)

    @classmethod
    def _whole(cls, parts: Iterable[Part]) -> Self:
        """Without parts that have no rows; one of them stays where there are no others, for its columns."""
        found = tuple(parts)
        return cls(tuple(part for part in found if part.rows) or found[:1])

    def __len__(self) -> int:
        """The rows of all parts."""
        return sum(part.rows for part in self.parts)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Each block, read when it is wanted."""
        return (read(part) for part in self.parts)

    def frame(self) -> pd.DataFrame:
        """All of it, in memory."""
        return pd.concat(self, ignore_index=True)

    def head(self) -> pd.DataFrame:
        """The first block."""
        return read(self.parts[0])

    def each(self, function: Callable[[pd.DataFrame], Any]) -> Iterator[Any]:
        """What the function says of each block, in their order; the workers read the blocks, and send what it says."""
        return workers.current().each(partial(_said, function), self.parts)

    def map(self, function: Callable[[pd.DataFrame], Any], outputs: int = 1) -> Any:  # noqa: ANN401 - one or several
        """The table of what the function makes of each block; of several outputs, a tuple of tables."""
        made = self.map_numbered(_Unnumbered(function), outputs)
        return made if outputs > 1 else made[0]

    def map_numbered(self, function: Callable[[int, pd.DataFrame], Any], outputs: int = 1) -> tuple[Self, ...]:
        """The same for a function that also takes the number of the block, counted from 0."""
        folder = workers.current().new_folder()
        jobs = [(number, part, folder) for number, part in enumerate(self.parts)]
        written = list(workers.current().each(partial(_mapped, function, outputs), jobs))
        return tuple(self._whole(parts[output] for parts in written) for output in range(outputs))

    def sample(self, most: int | None, seed: int) -> pd.DataFrame:
        """At most so many rows, chosen by a hash of each and the seed, in their order: the same however they lie."""
        if most is None or most >= len(self):
            return self.frame()
        likely = pd.concat(self.each(partial(likely_chosen, len(self), most, seed)), ignore_index=True)
        found: pd.DataFrame = likely.iloc[chosen(likely, most, seed)].reset_index(drop=True)
        return found

    def boosted(
        self,
        params: dict[str, Any],
        rounds: int,
        columns: Callable[[pd.DataFrame], tuple[NDArray[np.float32], NDArray[np.float64]]],
    ) -> Booster:
        """XGBoost's trees, grown over all rows.

        Args:
            params: XGBoost's own.
            rounds: How many trees.
            columns: What the trees see of a block, and what they are to say.
        """
        wanted = workers.Boosting(params, rounds, partial(_said, columns), self.parts)
        return workers.current().boosted(wanted)


class _Unnumbered:
    """A function of a block, as one of its number too."""

    def __init__(self, function: Callable[[pd.DataFrame], Any]) -> None:
        self._function = function

    def __call__(self, number: int, frame: pd.DataFrame) -> Any:  # noqa: ANN401, ARG002 - as `map_numbered` calls it
        return self._function(frame)


def row_by_row(outputs: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets a function of a frame, which looks at each row alone, take `Blocks` for it and give `Blocks`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def over_blocks(stones: Any, *others: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
            if isinstance(stones, Blocks):
                return stones.map(partial(_with, over_blocks, others), outputs)
            return function(stones, *others)

        return over_blocks

    return decorate


def some_of(stones: pd.DataFrame | Blocks, most: int | None, seed: int) -> pd.DataFrame:
    """All stones that lie in memory; of those in blocks, a sample."""
    return stones.sample(most, seed) if isinstance(stones, Blocks) else stones


def read(part: Part) -> pd.DataFrame:
    """The rows of a part."""
    return pd.read_parquet(part.path)


def write(frame: pd.DataFrame, place: Path) -> Part:
    """Write a part, which appears whole or not at all: a worker may be killed, and another do its work."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
    frame.to_parquet(aside, index=False)
    aside.replace(place)
    return Part(place, len(frame))


def hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """64 bits for each row, the same for equal rows."""
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def _place(folder: Path, number: int, output: int = 0) -> Path:
    return folder / str(output) / f"part-{number:06}.parquet"


def _rows_in(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _with(function: Callable[..., Any], others: tuple[Any, ...], frame: pd.DataFrame) -> Any:  # noqa: ANN401
    return function(frame, *others)


def _said(function: Callable[[pd.DataFrame], Any], part: Part) -> Any:  # noqa: ANN401 - whatever the function says
    return function(read(part))


def _mapped(
    function: Callable[[int, pd.DataFrame], Any], outputs: int, job: tuple[int, Part, Path]
) -> tuple[Part, ...]:  # fmt: skip
    number, part, folder = job
    made = function(number, read(part))
    frames = made if outputs > 1 else (made,)
    return tuple(write(frame, _place(folder, number, output)) for output, frame in enumerate(frames))


def likely_chosen(rows: int, most: int, seed: int, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a block that may be among `most` of so many, and with them all that are chosen."""
    share = (most + SLACK * most**0.5 + 10) / rows
    return frame[_lots(frame, seed) < np.uint64(min(int(share * 2**64), 2**64 - 1))]


def chosen(frame: pd.DataFrame, most: int, seed: int) -> NDArray[np.intp]:
    """The places of at most so many rows, those with the least lots, in their order."""
    return np.sort(np.argsort(_lots(frame, seed), kind="stable")[:most])


def _lots(frame: pd.DataFrame, seed: int) -> NDArray[np.uint64]:
    """A random number for each row, which follows from its content and the seed.

    Source of the mixing: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    lots = hashes(frame) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    lots = (lots ^ (lots >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    lots = (lots ^ (lots >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = (lots ^ (lots >> np.uint64(31))).astype(np.uint64)
    return mixed
