"""What the model card and the data sheet say in figures: of the champion, and of the columns of a stone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diamonds import schema
from diamonds.config import SQLITE, Settings, read_settings
from diamonds.errors import DiamondsError
from diamonds.store import history
from diamonds.store.database import open_database, require_current
from reference.markdown import code, table

NONE = "No champion was known where this page was built. `kedro run` makes one, `make docs` then puts its figures here."


def champion() -> str:
    """The champion that the database names, with its errors on the holdout; or that there is none."""
    try:
        found = _champion(read_settings())
    except DiamondsError as error:
        return f"{NONE} ({error})\n"
    return NONE if found is None else _told(found)


def columns() -> str:
    """The columns of an appraised stone: unit, limits and meaning, as each door checks them."""
    measures = {
        name: [measure.about, f"more than 0, at most {measure.most:,} {measure.unit}"]
        for name, measure in schema.MEASURES.items()
    }
    grades = {name: [f"grade of {name}", f"{', '.join(levels)} (best)"] for name, levels in schema.GRADES.items()}
    asked = {name: "required" if name in schema.REQUIRED else "may be left out" for name in schema.FEATURES}
    rows = [[code(name), *(measures | grades)[name], asked.get(name, "is answered")] for name in schema.COLUMNS]
    return table(["column", "meaning", "holds", "asked for a price"], rows)


def _champion(settings: Settings) -> history.Champion | None:
    place = settings.database_url.get_secret_value()
    if place.startswith(SQLITE) and not Path(place.removeprefix(SQLITE)).is_file():
        return None
    engine = open_database(settings)
    try:
        require_current(engine)
        return history.champion(engine)
    finally:
        engine.dispose()


def _told(found: history.Champion) -> str:
    metrics = found.metrics
    said = (
        f"The champion is `{found.name}`, version `{found.version}`, since {found.promoted_at:%Y-%m-%d} because"
        f" {found.reason}. It was judged on {metrics.get('stones', 0):,} stones that no model learned from.\n\n"
    )
    parts = {"all, fully measured": metrics["overall"], "all, weight and grades alone": metrics.get("four_cs")}
    bands = {f"{band} ct": its for band, its in metrics.get("segments", {}).get("carat", {}).items()}
    rows = [_row(name, its) for name, its in (parts | bands).items() if its]
    return said + table(["stones", "MAE", "RMSE", "MAPE", "bias", "inside the band", "width"], rows)


def _row(name: str, its: Mapping[str, Any]) -> list[str]:
    dollars = [_dollars(its.get(metric)) for metric in ("mae", "rmse")]
    return [
        name,
        *dollars,
        _share(its.get("mape")),
        _dollars(its.get("bias")),
        _share(its.get("coverage")),
        _share(its.get("width")),
    ]


def _dollars(value: float | None) -> str:
    return "" if value is None else f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
