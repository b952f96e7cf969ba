"""The classifier of a boolean column: Bayesian logistic regression, a row at a time.

A straight model and one of degree 2 learn by assumed-density filtering (`adf.py`) and are mixed (`twins.py`).

Two of these could be merged (natural parameters add up, the prior taken away once) within 0.13 standard errors for
eight parts; nothing needs it yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.learners import Coefficient, Gap, Report
from diamonds.streams.science import logit_audit, logit_report
from diamonds.streams.science.drift import PageHinkley
from diamonds.streams.science.logit_view import decision_map, half_line
from diamonds.streams.science.scores import ClassificationScores
from diamonds.streams.science.twins import BENT, STRAIGHT, Prior, Twins
from diamonds.streams.spec import FeedSpec, Row

#: From so many rows on, coefficients have a scale.
SCALED = 2
Sd = Annotated[float, Field(gt=0, le=1000)]


class Params(BaseModel):
    """What the entry says.

    Attributes:
        target: The boolean column that is predicted.
        features: The columns that it is predicted from, numbers or booleans.
        intercept_sd: The prior standard deviation of the intercept's coefficient.
        slope_sd: That of the features' coefficients, each feature in standard deviations.
        square_sd: That of the squares' and products' coefficients.
        forget: Below 1, old rows fade: 0.999 remembers about a thousand rows. At 1, none is forgotten.
        standardise_rows: By how many rows the scale of the features is set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    features: Annotated[tuple[str, ...], Field(min_length=1, max_length=20)]
    intercept_sd: Sd = 5.0
    slope_sd: Sd = 2.5
    square_sd: Sd = 1.0
    forget: Annotated[float, Field(ge=0.9, le=1)] = 1.0
    standardise_rows: Annotated[int, Field(ge=2, le=100)] = 10


def build(params: Params, spec: FeedSpec) -> Logit:
    """A classifier that has learned nothing yet.

    Raises:
        ConfigurationError: The feed has no such columns, or they are of other types.
    """
    for name, types in ((params.target, ["boolean"]), *((each, ["number", "boolean"]) for each in params.features)):
        column = spec.columns.get(name)
        if column is None:
            raise ConfigurationError(f"the feed {spec.name} has no column {name}; it has {', '.join(spec.columns)}")
        if column.type not in types:
            raise ConfigurationError(
                f"the column {name} of the feed {spec.name} is a {column.type}; logit needs a {' or '.join(types)}"
            )
    if params.target in params.features or len(set(params.features)) < len(params.features):
        raise ConfigurationError(f"the features of {params.target} must be other columns, each named once")
    return Logit(params)


class Logit:
    """Predicts a boolean column from others, row by row."""

    def __init__(self, params: Params) -> None:
        """Nothing was learned yet."""
        self._params, self._features, self._target = params, params.features, params.target
        self._begin()

    def learn(self, row: Row) -> None:
        """Predict the row, score the prediction, then learn from it."""
        outcome = bool(row[self._target])
        chance = self._twins.learn(self._values(row), outcome)
        self._drift.add(self._scores.add(chance if outcome else 1.0 - chance, outcome))

    def answer(self, row: Row) -> dict[str, Any]:
        """The probability of a yes, and its 95 % interval: what the coefficients' uncertainty leaves of it.

        Raises:
            UntaughtError: Nothing was learned yet.
        """
        if not self._scores.rows:
            raise UntaughtError(f"nothing is known of {self._target} yet: no row was learned")
        told = self._twins.predict(self._values(row))
        return {"probability": told.probability, "low": told.low, "high": told.high, "rows": self._scores.rows}

    def dump(self) -> dict[str, Any]:
        """Both models, the scores and the alarm."""
        return {"twins": self._twins.dump(), "scores": self._scores.dump(), "drift": self._drift.dump()}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave, and nothing else."""
        self._begin()
        self._twins.load(document["twins"])
        self._scores.load(document["scores"])
        self._drift.load(document["drift"])

    def report(self) -> Report:
        """The straight model's coefficients on the features' own scales, the mixture's scores, and what else is known.

        `log_loss_linear` and `log_loss_squares` are those of each model alone.
        """
        rows = self._scores.rows
        losses = [loss / rows if rows else None for loss in self._twins.losses]
        coefficients: list[Coefficient] = []
        if rows >= SCALED:
            coefficients += logit_report.coefficients(self._twins, self._features, STRAIGHT)
        return {
            "coefficients": coefficients,
            "scores": self._scores.report() | {"log_loss_linear": losses[STRAIGHT], "log_loss_squares": losses[BENT]},
            "statistics": logit_report.statistics(self._twins, self._features, self._target, self._scores, self._drift),
        }

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:
        """The map of the probability, and the straight model's line of one half; None before the second row."""
        if self._scores.rows < SCALED:
            return {"map": None, "line": None}
        rows = [self._values(row) for row in recent]
        return {
            "map": decision_map(self._features, self._twins.terms, self._twins.density, self._twins.weight, rows),
            "line": half_line(self._twins.raw(STRAIGHT)[0].tolist()),
        }

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """Coefficients beside the likeliest of all rows at once; log loss and AUC beside those of exact ranks."""
        stored = logit_audit.Stored(rows, self._features, self._target)
        if not len(stored):
            return []
        return [
            *logit_audit.coefficient_gaps(self._twins, stored, self._features),
            *logit_audit.score_gaps(self._scores, stored, self._new_twins().learn),
        ]

    def _begin(self) -> None:
        self._twins = self._new_twins()
        self._scores, self._drift = ClassificationScores(), PageHinkley()

    def _new_twins(self) -> Twins:
        said = self._params
        prior = Prior(said.intercept_sd, said.slope_sd, said.square_sd, said.forget)
        return Twins(len(self._features), prior, said.standardise_rows)

    def _values(self, row: Row) -> list[float]:
        return [float(row[feature]) for feature in self._features]
