"""Texts as every database can hold them."""

from __future__ import annotations


def storable(text: str, longest: int | None = None) -> str:
    """The text without NUL and lone surrogates, and cut where it is longer than that."""
    held = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return held if longest is None or len(held) <= longest else f"{held[: longest - 1]}…"
