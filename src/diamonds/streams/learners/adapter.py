"""Any learner of scikit-learn with `partial_fit`, or of river with `learn_one`, riding along: by its class and params.

What such a learner holds can be saved as a pickle only, which is unsafe to load: whoever can write to the database
could run code. So a checkpoint keeps its scores, and after a restart it learns the stored rows again (`needs_replay`).
A learner that is deterministic, by a seed where it needs one, is then as if it had never stopped. That takes as long as
learning them did: 0.1 to 0.2 seconds a thousand rows for scikit-learn's SGDClassifier, a tenth of that for river's
LogisticRegression. It also does so where a commit failed and what was learned since the checkpoint has to be forgotten.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.learners import Gap, Report
from diamonds.streams.science.riders import Rider, Task, rider
from diamonds.streams.science.scores import ClassificationScores, RegressionScores
from diamonds.streams.spec import FeedSpec, Row

#: An audit learns so many rows again at most: more take longer than somebody would wait.
AUDITED_ROWS = 20_000

#: Scores of probabilities; who says only yes or no has none.
OF_CHANCES = ("log_loss", "brier", "auc")


class Params(BaseModel):
    """What the entry says.

    Attributes:
        path: Where the class lies, such as sklearn.linear_model.SGDClassifier; the entry calls it `class`.
        params: What it is made of; a seed (`random_state`, `seed`) where it draws by chance.
        target: The column that is predicted: a boolean is classified, a number regressed.
        features: The columns that it is predicted from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(alias="class")]
    params: dict[str, Any] = {}
    target: str
    features: Annotated[tuple[str, ...], Field(min_length=1)]


def build(params: Params, spec: FeedSpec) -> Adapter:
    """An estimator that has learned nothing yet.

    Raises:
        ConfigurationError: The feed has no such columns, or the class cannot be used for them.
    """
    for name in (params.target, *params.features):
        if name not in spec.columns:
            raise ConfigurationError(f"the feed {spec.name} has no column {name}; it has {', '.join(spec.columns)}")
    if params.target in params.features:
        raise ConfigurationError(f"the features of {params.target} must be other columns")
    texts = [name for name in (params.target, *params.features) if spec.columns[name].type == "text"]
    if texts:
        raise ConfigurationError(f"the adapter takes numbers and booleans; {', '.join(texts)} of {spec.name} is text")
    is_classifier = spec.columns[params.target].type == "boolean"
    return Classifying(params) if is_classifier else Regressing(params)


class Adapter(ABC):
    """What both kinds of targets have in common."""

    #: What was learned cannot be saved as data: the stored rows are to be learned again, all of them, in their order.
    needs_replay = True

    _task: ClassVar[Task]
    _refusal: str  # the first, in words
    _scores: ClassificationScores | RegressionScores

    def __init__(self, params: Params) -> None:
        """Nothing was learned yet."""
        self._params = params
        self._begin()

    def learn(self, row: Row) -> None:
        """Predict the row, score the prediction, then learn from it.

        A row at which the estimator fails is scored and counted; if it fails to learn it, it is left out.
        """
        values, answer = self._values(row), float(row[self._params.target])
        said, problem = self._said(values)
        self._score(said, answer)
        try:
            self._rider.learn(values, answer)
        except Exception as error:  # noqa: BLE001 - another library may raise anything, and the stream goes on
            problem = problem or _in_words(error)
        if problem:
            self._refused += 1
            self._refusal = self._refusal or f"row {self._scores.rows:,}: {problem}"

    @abstractmethod
    def answer(self, row: Row) -> dict[str, Any]:
        """What is predicted for a row; how sure that is, such an estimator does not say.

        Raises:
            UntaughtError: Nothing was learned yet.
        """

    def dump(self) -> dict[str, Any]:
        """Its scores: they are what can be read of it in a checkpoint. What it learned is not among them."""
        return {"exact": False, "refused": self._refused, "refusal": self._refusal, "scores": self._scores.dump()}

    def load(self, document: Mapping[str, Any]) -> None:  # noqa: ARG002 - what was learned is not in it
        """Begin anew: who loads it lets it learn the stored rows (`needs_replay`), and the scores come with them."""
        self._begin()

    def report(self) -> Report:
        """Its scores, and at how many rows it failed; no coefficients, for their uncertainty is not known."""
        return {
            "coefficients": [],
            "scores": self._scores.report(),
            "statistics": {
                "class": self._params.path,
                "exact": False,
                "refused": self._refused,
                "note": f"at {self._refused:,} rows it failed; {self._refusal}" if self._refused else "",
            },
        }

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:  # noqa: ARG002 - nothing is drawn of them
        """Nothing is drawn."""
        return {}

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """Its scores beside those of learning the stored rows again: a gap says that it is not deterministic."""
        first = list(islice(rows, AUDITED_ROWS + 1))
        if not 0 < len(first) <= AUDITED_ROWS:
            return []
        again = type(self)(self._params)
        for row in first:
            again.learn(row)
        pairs = zip(self.report()["scores"].items(), again.report()["scores"].values(), strict=True)
        return [
            Gap(what=name, streamed=here, batch=there, gap=abs(here - there), unit="absolute")
            for (name, here), there in pairs
            if here is not None and there is not None and not name.startswith("recent_")
        ]

    @abstractmethod
    def _score(self, said: float | None, answer: float) -> None:
        """Score what the estimator said of a row."""

    @abstractmethod
    def _blank(self) -> None:
        """Begin new scores."""

    def _begin(self) -> None:
        self._rider: Rider = rider(self._params.path, self._params.params, self._task)
        self._refused = 0
        self._refusal = ""
        self._blank()

    def _said(self, values: Mapping[str, float]) -> tuple[float | None, str]:
        """What the estimator predicts, None where it does not say or what is no number; and why, where it failed."""
        try:
            said = self._rider.predict(values)
        except Exception as error:  # noqa: BLE001 - another library may raise anything, and the stream goes on
            return None, _in_words(error)
        return said if said is not None and math.isfinite(said) else None, ""

    def _values(self, row: Row) -> dict[str, float]:
        return {feature: float(row[feature]) for feature in self._params.features}

    def _require_rows(self) -> None:
        if not self._scores.rows:
            raise UntaughtError(f"nothing is known of {self._params.target} yet: no row was learned")


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class Classifying(Adapter):
    """Of a boolean column; where the estimator does not say, a yes is held as likely as a no.

    One that says only yes or no, without a probability, has no log loss, Brier score or AUC.
    """

    _task = "classification"

    def answer(self, row: Row) -> dict[str, Any]:
        """The probability of a yes.

        Raises:
            UntaughtError: Nothing was learned yet.
        """
        self._require_rows()
        said, _ = self._said(self._values(row))
        return {"probability": self._probability(said), "low": None, "high": None, "rows": self._scores.rows}

    def report(self) -> Report:
        """As of any, with the calibration."""
        report = super().report()
        if self._rider.gives_probabilities:
            report["statistics"]["calibration"] = self._scores.calibration()
            report["statistics"]["recent_calibration"] = self._scores.recent_calibration()
        else:
            report["scores"] |= dict.fromkeys(f"{prefix}{name}" for prefix in ("", "recent_") for name in OF_CHANCES)
        return report

    def _blank(self) -> None:
        self._scores: ClassificationScores = ClassificationScores()

    def _score(self, said: float | None, answer: float) -> None:
        self._scores.add(self._probability(said), bool(answer))

    def _probability(self, said: float | None) -> float:
        return 0.5 if said is None else min(max(said, 0.0), 1.0)


class Regressing(Adapter):
    """Of a column of numbers; where the estimator does not say, it is the mean so far."""

    _task = "regression"

    def answer(self, row: Row) -> dict[str, Any]:
        """The number.

        Raises:
            UntaughtError: Nothing was learned yet.
        """
        self._require_rows()
        said, _ = self._said(self._values(row))
        return {"estimate": self._estimate(said), "low": None, "high": None, "rows": self._scores.rows}

    def _blank(self) -> None:
        self._scores: RegressionScores = RegressionScores()

    def _score(self, said: float | None, answer: float) -> None:
        self._scores.add(self._estimate(said), answer)

    def _estimate(self, said: float | None) -> float:
        return self._scores.mean if said is None else said
