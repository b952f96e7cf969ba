"""A verdict in words, with the numbers as people write them, and what it may not be taken to say."""

from __future__ import annotations

import math
from typing import Any

from diamonds.streams.science.regressions import Names
from diamonds.streams.science.verdict import Kind, Link, Links

MINUS = "\N{MINUS SIGN}"
#: What the edge between feature and target is called in the drawing.
TOP_EDGE = {
    Kind.COLLIDER: "no direct link seen",
    Kind.CHAIN_OR_FORK: "no direct link seen",
    Kind.LINKED: "linked",
    Kind.UNKNOWN: "not yet known",
}
#: What the rows say where there is a verdict.
SENTENCES = {
    Kind.COLLIDER: "Overall, no link between {feature} and {target} is seen ({overall}): it is at most {overall_bound}."
    " {within}: that is produced by looking at one group, because both have a part in who is {group}. {warning}",
    Kind.CHAIN_OR_FORK: "Overall, {feature} and {target} go together ({overall}). Inside the groups of {group} the link"
    " is at most {within_bound}: what links them goes through {group}, as a chain or a fork, and the rows do not say"
    " which.",
    Kind.LINKED: "{Feature} and {target} go together overall ({overall}). {within}. So they are linked by more than"
    " {group}: directly or by a common cause, and three columns do not say which.",
}
WHY = {
    Kind.COLLIDER: "Not linked overall as far as can be seen, linked once {group} is held fixed: among graphs of these"
    " three only arrows from both to {group} give this, if no links cancel exactly.",
    Kind.CHAIN_OR_FORK: "Linked overall, and no more as far as can be seen once {group} is held fixed: the link goes"
    " through {group}; arrows either way, except both to {group}, give this.",
    Kind.LINKED: "Linked overall and once {group} is held fixed: a direct link or a common cause, and many graphs give"
    " this.",
    Kind.UNKNOWN: "The intervals are still too wide to draw it.",
}
MAY_NOT_SAY = {
    Kind.COLLIDER: (
        "That {feature} costs or brings {target}, or the other way round: looking at one group makes the link.",
        "That there is no link at all between {feature} and {target}: overall it is at most {overall_bound}.",
    ),
    Kind.CHAIN_OR_FORK: (
        "Which way it goes: from {feature} by {group} to {target}, back, or from {group} to both; these fit alike.",
        "That there is no link at all inside the groups: there it is at most {within_bound}.",
    ),
    Kind.LINKED: (
        "That {feature} causes {target}, or the other way round: what is not in the rows may cause both.",
        "What part {group} has in it.",
    ),
    Kind.UNKNOWN: ("That {feature} and {target} are not linked: an interval that covers 0 is a bound, and no zero.",),
}
MAY_NEVER_SAY = (
    "What would become of {target} if {feature} were changed: rows compare different cases, not one before and after.",
    "Anything about causes if something unmeasured leads to two of the columns, or is behind which rows there are.",
    "Anything about causes if links cancel each other exactly, or bend so that no slope shows them.",
)
#: Beyond these a number is written with a power of ten.
SMALLEST, GREATEST = 1e-6, 1e9


def number(value: float, width: float) -> str:
    """A number with as many decimals as two digits of its interval's half width need.

    >>> number(0.00713, 0.045), number(1234.5, 80.0)
    ('0.007', '1,234')
    """
    if not math.isfinite(width) or width <= 0:
        width = abs(value) or 1.0
    if width < SMALLEST or width > GREATEST or abs(value) > GREATEST:
        return f"{value:.2e}".replace("-", MINUS)
    decimals = max(0, 1 - math.floor(math.log10(width)))
    written = f"{value:,.{decimals}f}"
    is_zero = not any(digit in "123456789" for digit in written)
    return written.removeprefix("-") if is_zero else written.replace("-", MINUS)


class Words:
    """The words for the verdict that some links lead to."""

    def __init__(self, names: Names, links: Links) -> None:
        self.target, self.feature, self.group = (name.replace("_", " ") for name in names)
        self.links = links

    def document(self) -> dict[str, Any]:
        """The verdict as JSON."""
        kind = self.links.kind
        return {
            "kind": kind.value,
            "sentence": self.sentence(),
            "overall": _facts("overall", self.links.overall),
            "within": [
                _facts("inside the groups", self.links.pooled),
                _facts(f"{self.group} only", self.links.inside),
                _facts(f"not {self.group}", self.links.outside),
            ],
            "graph": self.graph(),
            "may_not_say": self.may_not_say(),
        }

    def sentence(self) -> str:
        """What the rows say, and how it is to be read."""
        kind = self.links.kind
        if kind is Kind.UNKNOWN:
            return self._unknown()
        fields = self._fields() | {"Feature": self.feature.capitalize(), "warning": self._warning()}
        fields["within"] = self._within() if self.links.is_seen_within else ""
        return SENTENCES[kind].format_map(fields)

    def graph(self) -> dict[str, Any]:
        """The drawing of the three columns: its edges, those with an arrow pointing at `to`, and why they are so."""
        kind = self.links.kind
        through = kind in {Kind.COLLIDER, Kind.CHAIN_OR_FORK}
        ends = (self.feature, self.target) if through else ()
        return {
            "left": self.feature,
            "right": self.target,
            "bottom": self.group,
            "top_edge": TOP_EDGE[kind],
            "edges": [{"from": end, "to": self.group, "arrow": kind is Kind.COLLIDER} for end in ends],
            "why": WHY[kind].format_map(self._fields()),
        }

    def may_not_say(self) -> list[str]:
        """What a reader may be tempted to conclude, and may not."""
        return [template.format_map(self._fields()) for template in (*MAY_NOT_SAY[self.links.kind], *MAY_NEVER_SAY)]

    def _fields(self) -> dict[str, str]:
        """What the templates ask for."""
        widest = max(self.links.within, key=lambda link: link.farthest)
        return {
            "target": self.target,
            "feature": self.feature,
            "group": self.group,
            "overall": self._slope(self.links.overall),
            "overall_bound": self._bound(self.links.overall),
            "within_bound": self._bound(widest),
        }

    def _unknown(self) -> str:
        overall, pooled = self.links.overall, self.links.pooled
        if overall.interval is None:
            few = "there are too few rows to say anything"
            return f"Not yet known: {f'{self.feature} was the same in all rows' if overall.is_constant else few}."
        begun = f"Not yet known. Overall the {self._slope(overall, ' is')}"
        if overall.is_seen:
            begun += f", so {self.feature} and {self.target} go together"
        else:
            begun += f", so a link is at most {self._bound(overall)}"
        if self.links.is_seen_within:
            return f"{begun}. {self._within()}; that bound is not yet small enough beside it to say why."
        if pooled.is_constant:
            return f"{begun}; inside each group of {self.group}, {self.feature} was the same in all rows."
        if pooled.interval is None:
            return f"{begun}; one of the groups of {self.group} has too few rows to look inside."
        return f"{begun}; inside the groups the {self._slope(pooled, ' is')}, {self._neither(overall)}"

    def _neither(self, overall: Link) -> str:
        if overall.is_seen:
            return f"which is too wide to say whether the link goes through {self.group}."
        return "so there too none is seen yet."

    def _within(self) -> str:
        """What is seen inside the groups; their signs may differ, or only one may show it."""
        inside, outside = self.links.inside, self.links.outside
        if inside.is_seen and outside.is_seen:
            return self._in_both(inside, outside)
        if not inside.is_seen and not outside.is_seen:
            slope = self._slope(self.links.pooled)
            return f"Inside the groups of {self.group}, taken together, there seems to be a link ({slope})"
        seen, other = (inside, outside) if inside.is_seen else (outside, inside)
        name, others = (self.group, f"not {self.group}")[:: 1 if inside.is_seen else -1]
        rest = self._slope(other) if other.interval else "too few rows"
        if other.is_constant:
            rest = f"{self.feature} was the same in all rows"
        return f"Among those {name} there seems to be a link, with slope {_estimate(seen)} ({others}: {rest})"

    def _in_both(self, inside: Link, outside: Link) -> str:
        parts = f"{self.group} {_estimate(inside)}, not {self.group} {_estimate(outside)}"
        if _sign(inside) == _sign(outside):
            return f"Inside each group there seems to be a link, with slope {_estimate(self.links.pooled)} ({parts})"
        return f"Inside each group there seems to be a link, in opposite directions (slopes: {parts})"

    def _warning(self) -> str:
        signs = {_sign(link) for link in self.links.within if link.is_seen}
        if signs == {-1}:
            return "Do not read it as one costing the other."
        return "Do not read it as one bringing the other." if signs == {1} else "Do not read it as cause and effect."

    def _slope(self, link: Link, verb: str = "") -> str:
        if link.interval is None:
            return "slope is not known"
        low, high = (number(end, _half(link)) for end in link.interval)
        return f"slope{verb} {_estimate(link)}, between {low} and {high}"

    def _bound(self, link: Link) -> str:
        return f"±{number(link.farthest, _half(link))}"


def _half(link: Link) -> float:
    return (link.interval[1] - link.interval[0]) / 2 if link.interval else math.inf


def _estimate(link: Link) -> str:
    return "not known" if link.estimate is None else number(link.estimate, _half(link))


def _sign(link: Link) -> int:
    return 1 if link.interval and link.interval[0] > 0 else -1


def _facts(where: str, link: Link) -> dict[str, Any]:
    low, high = link.interval or (None, None)
    return {"where": where, "slope": link.estimate, "low": low, "high": high, "is_seen": link.is_seen}
