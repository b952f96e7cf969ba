"""Reading, checking and splitting stones."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from diamonds.blocks import Blocks, Engine, row_by_row
from diamonds.errors import ConfigurationError, DataError
from diamonds.pipelines.data_engineering import blockwise
from diamonds.pipelines.data_engineering.raw_files import PLACE, read_whole
from diamonds.schema import (
    COLUMNS,
    GRADES,
    MEASURES,
    canonical_grade,
    contradictions,
    expected_size,
    field_problem,
    frame_hash,
    frame_schema,
    stone_keys,
)

#: Fewer stones than this on either side of the split cannot be trained on, or judged by.
FEWEST_STONES = 50


class Split(BaseModel, extra="forbid"):
    """How stones are divided.

    Attributes:
        method: By a `hash` of the stone, so that it never changes sides; or at `random`, as scikit-learn's
            `train_test_split` does it, duplicates and all, for figures that are compared with published ones.
        holdout: The share of stones that no model ever learns from.
        seed: Of the random split.
    """

    method: Literal["hash", "random"]
    holdout: float = Field(gt=0, lt=1)
    seed: int


def read_files(
    raw_appraisals: dict[str, bytes] | dict[str, Path],
    engine: Engine = Engine(),  # noqa: B008 - it is never changed
) -> tuple[pd.DataFrame | Blocks, list[dict[str, Any]]]:
    """Read all files as text: whole, or in blocks those that are given by their paths.

    Returns:
        A frame with `file`, `line` and the ten columns as text, in the order of files and lines; and for each file
        its name, size in bytes, SHA-256 and number of rows.

    Raises:
        DataError: There is no file, or some cannot be used; the message names each one and says what to do.
    """
    if not raw_appraisals:
        raise DataError("there is no CSV file of appraised stones: put one into data/01_raw/appraisals/")
    frames: list[Any] = []
    files, unusable = [], []
    for name, content in raw_appraisals.items():
        try:
            frame, about = _read(name, content, engine)
        except DataError as error:
            unusable.append(str(error))
            continue
        frames.append(frame)
        files.append({"name": name, **about, "rows": len(frame)})
    if unusable:
        raise DataError("; ".join(unusable) + ". Nothing was trained: mend or remove it, then run again.")
    return _joined(frames), files


@row_by_row(outputs=2)
def check_rows(raw_rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check every row against the schema.

    Returns:
        The good rows with `file`, `line` and the ten typed columns; and the bad ones as they were read, with
        `reason` in plain words.
    """
    typed = raw_rows.assign(
        **{name: raw_rows[name].map(lambda text, name=name: canonical_grade(name, text)) for name in GRADES},
        **{name: pd.to_numeric(raw_rows[name], errors="coerce").astype(float) for name in MEASURES},
    )
    reasons = _reasons(raw_rows, typed)
    bad = typed.index.isin(list(reasons))
    quarantine = raw_rows[bad].assign(reason=list(reasons.values()))
    return (
        typed.loc[~bad, [*PLACE, *COLUMNS]].reset_index(drop=True),
        quarantine[[*PLACE, "reason", *COLUMNS]].reset_index(drop=True),
    )


def drop_duplicates(checked_rows: pd.DataFrame | Blocks, params: Split) -> pd.DataFrame | Blocks:
    """Each different appraisal once, in the order of first appearance; where it came from is left behind.

    Raises:
        ConfigurationError: Stones in blocks are to be split at random.
    """
    if isinstance(checked_rows, Blocks):
        if params.method != "hash":
            raise ConfigurationError(
                "split.method is random, which takes all stones in memory: `kedro run` without --env"
            )
        return blockwise.drop_duplicates(checked_rows)
    appraisals = checked_rows[list(COLUMNS)]
    return appraisals.drop_duplicates(ignore_index=True) if params.method == "hash" else appraisals


def split(appraisals: pd.DataFrame | Blocks, params: Split) -> tuple[pd.DataFrame | Blocks, pd.DataFrame | Blocks]:
    """Divide stones into training and holdout.

    Raises:
        DataError: Too few stones are left on a side.
    """
    if isinstance(appraisals, pd.DataFrame) and params.method == "random":
        train, holdout = _at_random(appraisals, params)
    else:
        train, holdout = _by_hash(appraisals, params)
    if min(len(train), len(holdout)) < FEWEST_STONES:
        raise DataError(
            f"only {len(appraisals)} good stones: {len(train)} to train on and {len(holdout)} to judge by,"
            f" at least {FEWEST_STONES} of each are needed; see the quarantine for rows that were refused"
        )
    return train, holdout


def report(
    raw_files: list[dict[str, Any]],
    quarantine: pd.DataFrame | Blocks,
    checked_rows: pd.DataFrame | Blocks,
    train: pd.DataFrame | Blocks,
    holdout: pd.DataFrame | Blocks,
) -> dict[str, Any]:
    """What came in and what became of it, for the history."""
    contents = "".join(sorted(file["sha256"] for file in raw_files))
    return {
        "data_fingerprint": hashlib.sha256(contents.encode()).hexdigest(),
        "files": raw_files,
        "rows_in": sum(file["rows"] for file in raw_files),
        "quarantined": len(quarantine),
        "duplicates": len(checked_rows) - len(train) - len(holdout),
        "training_rows": len(train),
        "holdout_rows": len(holdout),
        "holdout": frame_hash(holdout),
    }


def _read(name: str, content: bytes | Path, engine: Engine) -> tuple[pd.DataFrame | Blocks, dict[str, Any]]:
    """The rows of a file, and its `bytes` and `sha256`."""
    if isinstance(content, Path):
        return blockwise.read_file(name, content, engine.block_rows)
    return read_whole(name, content)


def _joined(frames: list[Any]) -> pd.DataFrame | Blocks:
    """The rows of all files, one after the other."""
    if isinstance(frames[0], Blocks):
        return Blocks(tuple(part for blocks in frames for part in blocks.parts))
    joined: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return joined


@row_by_row(outputs=2)
def _by_hash(appraisals: pd.DataFrame, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = stone_keys(appraisals).to_numpy() < np.uint64(int(params.holdout * 2**64))
    return appraisals[~held_out].reset_index(drop=True), appraisals[held_out].reset_index(drop=True)


def _at_random(appraisals: pd.DataFrame, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    from sklearn.model_selection import train_test_split

    if len(appraisals) < FEWEST_STONES:
        return appraisals, appraisals.head(0)
    train, holdout = train_test_split(appraisals, test_size=params.holdout, random_state=params.seed)
    return train.reset_index(drop=True), holdout.reset_index(drop=True)


def _reasons(raw_rows: pd.DataFrame, typed: pd.DataFrame) -> dict[int, str]:
    """Why each bad row, by its place in the frame, is refused: in plain words."""
    reasons: dict[int, list[str]] = {}

    def add(rows: Iterable[int], texts: Iterable[str]) -> None:
        for row, text in zip(rows, texts, strict=True):
            reasons.setdefault(row, []).append(text)

    fields = raw_rows["extra"]
    add(
        raw_rows.index[fields != 0],
        [f"has {len(COLUMNS) + extra} fields instead of {len(COLUMNS)}" for extra in fields[fields != 0]],
    )
    for column, rows in _violations(typed):
        values = zip(raw_rows.loc[rows, column], typed.loc[rows, column], strict=True)
        add(rows, [_reason(column, raw, value) for raw, value in values])
    whole = ~raw_rows.index.isin(list(reasons))
    for size, clashes in contradictions(typed).items():
        rows = raw_rows.index[clashes & whole]
        stones = typed.loc[rows]
        implied = expected_size(str(size), stones["carat"])
        add(
            rows,
            [
                f"{size} {given:g} mm contradicts the weight: a stone of {carat:g} ct measures about {usual:.2f} mm"
                for given, carat, usual in zip(stones[size], stones["carat"], implied, strict=True)
            ],
        )
    return {row: "; ".join(texts) for row, texts in sorted(reasons.items())}


def _violations(typed: pd.DataFrame) -> list[tuple[str, pd.Index]]:
    """The rows that violate the schema, for each column that any does."""
    from pandera.errors import SchemaErrors

    try:
        frame_schema().validate(typed[list(COLUMNS)], lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        return [
            (column, pd.Index(sorted(cases.loc[cases["column"] == column, "index"].unique())))
            for column in COLUMNS
            if (cases["column"] == column).any()
        ]
    return []


def _reason(column: str, raw: str, value: object) -> str:
    problem = field_problem(column, raw if column in GRADES else value)
    return f"{column} {problem}, got {raw.strip()!r}" if raw.strip() else f"{column} is missing"
