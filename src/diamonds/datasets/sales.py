"""The prices that were paid of late, beside what was quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from diamonds.datasets.window import Window, reading
from diamonds.schema import Diamond, frame_of
from diamonds.store import sales
from diamonds.store.tables import Sale

#: Of the quote, in dollars.
QUOTE = ("price", "low", "high")


@dataclass(frozen=True)
class SalesWindow:
    """The sales of a window.

    Attributes:
        window: Its ends.
        sales: A row a sale: the stone (`schema.FEATURES`), `paid`, the quote's `price`, `low` and `high` in dollars,
            `measured` (whether the quote assumed nothing), `model`, `version` and `recorded_at`.
        unreadable: How many more have a stone or a quote of which a part is masked.
        whole: Whether all of the window was read.
    """

    window: Window
    sales: pd.DataFrame
    unreadable: int
    whole: bool


class SalesWindowDataset(AbstractDataset[NoReturn, SalesWindow]):
    """The sales that were recorded in a window, the newest first, each with what was quoted for its stone."""

    def __init__(
        self,
        *,
        since: str = "7d",
        until: str | None = None,
        most: int = 20_000,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the window by moments or ages, and how many sales are read at most; `metadata` is for plugins."""
        self.metadata = metadata
        self._since, self._until, self._most = since, until, most

    def load(self) -> SalesWindow:
        """Read the table of sales.

        Raises:
            ConfigurationError: The window is none.
            DatabaseError: The database is away.
        """
        window = Window.of(self._since, self._until)
        with reading("the sales") as engine:
            found = sales.recorded(engine, window.since, window.until, self._most + 1)
        read = found[: self._most]
        readable = [sale for sale in read if _is_readable(sale)]
        return SalesWindow(window, _frame(readable), len(read) - len(readable), len(found) <= self._most)

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: sales are reported to the service."""
        raise DatasetError("the sales are only read")

    def _describe(self) -> dict[str, Any]:
        return {"since": self._since, "until": self._until}


def _is_readable(sale: Sale) -> bool:
    try:
        Diamond.model_validate(sale.stone)
    except ValidationError:
        return False
    return all(isinstance(sale.quote.get(name), (int, float)) for name in QUOTE)


def _frame(found: Sequence[Sale]) -> pd.DataFrame:
    stones = frame_of([Diamond.model_validate(sale.stone).__dict__ for sale in found])
    return stones.assign(
        paid=pd.array([sale.price for sale in found], dtype="float64"),
        **{name: pd.array([sale.quote[name] for sale in found], dtype="float64") for name in QUOTE},
        measured=pd.array([not sale.quote.get("assumed") for sale in found], dtype=bool),
        model=[sale.model for sale in found],
        version=[sale.version for sale in found],
        recorded_at=pd.to_datetime([sale.recorded_at for sale in found], utc=True),
    )
