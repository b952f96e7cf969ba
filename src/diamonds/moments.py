"""Moments and ages as people write them, on a command line or in an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

#: Nothing here happened earlier or happens later: what is written beyond them means them.
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def moment(text: str) -> datetime:
    """The moment that a text names by ISO 8601, in UTC; one without a time zone is in UTC already.

    >>> moment("2026-11-21T16:30+02:00").isoformat()
    '2026-11-21T14:30:00+00:00'
    >>> moment("2026-11-21").isoformat()
    '2026-11-21T00:00:00+00:00'

    Raises:
        ValueError: It names none; the message says what would.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("must be a moment as ISO 8601 has it, such as 2026-11-21T16:30:00Z") from error
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return min(max(aware, EARLIEST), LATEST).astimezone(UTC)


def age(text: str) -> timedelta:
    """The time that a text names by a number and a unit.

    >>> age("90d")
    datetime.timedelta(days=90)

    Raises:
        ValueError: It names none; the message says what would.
    """
    found = re.fullmatch(r"([0-9]{1,5})([dhm])", text)
    if not found:
        raise ValueError("must be an age such as 90d, 12h or 30m (days, hours, minutes)")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment_or_age(text: str) -> datetime:
    """The moment that a text names, by ISO 8601 or by how long ago it was, in UTC.

    Raises:
        ValueError: It names none; the message says what would.
    """
    try:
        return datetime.now(UTC) - age(text) if text[-1:] in UNITS else moment(text)
    except ValueError as error:
        raise ValueError("must be a moment such as 2026-11-21T16:30:00Z, or an age such as 90d, 12h or 30m") from error


def written(moment: datetime) -> str:
    """A moment in UTC by ISO 8601, with a Z: unlike +00:00 it can be copied into an address as it is.

    >>> written(datetime(2026, 11, 21, 16, 30, tzinfo=UTC))
    '2026-11-21T16:30:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
