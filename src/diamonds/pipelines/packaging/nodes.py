"""Handing the champion on: what is written, and where, is the datasets' part."""

from typing import Any

from diamonds.datasets.champion import CurrentChampion
from diamonds.errors import ArtefactError


def enter(decision: dict[str, Any]) -> dict[str, Any]:
    """The decision, to be entered in the database."""
    return decision


def package(promotion: CurrentChampion) -> CurrentChampion:
    """The champion, to be put into the Bento model store.

    Raises:
        ArtefactError: Its files cannot be loaded.
    """
    if promotion.pricer is None:
        raise ArtefactError(f"the champion cannot be packaged: {promotion.problem}")
    return promotion
