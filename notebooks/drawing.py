"""Figures of a notebook as SVG, which shows wherever a notebook is shown: axes with their units, a caption below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import chain
from textwrap import wrap
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

#: In pixels: the figure, and where the axes lie in it.
WIDTH, HEIGHT = 640, 388
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 56, 330
LINE_HEIGHT, LETTERS = 17, 84
LETTERING = 'font-family="sans-serif" font-size="12" fill="#222"'
#: Told apart by those who see no red or no green too (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00")
#: More points than these are thinned to them, evenly.
MOST_POINTS = 500


class Figure:
    """A figure with two axes; `points`, `line`, `bars` and `level` add to it and give it back.

    Args:
        title: What it shows.
        x: The title of the horizontal axis, with its unit.
        y: The title of the vertical axis, with its unit.
        caption: One sentence on what is to be seen.
        log: Whether the vertical axis is logarithmic.
    """

    def __init__(self, title: str, *, x: str, y: str, caption: str, log: bool = False) -> None:
        self._title, self._x, self._y, self._caption, self._log = title, x, y, caption, log
        self._shapes: list[tuple[str, str, list[float], list[float]]] = []
        self._names: list[str] = []

    def points(self, x: ArrayLike, y: ArrayLike, name: str = "") -> Self:
        """Add dots."""
        return self._add("points", name, *_thinned(x, y))

    def line(self, x: ArrayLike, y: ArrayLike, name: str = "") -> Self:
        """Add a line."""
        return self._add("line", name, x, y)

    def level(self, y: float, name: str = "") -> Self:
        """Add a dashed line at one height."""
        return self._add("level", name, [], [y])

    def bars(self, names: Sequence[str], y: ArrayLike, name: str = "") -> Self:
        """Add a bar for each name, from 0; further bars of the same names stand beside them."""
        self._names = list(names)
        return self._add("bars", name, np.arange(len(names)), y)

    def _add(self, kind: str, name: str, x: ArrayLike, y: ArrayLike) -> Self:
        self._shapes.append((kind, name, np.asarray(x, float).tolist(), np.asarray(y, float).tolist()))
        return self

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        lines = wrap(self._caption, LETTERS)
        height = HEIGHT + LINE_HEIGHT * len(lines)
        said = escape(f"{self._title}. {self._caption}")
        size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        shown = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{said}" {LETTERING}>',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            _text(LEFT, 20, self._title, 'font-size="15" font-weight="bold"'),
            *self._drawn(),
            *(_text(LEFT, HEIGHT + LINE_HEIGHT * place, line, 'fill="#555"') for place, line in enumerate(lines)),
            "</svg>",
        ]
        return "\n".join(shown)

    def _drawn(self) -> list[str]:
        horizontal, vertical = self._scales()
        shapes = []
        bars = [shape for shape in self._shapes if shape[0] == "bars"]
        for place, shape in enumerate(self._shapes):
            width = 0.8 / max(len(bars), 1)
            offset = -0.4 + width * (bars.index(shape) if shape in bars else 0)
            shapes.append(_shape(shape, COLORS[place % len(COLORS)], horizontal, vertical, (offset, width)))
        return [*self._axes(horizontal, vertical), *shapes, *self._legend()]

    def _scales(self) -> tuple[_Scale, _Scale]:
        xs = list(chain.from_iterable(shape[2] for shape in self._shapes))
        ys = list(chain.from_iterable(shape[3] for shape in self._shapes))
        if self._names:
            return _Scale(-0.5, len(self._names) - 0.5, LEFT, WIDTH - RIGHT), _Scale.around([0, *ys], BOTTOM, TOP)
        return _Scale.around(xs, LEFT, WIDTH - RIGHT), _Scale.around(ys, BOTTOM, TOP, log=self._log)

    def _axes(self, horizontal: _Scale, vertical: _Scale) -> list[str]:
        marks = list(enumerate(self._names)) if self._names else [(at, _number(at)) for at in horizontal.ticks()]
        middle, side = (LEFT + WIDTH - RIGHT) / 2, (TOP + BOTTOM) / 2
        return [
            *(_text(LEFT - 8, vertical(at) + 4, _number(at), 'text-anchor="end"') for at in vertical.ticks()),
            *(_rule(vertical(at), "#ddd") for at in vertical.ticks()),
            *(_text(horizontal(at), BOTTOM + 17, name, 'text-anchor="middle"') for at, name in marks),
            _rule(BOTTOM, "#222"),
            _text(middle, BOTTOM + 36, self._x, 'text-anchor="middle"'),
            _text(0, 0, self._y, f'text-anchor="middle" transform="translate(18 {side:g}) rotate(-90)"'),
        ]

    def _legend(self) -> list[str]:
        named = [(place, shape[1]) for place, shape in enumerate(self._shapes) if shape[1]]
        shown, left = [], float(LEFT)
        for place, name in named:
            color = COLORS[place % len(COLORS)]
            shown += [f'<circle cx="{left + 5:g}" cy="36" r="5" fill="{color}"/>', _text(left + 15, 40, name)]
            left += 34 + 6.4 * len(name)
        return shown


class _Scale:
    """Where on the picture a number lies."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool = False) -> None:
        self._low, self._high, self._start, self._end, self._log = low, high, start, end, log

    @classmethod
    def around(cls, numbers: Sequence[float], start: float, end: float, *, log: bool = False) -> Self:
        low, high = min(numbers), max(numbers)
        if log:
            return cls(math.log10(low) - 0.05, math.log10(high) + 0.05, start, end, log=True)
        room = 0.04 * (high - low or 1)
        return cls(low - room * (low != 0), high + room * (high != 0), start, end)

    def __call__(self, number: float) -> float:
        place = math.log10(number) if self._log else number
        return self._start + (place - self._low) / (self._high - self._low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round numbers, some five of them."""
        if self._log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            found = [times * 10.0**power for power in powers for times in (1, 2, 5)]
            return [number for number in found if self._low <= math.log10(number) <= self._high]
        raw = (self._high - self._low) / 5
        size = 10.0 ** math.floor(math.log10(raw))
        step = size * min((1, 2, 5, 10), key=lambda times: abs(times * size - raw))
        return [step * place for place in range(math.ceil(self._low / step), math.floor(self._high / step) + 1)]


def _shape(
    shape: tuple[str, str, list[float], list[float]], color: str, x: _Scale, y: _Scale, bar: tuple[float, float]
) -> str:
    kind, _, xs, ys = shape
    if kind == "level":
        return _rule(y(ys[0]), color, 'stroke-dasharray="6 4" stroke-width="2"')
    pairs = list(zip(xs, ys, strict=True))
    if kind == "bars":
        offset, width = bar
        return "".join(_bar(x(at + offset), x(at + offset + width), y(0), y(top), color) for at, top in pairs)
    if kind == "line":
        way = " ".join(f"{x(at):.1f},{y(top):.1f}" for at, top in pairs)
        return f'<polyline points="{way}" fill="none" stroke="{color}" stroke-width="2.5"/>'
    dots = "".join(f"M{x(at):.1f} {y(top):.1f}h0" for at, top in pairs)
    return f'<path d="{dots}" stroke="{color}" stroke-width="4" stroke-linecap="round" stroke-opacity="0.45"/>'


def _bar(left: float, right: float, foot: float, top: float, color: str) -> str:
    above, height = min(foot, top), abs(foot - top)
    return f'<rect x="{left:.1f}" y="{above:.1f}" width="{right - left - 2:.1f}" height="{height:.1f}" fill="{color}"/>'


def _rule(y: float, color: str, rest: str = "") -> str:
    """A horizontal line across the figure."""
    return f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{color}" {rest}/>'


def _text(x: float, y: float, text: str, rest: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {rest}>{escape(text)}</text>'


def _number(number: float) -> str:
    return f"{number:,.10g}".replace("-", "\N{MINUS SIGN}") if abs(number) > 1e-9 else "0"  # noqa: PLR2004 - rounding


def _thinned(x: ArrayLike, y: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    kept = np.linspace(0, len(xs) - 1, min(len(xs), MOST_POINTS)).astype(int)
    return xs[kept], ys[kept]
