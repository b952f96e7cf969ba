"""Reading, checking and splitting stones."""

import csv
import difflib
import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from diamonds.errors import DataError
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
PLACE = ["file", "line"]


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


def read_files(raw_appraisals: dict[str, bytes]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Read all files as text.

    Returns:
        A frame with `file`, `line` and the ten columns as text, in the order of files and lines; and for each file
        its name, size in bytes, SHA-256 and number of rows.

    Raises:
        DataError: There is no file, or some cannot be used; the message names each one and says what to do.
    """
    if not raw_appraisals:
        raise DataError("there is no CSV file of appraised stones: put one into data/01_raw/appraisals/")
    frames, files, unusable = [], [], []
    for name, content in raw_appraisals.items():
        try:
            frame = _read_file(name, content)
        except DataError as error:
            unusable.append(str(error))
            continue
        frames.append(frame)
        digest = hashlib.sha256(content).hexdigest()
        files.append({"name": name, "bytes": len(content), "sha256": digest, "rows": len(frame)})
    if unusable:
        raise DataError("; ".join(unusable) + ". Nothing was trained: mend or remove it, then run again.")
    return pd.concat(frames, ignore_index=True), files


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


def drop_duplicates(checked_rows: pd.DataFrame, params: Split) -> pd.DataFrame:
    """Each different appraisal once, in the order of first appearance; where it came from is left behind."""
    appraisals = checked_rows[list(COLUMNS)]
    return appraisals.drop_duplicates(ignore_index=True) if params.method == "hash" else appraisals


def split(appraisals: pd.DataFrame, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide stones into training and holdout.

    Raises:
        DataError: Too few stones are left on a side.
    """
    train, holdout = _by_hash(appraisals, params) if params.method == "hash" else _at_random(appraisals, params)
    if min(len(train), len(holdout)) < FEWEST_STONES:
        raise DataError(
            f"only {len(appraisals)} good stones: {len(train)} to train on and {len(holdout)} to judge by,"
            f" at least {FEWEST_STONES} of each are needed; see the quarantine for rows that were refused"
        )
    return train.reset_index(drop=True), holdout.reset_index(drop=True)


def report(
    raw_files: list[dict[str, Any]],
    quarantine: pd.DataFrame,
    checked_rows: pd.DataFrame,
    train: pd.DataFrame,
    holdout: pd.DataFrame,
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


def _by_hash(appraisals: pd.DataFrame, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = stone_keys(appraisals).to_numpy() < np.uint64(int(params.holdout * 2**64))
    return appraisals[~held_out], appraisals[held_out]


def _at_random(appraisals: pd.DataFrame, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    from sklearn.model_selection import train_test_split

    if len(appraisals) < FEWEST_STONES:
        return appraisals, appraisals.head(0)
    train, holdout = train_test_split(appraisals, test_size=params.holdout, random_state=params.seed)
    return train, holdout


def _read_file(name: str, content: bytes) -> pd.DataFrame:
    if not content.strip():
        raise DataError(f"{name} is empty")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [column.strip().casefold() for column in next(reader, [])]
        _check_header(name, header)
        lines = [(line, row) for line, row in _numbered(reader) if any(field.strip() for field in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is not a CSV file in UTF-8 ({error})") from error
    if not lines:
        raise DataError(f"{name} has a header but no stones")
    rows = [_fit(row, len(header)) for _, row in lines]
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    frame["extra"] = [len(row) - len(header) for _, row in lines]
    return frame.assign(file=name, line=[line for line, _ in lines])[[*PLACE, *COLUMNS, "extra"]]


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:  # noqa: ANN401 - csv's reader has no public type
    """Each row and the line it begins on, counted from 1: a quoted field may span several."""
    begins = reader.line_num + 1
    for row in reader:
        yield begins, row
        begins = reader.line_num + 1


def _check_header(name: str, header: list[str]) -> None:
    missing = [column for column in COLUMNS if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    repeated = {column for column in header if header.count(column) > 1}
    if not missing and not unknown and not repeated:
        return
    complaints = []
    if missing:
        complaints.append(f"lacks the columns {', '.join(missing)}")
    if unknown:
        complaints.append(f"has unknown columns {', '.join(_unknown(column, missing) for column in unknown)}")
    if repeated:
        complaints.append(f"has columns twice: {', '.join(sorted(repeated))}")
    raise DataError(f"{name} {' and '.join(complaints)}; its first line must name {','.join(COLUMNS)}")


def _unknown(column: str, missing: list[str]) -> str:
    meant = difflib.get_close_matches(column, missing, n=1)
    return f"{column!r} (meant {meant[0]}?)" if meant else repr(column)


def _fit(row: list[str], length: int) -> list[str]:
    return (row + [""] * length)[:length]


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
