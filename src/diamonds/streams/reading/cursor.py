"""How far a feed has been read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cursor:
    """Where to go on.

    Attributes:
        page: The first page that is not consumed whole.
        last_key: The greatest key that was accepted; None before the first row.
    """

    page: int
    last_key: int | None
