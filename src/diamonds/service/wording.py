"""Numbers and moments as people write them: $257, 5.7 %, 27 Nov 2026, 01:05 UTC."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

#: What stands where nothing is known.
NOTHING = "—"
KIBIBYTE, MINUTE, HOUR = 1024, 60, 3600


@dataclass(frozen=True)
class Measure:
    """A metric as people are told of it: its name, what it says, and whether more of it is better."""

    name: str
    words: str
    more_is_better: bool | None = False


MEASURES = {
    "mae": Measure("Mean error, $", "how far a price is off, on average"),
    "mape": Measure("Mean error, %", "the same, as a share of the price"),
    "rmse": Measure("Large errors, $", "root of the mean squared error: large ones weigh more"),
    "r2": Measure("R²", "share of the differences in price that is explained", more_is_better=True),
    "coverage": Measure("Within the band", "share of prices between low and high", more_is_better=None),
    "width": Measure("Width of the band", "from low to high, as a share of the price"),
    "bias": Measure("Bias, $", "above 0, stones are priced too high", more_is_better=None),
}


#: What describes a stone, as people are told of it.
FEATURES = {
    "carat": "Weight, ct", "cut": "Cut", "color": "Color", "clarity": "Clarity", "depth": "Depth, %",
    "table": "Table, %", "x": "Length, mm", "y": "Width, mm", "z": "Height, mm",
}  # fmt: skip


def money(dollars: object) -> str:
    """Dollars, with cents where they are few.

    >>> money(256.67), money(-19.5), money(3.5), money(None)
    ('$257', '−$20', '$3.50', '—')
    """
    if not known(dollars):
        return NOTHING
    digits = 2 if 0 < abs(dollars) < 10 else 0  # noqa: PLR2004 - below, cents count
    return f"{'−' if dollars < 0 else ''}${abs(dollars):,.{digits}f}"


def percent(share: object, *, sign: bool = False) -> str:
    """A share in percent.

    >>> percent(0.0571), percent(-0.012, sign=True), percent(0.9)
    ('5.7 %', '−1.2 %', '90.0 %')
    """
    if not known(share):
        return NOTHING
    return f"{share * 100:{'+' if sign else ''},.1f} %".replace("-", "−")


def count(number: object) -> str:
    """A whole number.

    >>> count(53940)
    '53,940'
    """
    return f"{number:,}" if isinstance(number, int) else NOTHING


def metric(value: object, name: str) -> str:
    """A metric with its unit.

    >>> metric(0.98394, "r2"), metric(0.0571, "mape"), metric(256.67, "mae")
    ('0.984', '5.7 %', '$257')
    """
    if not known(value):
        return NOTHING
    if name == "r2":
        return f"{value:.3f}".replace("-", "−")
    return percent(value) if name in {"mape", "coverage", "width"} else money(value)


def moment(at: datetime | None) -> str:
    """A moment to the minute.

    >>> moment(datetime(2026, 11, 27, 1, 5, tzinfo=UTC))
    '27 Nov 2026, 01:05 UTC'
    """
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if at else NOTHING


def minute(at: datetime) -> str:
    """A moment to the minute, for programs.

    >>> minute(datetime(2026, 11, 27, 1, 5, tzinfo=UTC))
    '2026-11-27T01:05Z'
    """
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def duration(seconds: float) -> str:
    """How long something took.

    >>> duration(0.425), duration(63.7), duration(4000)
    ('0.42 s', '1 min 4 s', '1 h 6 min')
    """
    if seconds < MINUTE:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def size(count: int) -> str:
    """A number of bytes.

    >>> size(2571905), size(812)
    ('2.5 MiB', '812 bytes')
    """
    if count < KIBIBYTE:
        return f"{count} bytes"
    return f"{count / KIBIBYTE:,.1f} KiB" if count < KIBIBYTE**2 else f"{count / KIBIBYTE**2:,.1f} MiB"


def plain(value: object) -> str:
    """A parameter, or whatever else was kept as JSON.

    >>> plain(0.05), plain(["carat", "x"]), plain(None), plain(True)
    ('0.05', 'carat, x', '—', 'yes')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(plain, value)) if isinstance(value, list) else str(value)


def segment(name: str, kind: str) -> str:
    """The stones of a segment.

    >>> segment("2+", "carat"), segment("0.5-1", "carat"), segment("Fair", "cut")
    ('stones of 2 ct and more', 'stones of 0.5 to 1 ct', 'stones of cut Fair')
    """
    if kind != "carat":
        return f"stones of {kind} {name}"
    if name.endswith("+"):
        return f"stones of {name[:-1]} ct and more"
    return f"stones of {name.replace('-', ' to ')} ct"


def feature(name: str) -> str:
    """What describes a stone.

    >>> feature("x")
    'Length, mm'
    """
    return FEATURES.get(name, name)


def part(value: object, of: object) -> int:
    """How long a bar is, in percent of the longest; nothing where either is not known.

    >>> part(257.0, 2869.0), part(None, 1.0), part(1.0, 0)
    (9, 0, 0)
    """
    return min(100, round(value / of * 100)) if known(value) and known(of) and of > 0 else 0


def known(value: object) -> TypeGuard[float]:
    """Whether a number was measured at all."""
    return isinstance(value, (int, float)) and math.isfinite(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "money": money, "percent": percent, "count_of": count, "metric": metric, "moment": moment, "minute": minute,
    "took": duration, "feature": feature, "size": size, "plain": plain, "part": part,
}  # fmt: skip
