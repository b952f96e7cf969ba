"""One page of a feed, read strictly: the rows that hold, those that do not and why, and what looks wrong with it."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from diamonds.streams.spec import Column, FeedSpec

#: A page may hold so many rows.
MOST_ROWS = 1000
#: What a database keeps as a whole number.
MOST_KEY = 2**63 - 1
#: Of a row that is kept aside, so many characters are kept, and so many are shown in a reason.
MOST_RAW, MOST_SHOWN = 2000, 60
#: A whole number of more digits than Python reads is none.
MOST_DIGITS = 400


class PageError(Exception):
    """What came is no page; asked for again, it may be."""


@dataclass(frozen=True)
class Reject:
    """A row that cannot be learned from.

    Attributes:
        page: The number of its page.
        key: Its key as text, or `#` and a hash of it where it has none that holds.
        reason: What is wrong, in plain words.
        raw: The row as JSON, its fields that the spec names, cut where it is long.
    """

    page: int
    key: str
    reason: str
    raw: str


@dataclass(frozen=True)
class Page:
    """What a feed gave for one number.

    Attributes:
        number: As it was asked for.
        rows: Those that hold, sorted by key, with the fields of the spec alone, each of its type.
        rejects: Those that do not.
        size: How many rows there were.
        next_page: The number to go on with: the same one where the page is not full.
        repeated: How many rows were there twice.
        ignored: How many fields there were that the spec does not name.
    """

    number: int
    rows: tuple[dict[str, Any], ...]
    rejects: tuple[Reject, ...]
    size: int
    next_page: int
    repeated: int = 0
    ignored: int = field(default=0, compare=False)

    @property
    def is_full(self) -> bool:
        """Whether reading goes on at the next number."""
        return self.next_page != self.number

    def keys(self, key: str) -> list[int]:
        """The keys of its rows, those that do not hold among them."""
        rejected = [int(reject.key) for reject in self.rejects if is_key(reject.key)]
        return [row[key] for row in self.rows] + rejected

    def looks_wrong(self, key: str, last_key: int | None) -> bool:
        """Whether it is to be read again before it is believed.

        Args:
            key: The column that names a row.
            last_key: The greatest key before this page; None where there is none.
        """
        if self.rejects or self.repeated or not self.is_full:
            return True
        first, last = self.rows[0][key], self.rows[-1][key]
        if last - first != len(self.rows) - 1:  # a gap; there is no key twice
            return True
        return last_key is not None and not first <= last_key + 1 <= last

    def begins_late(self, key: str, last_key: int | None) -> bool:
        """Whether rows between the last key and this page are missing."""
        return bool(self.rows) and last_key is not None and bool(self.rows[0][key] > last_key + 1)


def is_key(text: str) -> bool:
    """Whether a row that does not hold is named by its key, and not by a hash because it has none."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_KEY))


def read_page(spec: FeedSpec, number: int, body: bytes) -> Page:
    """Read the body of an answer.

    Raises:
        PageError: It is not JSON, nested beyond reason, no list, or longer than any page.
    """
    try:
        return _page(spec, number, *_parse(body, spec))
    except RecursionError as error:
        raise PageError(f"it is not JSON: {error}") from error


def _page(spec: FeedSpec, number: int, items: Any, is_plain: bool) -> Page:  # noqa: ANN401, FBT001 - as it was parsed
    if not isinstance(items, list):
        raise PageError(f"page {number} is no list but {_shown(items)}")
    if len(items) > MOST_ROWS:
        raise PageError(f"page {number} holds {len(items):,} rows, more than {MOST_ROWS:,}")
    names = set(spec.fields)
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    ignored = 0
    for item in items:
        try:
            rows.append(_row(spec, item))
            ignored += 0 if is_plain else len(item.keys() - names)
        except ValueError as error:
            rejects.append(_reject(spec, number, item, str(error)))
    unique = _sorted_and_unique(rows, spec)
    return Page(
        number=number,
        rows=tuple(unique),
        rejects=_told_apart(rejects),
        size=len(items),
        next_page=number + 1 if len(items) >= spec.page_size else number,
        repeated=len(rows) - len({row[spec.key] for row in rows}),
        ignored=ignored,
    )


class _Pairs(dict[str, Any]):
    """An object that names a field twice."""


def _parse(body: bytes, spec: FeedSpec) -> tuple[Any, bool]:
    """What the body holds, and whether each row has just the fields that it should, none of them twice."""
    try:
        try:
            items = json.loads(body)
        except ValueError as error:
            if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
                raise
            items = None  # a number of more digits than Python reads
        if isinstance(items, list) and _are_plain(items, body, set(spec.fields)):
            return items, True
        return json.loads(body, object_pairs_hook=_object, parse_int=_whole), False
    except ValueError as error:
        raise PageError(f"it is not JSON: {' '.join(str(error).split())}") from error


def _are_plain(items: list[Any], body: bytes, names: set[str]) -> bool:
    """Of a field that is written twice only one is left: it shows in the colons."""
    fields = len(items) * len(names)
    return body.count(b":") == fields and all(type(item) is dict and item.keys() == names for item in items)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Pairs(found)


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= MOST_DIGITS else math.inf


def _row(spec: FeedSpec, item: Any) -> dict[str, Any]:  # noqa: ANN401 - it is checked here
    """The row that holds.

    Raises:
        ValueError: It does not; the text says what is wrong.
    """
    if type(item) is not dict:
        raise ValueError(
            "it names a field twice" if isinstance(item, _Pairs) else f"a row must be an object, not {_shown(item)}"
        )
    key = item.get(spec.key)
    if type(key) is not int or not 1 <= key <= MOST_KEY:
        raise ValueError(_wrong(item, spec.key, "must be a whole number from 1"))
    row: dict[str, Any] = {spec.key: key}
    for name, column in spec.columns.items():
        value = item.get(name)
        if column.type == "number":
            row[name] = _number(item, name, value, column)
        elif column.type == "boolean":
            if value is not True and value is not False and (type(value) is not int or value not in {0, 1}):
                raise ValueError(_wrong(item, name, "must be true or false"))
            row[name] = bool(value)
        else:
            row[name] = _text(item, name, value, column)
    return row


def _number(item: dict[str, Any], name: str, value: Any, column: Column) -> float:  # noqa: ANN401 - it is checked here
    if type(value) is not float and type(value) is not int:
        raise ValueError(_wrong(item, name, "must be a finite number"))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(_wrong(item, name, "must be a finite number"))
    if column.least is not None and number < column.least:
        raise ValueError(_wrong(item, name, f"must be at least {column.least:g}"))
    if column.most is not None and number > column.most:
        raise ValueError(_wrong(item, name, f"must be at most {column.most:g}"))
    return number


def _text(item: dict[str, Any], name: str, value: Any, column: Column) -> str:  # noqa: ANN401 - it is checked here
    if type(value) is not str:
        raise ValueError(_wrong(item, name, "must be a text"))
    if column.one_of is not None and value not in column.one_of:
        raise ValueError(_wrong(item, name, f"must be one of {', '.join(column.one_of)}"))
    if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
        raise ValueError(f"{name} holds a character that no database keeps")
    return value


def _wrong(item: dict[str, Any], name: str, must: str) -> str:
    return f"{name} {must}, not {_shown(item[name])}" if name in item else f"{name} is missing"


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever came
    text = json.dumps(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _reject(spec: FeedSpec, number: int, item: Any, reason: str) -> Reject:  # noqa: ANN401 - whatever came
    kept = {name: item[name] for name in spec.fields if name in item} if type(item) is dict else item
    raw = json.dumps(kept)
    key = item.get(spec.key) if isinstance(item, dict) else None
    holds = type(key) is int and 1 <= key <= MOST_KEY
    name = str(key) if holds else f"#{hashlib.sha256(raw.encode()).hexdigest()[:40]}"
    return Reject(number, name, reason, raw if len(raw) <= MOST_RAW else f"{raw[:MOST_RAW]}…")


def _told_apart(rejects: Sequence[Reject]) -> tuple[Reject, ...]:
    """The rejects in the order of their keys; of rows without a key that are alike, each has a name of its own."""
    if not rejects:
        return ()
    times = Counter(rejects)
    apart = [
        replace(reject, key=f"{reject.key}-{number}") if number > 1 else reject
        for reject, most in times.items()
        for number in range(1, 1 + (most if reject.key.startswith("#") else 1))
    ]
    return tuple(sorted(apart, key=lambda reject: (reject.key, reject.raw)))


def _sorted_and_unique(rows: Sequence[dict[str, Any]], spec: FeedSpec) -> list[dict[str, Any]]:
    """The rows in the order of their keys; the same row twice is one, a key with two meanings stays twice."""
    key = spec.key
    ordered = sorted(rows, key=lambda row: row[key])
    if all(one[key] != other[key] for one, other in pairwise(ordered)):
        return ordered
    told: dict[str, dict[str, Any]] = {repr(tuple(row.values())): row for row in ordered}
    return sorted(told.values(), key=lambda row: (row[key], repr(tuple(row.values()))))
