"""What the page that prices a stone is rendered from: the champion's card, the grades, and the usual measurements."""

from __future__ import annotations

from typing import Any

from diamonds.pricer import Pricer
from diamonds.schema import FEATURES, GRADES, MEASUREMENTS, MEASURES, field_problem
from diamonds.service import cards
from diamonds.service.champion import LoadedChampion

#: The stone whose measurements are shown as hints; the page lets its sizes grow with the weight.
ONE_CARAT: dict[str, Any] = {"carat": 1.0, "cut": "Very Good", "color": "G", "clarity": "VS2"}
#: What no grade is called; the page says of it, and of a number that is 0, what the API would.
WRONG = dict.fromkeys(GRADES, "")


def values(champion: LoadedChampion | None, request_id: str) -> dict[str, Any]:
    """What the template names, as far as it is known."""
    problems = {field: field_problem(field, WRONG.get(field, 0)) for field in FEATURES}
    known = {"grades": GRADES, "measures": MEASURES, "problems": problems}
    if champion is None:
        return known
    card = cards.champion_card(champion.pricer, champion.folder, request_id)
    return known | {"card": card, "usual": usual(champion.pricer)}


def usual(pricer: Pricer) -> dict[str, float]:
    """The measurements in mm and percent that the pricer takes a stone of one carat to have."""
    complete = pricer.proportions.complete_one(ONE_CARAT)
    return {field: round(float(complete[field]), 3) for field in MEASUREMENTS}
