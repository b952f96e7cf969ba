"""What a person asks the learners: which columns they take, whether a row can be asked about, the answer in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from diamonds.streams.live.door import Refusal
from diamonds.streams.science.wording import number
from diamonds.streams.spec import Column, FeedSpec, LearnerEntry, Row

TOO_FAR = "that is too far from anything seen"
GRADES = ("carat", "cut", "color", "clarity")


def inputs(spec: FeedSpec) -> dict[str, bool]:
    """The columns that learners take, in their order, and whether a row must have each to be asked about."""
    needed = {name for entry in spec.learners.values() for name in _needed(spec, entry)}
    taken = needed | {name for entry in spec.learners.values() for name in _taken(spec, entry)}
    return {name: name in needed for name in spec.columns if name in taken}


def _needed(spec: FeedSpec, entry: LearnerEntry) -> tuple[str, ...]:
    if entry.kind == "moments":
        return (entry.params["feature"],)
    if entry.kind in {"price", "market_index"}:
        return GRADES
    features = entry.params.get("features")
    return tuple(features) if features else tuple(set(spec.columns) - {target(entry)})


def _taken(spec: FeedSpec, entry: LearnerEntry) -> tuple[str, ...]:
    return tuple(name for name in spec.columns if name != "price") if entry.kind == "market_index" else ()


def target(entry: LearnerEntry) -> str:
    """What a learner predicts."""
    return str(entry.params.get("target", "price" if entry.kind in {"price", "market_index"} else "answer"))


def read_row(spec: FeedSpec, given: object) -> Row:
    """The row that is asked about.

    Raises:
        Refusal: It cannot be; the message names the column.
    """
    if not isinstance(given, dict):
        raise Refusal(422, "a row is asked about as an object, a value for each column")
    needed = inputs(spec)
    unknown = [name for name in given if name not in spec.columns]
    if unknown:
        raise Refusal(422, f"there is no column {str(unknown[0])[:100]}; there are {', '.join(spec.columns)}")
    row = {name: _value(name, spec.columns[name], value) for name, value in given.items() if value is not None}
    missing = [name for name, is_needed in needed.items() if is_needed and name not in row]
    if missing:
        raise Refusal(422, f"{' and '.join(missing).replace('_', ' ')} must be given")
    return row


def _value(name: str, column: Column, value: object) -> Any:  # noqa: ANN401 - as the column has it
    shown = name.replace("_", " ")
    if column.type == "boolean":
        if not isinstance(value, bool):
            raise Refusal(422, f"{shown} must be true or false")
        return value
    if column.type == "text":
        if not isinstance(value, str) or (column.one_of and value not in column.one_of):
            raise Refusal(422, f"{shown} must be {'one of ' + ', '.join(column.one_of) if column.one_of else 'a text'}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise Refusal(422, f"{shown} must be a number")
    least = -math.inf if column.least is None else column.least
    most = math.inf if column.most is None else column.most
    if not least <= value <= most:
        raise Refusal(422, f"{shown} must be from {least:g} to {most:g}")
    return float(value)


def held(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The answers, each interval as wide as it must be to hold what is expected.

    Raises:
        Refusal: One is beyond any number: the row is too far from what was learned.
    """
    for name, answer in answers.items():
        if any(isinstance(value, float) and not math.isfinite(value) for value in answer.values()):
            raise Refusal(422, f"{name.replace('_', ' ')}: {TOO_FAR}")
    return {name: _held(answer) for name, answer in answers.items()}


def _held(answer: Mapping[str, Any]) -> dict[str, Any]:
    expected = next((answer[field] for field in SAID if answer.get(field) is not None), None)
    if expected is None or answer.get("low") is None or answer.get("high") is None:
        return dict(answer)
    return dict(answer) | {"low": min(answer["low"], expected), "high": max(answer["high"], expected)}


def in_words(spec: FeedSpec, answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each learner that answered."""
    return [_words(spec.learners[name], name, answer) for name, answer in answers.items()]


def _words(entry: LearnerEntry, name: str, answer: Mapping[str, Any]) -> str:
    said = next((say for field, say in SAID.items() if answer.get(field) is not None), None)
    what = target(entry).replace("_", " ")
    if answer.get("constant"):
        feature = entry.params["feature"].replace("_", " ")
        return f"{name.replace('_', ' ')} cannot say: {feature} was the same in all rows"
    if answer.get("beyond"):
        return f"{name.replace('_', ' ')} cannot say: this is too far from all rows that were learned"
    if said is None:
        return f"{name.replace('_', ' ')} cannot say yet: there are too few rows"
    return f"{what}: {said(answer)}, from {int(answer.get('rows') or 0):,} rows" + (
        f" (the champion's {answer['champion_price']:,.0f} $ times the market)" if "champion_price" in answer else ""
    )


def _probability(answer: Mapping[str, Any]) -> str:
    low, high = answer.get("low"), answer.get("high")
    interval = f" (95 %: {low:.0%} to {high:.0%})" if low is not None and high is not None else ""
    return f"{answer['probability']:.0%}{interval}"


def _estimate(answer: Mapping[str, Any]) -> str:
    low, high = answer.get("low"), answer.get("high")
    if low is None or high is None:
        return number(answer["estimate"], abs(answer["estimate"]) / 10)
    ends = [number(value, (high - low) / 2) for value in (answer["estimate"], low, high)]
    return "{} expected (95 % of single ones: {} to {})".format(*ends)


def _price(answer: Mapping[str, Any]) -> str:
    return f"{answer['price']:,.0f} $ (95 %: {answer['low']:,.0f} to {answer['high']:,.0f} $)"


SAID: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "probability": _probability, "estimate": _estimate, "price": _price,
}  # fmt: skip
