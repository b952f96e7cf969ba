"""Regressions of a target on a feature inside and across a group, exact at any row, and what they say about causes.

It keeps sums over the rows, of the distance to the first row, apart for each group; all statistics come out of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.learners import Coefficient, Gap, Report
from diamonds.streams.science.inference import Regression
from diamonds.streams.science.lags import Lags
from diamonds.streams.science.reached import Diary
from diamonds.streams.science.refit import gaps
from diamonds.streams.science.regressions import Names, Regressions
from diamonds.streams.science.relations import correlations, group_facts
from diamonds.streams.science.scatter import breusch_pagan, white
from diamonds.streams.science.spread import Spread
from diamonds.streams.science.sums import Sums
from diamonds.streams.science.verdict import Links, next_look
from diamonds.streams.science.wording import Words
from diamonds.streams.spec import FeedSpec, Row

#: A row with a greater number is not learned but counted: what is made of its fourth power is beyond any float.
GREATEST = 1e30


class Params(BaseModel):
    """What the entry says.

    Attributes:
        target: The number that is explained.
        feature: The number that may explain it.
        group: The boolean that may lie between or behind them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    feature: str
    group: str


def build(params: Params, spec: FeedSpec) -> MomentsLearner:
    """A learner that has learned nothing yet.

    Raises:
        ConfigurationError: The feed has no such columns.
    """
    for said, type_ in (("target", "number"), ("feature", "number"), ("group", "boolean")):
        name = getattr(params, said)
        if name not in spec.columns or spec.columns[name].type != type_:
            raise ConfigurationError(f"{said}: the feed {spec.name} has no column {name} of type {type_}")
    if params.target == params.feature:
        raise ConfigurationError(f"the target and the feature are both {params.target}; they must be two columns")
    return MomentsLearner(Names(params.target, params.feature, params.group))


class MomentsLearner:
    """Learns the regressions of one number on another and on a group."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._forget()

    def _forget(self) -> None:
        self._rows = self._beyond = 0
        self._origin = 0.0, 0.0
        self._groups, self._lags = (Sums(), Sums()), Lags()
        self._next_look = next_look(0)
        self._diary = Diary()

    def learn(self, row: Row) -> None:
        """Add the row to the sums of its group."""
        target, feature, group = self._names
        x, y = float(row[feature]), float(row[target])
        if _can_be_squared(x, y):
            self._add(x, y, bool(row[group]))
        else:
            self._beyond += 1
        self._rows += 1
        if self._rows == self._next_look:
            self._look()

    def _add(self, x: float, y: float, group: bool) -> None:  # noqa: FBT001 - it is the group
        """Add the distances to the first row, with what the two differences lose to rounding (Knuth)."""
        if self._rows == self._beyond:
            self._origin = x, y
        first_x, first_y = self._origin
        away, up = x - first_x, y - first_y
        part, other = away - x, up - y
        lost, other_lost = (x - (away - part)) - (first_x + part), (y - (up - other)) - (first_y + other)
        self._groups[group].add(away, lost, up, other_lost)
        self._lags.add(x, y, away, group)

    def _look(self) -> None:
        """Note what is concluded at this row."""
        self._diary.note(self._rows, list(Links.of(self.regressions()).conclusions()))
        self._next_look = next_look(self._rows)

    def regressions(self) -> Regressions:
        """The regressions on the rows so far."""
        outside, inside = (Spread(sums, self._origin) for sums in self._groups)
        return Regressions(self._names, outside, inside)

    def answer(self, row: Row) -> dict[str, Any]:
        """The target expected for a feature, in a group where the row names one, and the 95 % interval of one row.

        All three are None where the row has no such feature, too few rows were learned to say, the feature was the same
        in all of them (`constant` says so), or is so far from them that no float holds what is expected (`beyond`).

        Raises:
            UntaughtError: Nothing has been learned yet.
        """
        if not self._rows:
            raise UntaughtError(f"no rows have been learned yet, so nothing is known of {self._names.target}")
        fitted = self.regressions()
        group = row.get(self._names.group)
        asked = fitted.overall if group is None else fitted.inside if group else fitted.outside
        x = row.get(self._names.feature)
        predicted = None if x is None else asked.predict(float(x))
        found = dict(zip(("estimate", "low", "high"), predicted or (None, None, None), strict=True))
        why = {}
        if x is not None and predicted is None and asked.degrees > 0:
            why = {"beyond": True} if asked.is_judged else {"constant": True}
        return found | {"rows": asked.rows} | why

    def dump(self) -> dict[str, Any]:
        """The sums, where they count from, and what was concluded when."""
        return {
            "rows": self._rows,
            "beyond": self._beyond,
            "origin": list(self._origin),
            "groups": [{"rows": sums.rows, "halves": list(sums.halves)} for sums in self._groups],
            "lags": self._lags.dump(),
            "next_look": self._next_look,
            "reached": self._diary.entries(),
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave, and nothing else."""
        self._rows, self._beyond = document["rows"], document["beyond"]
        x, y = document["origin"]
        self._origin = x, y
        outside, inside = (Sums(group["rows"], group["halves"]) for group in document["groups"])
        self._groups = outside, inside
        self._lags.load(document["lags"])
        self._next_look = document["next_look"]
        self._diary = Diary.of(document["reached"])

    def report(self) -> Report:
        """All regressions with their slopes as coefficients, their intervals those while watching, and the verdict."""
        fitted = self.regressions()
        tables = [regression.summary() for regression in fitted]
        verdict = Words(self._names, Links.of(fitted)).document() | {"reached": self._diary.entries()}
        return {
            "coefficients": [found for table in tables for found in _coefficients(table)],
            "scores": {},
            "statistics": {
                "rows": self._rows,
                "beyond": self._beyond,
                "regressions": tables,
                "groups": group_facts(fitted),
                "correlations": correlations(fitted),
                "jarque_bera": {regression.name: regression.jarque_bera() for regression in fitted},
                "residuals": self._residuals(fitted),
                "verdict": verdict,
            },
        }

    def _residuals(self, fitted: Regressions) -> dict[str, Any]:
        """By regression, whether its errors are of one size, and whether neighbours' are alike."""
        alike = self._lags.durbin_watson(fitted)
        return {
            each.name: {
                "breusch_pagan": breusch_pagan(each), "white": white(each), "durbin_watson": alike[each.name],
            }
            for each in fitted
        }  # fmt: skip

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:  # noqa: ARG002 - what is drawn is learned from all rows
        """The lines to draw through the rows: that of all, and that of each group."""
        fitted = self.regressions()
        group = self._names.group
        lines = ((fitted.overall, None), (fitted.inside, True), (fitted.outside, False))
        names = {None: "overall", True: group, False: f"not {group}"}
        return {"lines": [_line(regression, names[which], which) for regression, which in lines]}

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """The regressions beside least squares on all rows, and the correlation beside that of the ranks."""
        target, feature, _ = self._names
        return gaps(self.regressions(), (row for row in rows if _can_be_squared(row[feature], row[target])))


def _can_be_squared(x: float, y: float) -> bool:
    return abs(x) < GREATEST and abs(y) < GREATEST


def _coefficients(table: Mapping[str, Any]) -> Iterator[Coefficient]:
    """The slopes, each with the interval that holds while somebody watches, for somebody does."""
    for term in table["terms"]:
        if term["watching_low"] is not None:
            yield {
                "term": f"{table['name']}: {term['term']}",
                "estimate": term["estimate"],
                "se": term["se"],
                "low": term["watching_low"],
                "high": term["watching_high"],
            }


def _line(regression: Regression, name: str, group: bool | None) -> dict[str, Any]:  # noqa: FBT001 - it is the group
    ends = {column.term: float(column.estimate) for column in regression.columns}
    intercept, slope = (ends.get(term) for term in ("intercept", *regression.terms))
    return {"name": name, "intercept": intercept, "slope": slope, "group": group}
