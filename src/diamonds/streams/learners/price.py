"""What a stone costs by its weight and grades: a linear model of the log price, while the market as a whole may drift.

It is least squares over all rows, one after the other, in information form: what is held is the matrix of products of
features and log price, and coefficients are solved from it. The intercept, which all prices share, does a random walk;
what it walked is marginalised out by a rank-one downdate of that matrix (Bierman, "Factorization methods for discrete
sequential estimation", 1977). Without a walk it is least squares, to the last digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg.lapack import dposv

from diamonds.errors import UntaughtError
from diamonds.schema import MEASURES
from diamonds.streams.learners import Coefficient, Gap, Learner, Report
from diamonds.streams.science.price_scores import PriceScores
from diamonds.streams.science.stones import TERMS, features_of, require_columns, write_features
from diamonds.streams.spec import FeedSpec, Row

Array = NDArray[np.float64]

SIZE = len(TERMS)
#: Where the first power of log carat lies in `TERMS`, and how many there are.
LOG_CARAT, POWERS = TERMS.index("log carat"), 3
#: exp() of more overflows.
MOST_POWER = 700.0
#: Fewer stones say too little of how far prices scatter for the intercept to walk by, or for an interval.
ENOUGH = 2 * SIZE
#: What keeps predictions sober while grades are still unseen: worth a tenth of a stone each, and no part of what is
#: held, so that the coefficients are those of least squares.
PRIOR_STONES = 0.1
#: The least variance of log prices that is believed: prices that miss by a hundredth of a percent.
LEAST_VARIANCE = 1e-8
#: No prediction is beyond what a price can be: log dollars.
LEAST_LOG, MOST_LOG = math.log(0.01), math.log(MEASURES["price"].most)
#: Of a normal distribution, 95 % lie so many standard deviations about the mean.
NORMAL_95 = 1.959963984540054
#: Beyond this condition number of the products, the coefficients are not told apart by the stones so far.
MOST_CONDITION = 1e12
#: Stored rows are fitted so many at a time by an audit.
CHUNK = 1000


class Params(BaseModel):
    """What the entry in `conf/base/streams.yml` may say.

    Attributes:
        walk: The variance that the market's level, in log dollars, gains with each stone; 0 where it stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    walk: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1e-6


def build(params: Params, spec: FeedSpec) -> Learner:
    """A model that has seen no stone yet.

    Raises:
        ConfigurationError: The feed gives no stones with their prices.
    """
    require_columns(spec, ("carat", "price"), "price")
    return PriceModel(params.walk)


class PriceModel:
    """Recursive least squares on the log price, with an intercept that walks."""

    def __init__(self, walk: float) -> None:
        """Hold nothing yet."""
        self._walk = walk
        self._products = np.zeros((SIZE + 1, SIZE + 1))
        self._rows = 0
        self._lightest: float | None = None  # of the weights seen, in log carat
        self._heaviest: float | None = None
        self._variance: float | None = None
        self._scores = PriceScores()
        self._prior = np.diag([0.0] + [PRIOR_STONES] * (SIZE - 1))
        self._scratch = np.empty_like(self._products)

    def learn(self, row: Row) -> None:
        """Predict the stone's price, score that, then learn from it."""
        described = np.zeros(SIZE + 1)
        write_features(row, described)
        log_price = described[SIZE] = math.log(row["price"])
        self._let_the_market_walk()
        if self._rows:
            self._scores.add(self._predict(described[:SIZE]), log_price)
        np.multiply(described[:, np.newaxis], described, out=self._scratch)
        self._products += self._scratch
        self._rows += 1
        self._see_weight(float(described[LOG_CARAT]))

    def answer(self, row: Row) -> dict[str, Any]:
        """What a stone costs now, and between what it lies in 95 of 100 cases, in dollars.

        Raises:
            UntaughtError: Too few stones were seen.
        """
        if self._rows < ENOUGH:
            raise UntaughtError(f"{self._rows} stones were seen, and a price takes {ENOUGH}: let more come first")
        features = features_of(row)
        told, products = self._solved()
        variance = self._variance or self._variance_beyond(float(self._products[SIZE, :SIZE] @ told))
        log_price = _believed(float(features @ told))
        beyond = max(float(features @ np.linalg.solve(products, features)), 0.0)
        half = NORMAL_95 * math.sqrt(variance * (1 + beyond))
        low, price, high = (round(math.exp(_believed(log_price + away)), 2) for away in (-half, 0.0, half))
        return {"price": price, "low": low, "high": high, "rows": self._rows}

    def dump(self) -> dict[str, Any]:
        """All that it holds; of the products, which are symmetric, the upper half."""
        return {
            "rows": self._rows,
            "weights": [self._lightest, self._heaviest],
            "products": self._products[np.triu_indices(SIZE + 1)].tolist(),
            "variance": self._variance,
            "scores": self._scores.dump(),
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave, and nothing else."""
        self._rows = document["rows"]
        self._lightest, self._heaviest = document["weights"]
        upper = np.zeros((SIZE + 1, SIZE + 1))
        upper[np.triu_indices(SIZE + 1)] = document["products"]
        self._products = np.where(np.tri(SIZE + 1, dtype=bool), upper.T, upper)
        self._variance = document["variance"]
        self._scores.load(document["scores"])

    def report(self) -> Report:
        """The coefficients as factors on the price, how far prices were off, and what a usual stone costs.

        `usual_price` is that of 1 ct and the best grades, `twice_the_weight` what 2 ct cost more: None where no stone
        was as light or as heavy, for a cubic says nothing beyond the weights it was fitted to.
        """
        coefficients = self._coefficients()
        return Report(
            coefficients=list(coefficients),
            scores={"rows": self._rows} | self._scores.report(),
            statistics={
                "walk": self._walk,
                "scatter": math.sqrt(self._variance) if self._variance else None,
                "usual_price": self._usual_price(coefficients),
                "twice_the_weight": self._twice_the_weight(coefficients),
                "note": None if coefficients else f"{self._rows} stones do not tell weight and grades apart yet",
            },
        )

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:
        """The newest prices beside what is computed for those stones now, in dollars."""
        if not self._rows or not recent:
            return {"prices": []}
        told, _ = self._solved()
        computed = np.exp(np.clip(np.array([features_of(row) for row in recent]) @ told, LEAST_LOG, MOST_LOG))
        return {"prices": [[row["price"], round(each, 2)] for row, each in zip(recent, computed.tolist(), strict=True)]}

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """What weight and grades do to the price beside a fit to all stored rows at once, in standard errors.

        A fit to all rows knows no drift: where the intercept walks, it is left out, and the others differ by as much as
        the drift was mistaken for something else.
        """
        fitted = _fit(rows)
        told = {each["term"]: each for each in self._coefficients()[1 if self._walk else 0 :]}
        return [
            Gap(
                what=term,
                streamed=each["estimate"],
                batch=fitted[term],
                gap=(each["estimate"] - fitted[term]) / each["se"],
                unit="standard errors",
            )
            for term, each in told.items()
        ]

    def _let_the_market_walk(self) -> None:
        """Forget as much of the intercept as it may have walked since the stone before."""
        if not self._walk or self._variance is None:
            return
        first = self._products[0]
        share = self._walk / (self._variance + self._walk * first[0])
        np.multiply(first[:, np.newaxis], first, out=self._scratch)
        self._scratch *= share
        self._products -= self._scratch

    def _predict(self, features: Array) -> float:
        """The log price before it is seen; on the way, how far log prices scatter."""
        told, _ = self._solved()
        if self._rows >= ENOUGH:
            self._variance = self._variance_beyond(float(self._products[SIZE, :SIZE] @ told))
        return _believed(float(features @ told))

    def _see_weight(self, log_carat: float) -> None:
        self._lightest = log_carat if self._lightest is None else min(log_carat, self._lightest)
        self._heaviest = log_carat if self._heaviest is None else max(log_carat, self._heaviest)

    def _spans(self, log_carat: float) -> bool:
        """Whether stones as light and as heavy were seen."""
        lightest, heaviest = self._lightest, self._heaviest
        return lightest is not None and heaviest is not None and lightest <= log_carat <= heaviest

    def _usual_price(self, coefficients: Sequence[Factor]) -> float | None:
        """What a stone of 1 ct and the best grades costs, in dollars."""
        if not coefficients or not self._spans(0.0):
            return None
        return math.exp(_believed(coefficients[0]["estimate"]))

    def _twice_the_weight(self, coefficients: Sequence[Factor]) -> float | None:
        """By what a stone of 2 ct costs more than one of 1 ct, its grades the same."""
        powers = [each["estimate"] for each in coefficients if "carat" in each["term"]]
        if len(powers) != POWERS or not self._spans(0.0) or not self._spans(math.log(2)):
            return None
        return _exp(sum(power * math.log(2) ** degree for degree, power in enumerate(powers, 1)))

    def _solved(self) -> tuple[Array, Array]:
        """The coefficients that predict, and the products that they solve.

        The prior keeps these definite beyond any rounding, so that Cholesky does, in a third of the time of `solve`.
        """
        products = self._products[:SIZE, :SIZE] + self._prior
        _, told, _ = dposv(products, self._products[:SIZE, SIZE])
        return told, products

    def _coefficients(self) -> list[Factor]:
        """Those of least squares; without those of grades that were not seen, and none while they cannot be told."""
        seen = np.flatnonzero(np.diag(self._products)[:SIZE])
        products, with_price = self._products[np.ix_(seen, seen)], self._products[seen, SIZE]
        if self._rows < ENOUGH or np.linalg.cond(products) > MOST_CONDITION:
            return []
        estimates = np.linalg.solve(products, with_price)
        variance = self._variance_beyond(float(with_price @ estimates))
        errors = np.sqrt(variance * np.diag(np.linalg.inv(products)))
        return [
            _coefficient(TERMS[place], estimate, error)
            for place, estimate, error in zip(seen.tolist(), estimates.tolist(), errors.tolist(), strict=True)
        ]

    def _variance_beyond(self, explained: float) -> float:
        """How far log prices scatter about what explains so much of the sum of their squares: the variance."""
        return max((float(self._products[SIZE, SIZE]) - explained) / (self._rows - SIZE), LEAST_VARIANCE)


class Factor(Coefficient):
    """A coefficient, and by what it multiplies the price.

    The factors are None for powers of log carat, which multiply together, and beyond what a float can hold.
    """

    factor: float | None
    factor_low: float | None
    factor_high: float | None


def _coefficient(term: str, estimate: float, error: float) -> Factor:
    low, high = estimate - NORMAL_95 * error, estimate + NORMAL_95 * error
    is_grade = ":" in term
    factor, factor_low, factor_high = (_exp(each) if is_grade else None for each in (estimate, low, high))
    return Factor(
        term=term,
        estimate=estimate,
        se=error,
        low=low,
        high=high,
        factor=factor,
        factor_low=factor_low,
        factor_high=factor_high,
    )


def _believed(log_price: float) -> float:
    """Within what a price can be."""
    return min(max(log_price, LEAST_LOG), MOST_LOG)


def _exp(power: float) -> float | None:
    """None beyond what a float can hold."""
    return math.exp(power) if power < MOST_POWER else None


def _fit(rows: Iterator[Row]) -> dict[str, float]:
    """The coefficients of least squares by term, by orthogonal triangles, whatever the number of rows."""
    triangle = np.zeros((0, SIZE + 1))
    chunk: list[Array] = []
    for row in rows:
        chunk.append(np.append(features_of(row), math.log(row["price"])))
        if len(chunk) == CHUNK:
            triangle, chunk = np.asarray(np.linalg.qr(np.vstack([triangle, *chunk]), mode="r")), []
    triangle = np.vstack([triangle, *chunk])
    fitted, *_ = np.linalg.lstsq(triangle[:, :SIZE], triangle[:, SIZE])
    return dict(zip(TERMS, fitted.tolist(), strict=True))
