"""Sales as a CSV of appraisals: the prices really paid come back as fresh data, each once."""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from diamonds.errors import DataError
from diamonds.pricer.parts import write_file
from diamonds.schema import COLUMNS, GRADES, MEASUREMENTS, canonical_grade, contradictions, field_problem
from diamonds.store import sales
from diamonds.store.tables import Sale

#: Why a sale is not exported. Training knows no stone whose size is guessed: what is guessed teaches the guess.
UNMEASURED = f"one of {', '.join(MEASUREMENTS)} is not known, and nothing stands in for it"
REFUSED = "training would refuse the stone or its price"


@dataclass(frozen=True)
class Exported:
    """What was exported, sales by the name of their file, and what was not, sales by why."""

    files: dict[str, int]
    kept: dict[str, int]


def export(engine: Engine, folder: Path) -> Exported:
    """Write the sales that are in no file yet as a new one, each sale once and for ever.

    The sales are given to a file by name, in one transaction, before it is written aside and renamed: whatever ends an
    export, the next one writes the same files with the same content, and none that was entered as written.

    Args:
        engine: The database.
        folder: Of the appraisals.

    Raises:
        DataError: The file cannot be written; its sales wait for the next export.
    """
    left = sales.assign(engine, lambda sale: problem(sale) is None, file_name)
    files = {}
    for name, its_sales in sales.unwritten(engine).items():
        _write(folder / name, csv_of(its_sales))
        sales.mark_written(engine, name)
        files[name] = len(its_sales)
    return Exported(files, dict(Counter(why for sale in left if (why := problem(sale)))))


def problem(sale: Sale) -> str | None:
    """Why training could not use this sale; None if it could."""
    stone = {**sale.stone, "price": sale.price}
    if any(stone.get(name) is None for name in MEASUREMENTS):
        return UNMEASURED
    if any(field_problem(name, stone.get(name)) for name in COLUMNS):
        return REFUSED
    sizes = {name: [float(stone[name])] for name in ("carat", "x", "y", "z")}
    return REFUSED if contradictions(pd.DataFrame(sizes)).to_numpy().any() else None


def file_name(its_sales: Sequence[Sale]) -> str:
    """The name of the file that holds just these sales."""
    ids = "".join(f"{sale.request_id} {sale.position}\n" for sale in its_sales)
    newest = max(sale.recorded_at for sale in its_sales)
    return f"sales-{newest:%Y-%m-%d}-{hashlib.sha256(ids.encode()).hexdigest()[:12]}.csv"


def csv_of(its_sales: Sequence[Sale]) -> bytes:
    """The sales with the columns of appraisals, the price paid as their price."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sale in its_sales:
        stone = {**sale.stone, "price": sale.price}
        writer.writerow(
            canonical_grade(name, stone[name]) if name in GRADES else float(stone[name]) for name in COLUMNS
        )
    return text.getvalue().encode()


def _write(place: Path, content: bytes) -> None:
    aside = place.with_name(f".{place.name}-{uuid.uuid4().hex}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_file(aside, [content])
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{place} cannot be written: {error.strerror}; its sales wait for the next export") from error
