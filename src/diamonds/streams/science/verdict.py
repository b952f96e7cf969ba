"""What the pattern of links among three columns says about causes, and what it may not say.

A feature and a target that are not linked overall, but are where a third column is held fixed, point at that third
column: both lead to it, and looking at one of its groups makes the link (a collider; Berkson, "Limitations of the
application of fourfold table analysis to hospital data", Biometrics Bulletin 1946). The opposite pattern, linked
overall and not inside the groups, is a chain or a fork through the group. The rules are those of Spirtes, Glymour and
Scheines, "Causation, prediction, and search", 2000, with intervals in the place of tests, for somebody is watching.

An interval that covers 0 does not show that there is no link: at first all do. It is read as a bound, and the bound
must be small beside the link that is seen elsewhere. So a collider is said only if each slope that the link overall
may still have is nearer to 0 than each that the link inside a group may still have; a chain or fork likewise, the other
way round. To call a chain a collider, the intervals inside the groups would have to miss 0 by more than the whole link
overall, or both kinds of intervals to miss at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from diamonds.streams.science.inference import ALPHA, LEAST_DEGREES, Regression
from diamonds.streams.science.regressions import Regressions

#: Inside the groups three slopes are judged: that of both groups together, and each group's own; all three intervals
#: hold together with 95 %.
JOINT_ALPHA = ALPHA / 3
#: Whether a verdict is reached is looked at every tenth row at first, later each hundredth more.
LOOK_EVERY = 10

Interval = tuple[float, float]


class Kind(StrEnum):
    """What can be concluded."""

    COLLIDER = "collider"
    CHAIN_OR_FORK = "chain or fork"
    LINKED = "linked"
    UNKNOWN = "not yet known"


@dataclass(frozen=True)
class Link:
    """A slope with the interval that it is judged by.

    Attributes:
        estimate: The slope; None where there are too few rows, or the feature was the same in all of them.
        interval: Likewise.
        is_constant: Whether it was, in rows enough to judge it by.
    """

    estimate: float | None
    interval: Interval | None
    is_constant: bool = False

    @classmethod
    def of(cls, regression: Regression, feature: str, alpha: float) -> Link:
        """What is known of a slope while watching."""
        slope = regression.slope(feature)
        if slope:
            return cls(slope.estimate, slope.interval(alpha))
        is_constant = not any(group.xx for group in regression.groups) and all(g.rows for g in regression.groups)
        return cls(None, None, is_constant and regression.degrees >= LEAST_DEGREES)

    @property
    def is_seen(self) -> bool:
        """Whether the interval excludes 0."""
        return self.nearest > 0

    @property
    def nearest(self) -> float:
        """The smallest size that the slope may have."""
        if self.interval is None:
            return 0.0
        low, high = self.interval
        return max(low, -high, 0.0)

    @property
    def farthest(self) -> float:
        """The greatest size that the slope may have."""
        return float("inf") if self.interval is None else max(-self.interval[0], self.interval[1])


@dataclass(frozen=True)
class Links:
    """All that a verdict looks at.

    Attributes:
        overall: The link among all rows.
        pooled: The link inside the groups, as if it were the same in both.
        inside: The link in the group.
        outside: The link in the others.
    """

    overall: Link
    pooled: Link
    inside: Link
    outside: Link

    @classmethod
    def of(cls, regressions: Regressions) -> Links:
        """Those that a set of regressions shows."""
        feature = regressions.names.feature
        return cls(
            Link.of(regressions.overall, feature, ALPHA),
            Link.of(regressions.pooled, feature, JOINT_ALPHA),
            Link.of(regressions.inside, feature, JOINT_ALPHA),
            Link.of(regressions.outside, feature, JOINT_ALPHA),
        )

    @property
    def within(self) -> tuple[Link, Link, Link]:
        """Those where the group is held fixed."""
        return self.pooled, self.inside, self.outside

    @property
    def is_seen_within(self) -> bool:
        """Whether there is a link inside the groups."""
        return any(link.is_seen for link in self.within)

    @property
    def kind(self) -> Kind:
        """What follows from them."""
        if not self.overall.is_seen:
            is_small = self.overall.farthest < max(link.nearest for link in self.within)
            return Kind.COLLIDER if is_small else Kind.UNKNOWN
        if self.is_seen_within:
            return Kind.LINKED
        is_small = max(link.farthest for link in self.within) < self.overall.nearest
        return Kind.CHAIN_OR_FORK if is_small else Kind.UNKNOWN

    def conclusions(self) -> Iterator[str]:
        """What is concluded from them, each by its name in `CONCLUSIONS`."""
        if self.overall.is_seen:
            yield OVERALL
        if self.is_seen_within:
            yield WITHIN
        if self.kind is not Kind.UNKNOWN:
            yield self.kind.value


OVERALL, WITHIN = "linked overall", "linked inside the groups"
CONCLUSIONS = (OVERALL, WITHIN, *(kind.value for kind in Kind if kind is not Kind.UNKNOWN))


def next_look(rows: int) -> int:
    """The number of rows at which conclusions are looked at after `rows`: of rows alone, never of batches.

    >>> next_look(0), next_look(10), next_look(5000)
    (10, 20, 5050)
    """
    return rows + max(LOOK_EVERY, rows // 100)
