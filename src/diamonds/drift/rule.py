"""When it is time to retrain."""

from __future__ import annotations

from pydantic import BaseModel, Field

from diamonds.schema import FEATURES

#: How many tests a verdict looks at: one a feature, and two of the prices paid.
LOOKS = len(FEATURES) + 2


class Rule(BaseModel, extra="forbid"):
    """When it is time to retrain.

    Attributes:
        psi: From which population stability index on a feature has moved, where a test is sure of it too.
        bins: How many bins of the training stones' quantiles the index of a number is taken over.
        false_alarms: The share of windows at most that may say yes though nothing has changed.
        min_stones: With fewer that tell a feature, nothing is said of it.
        min_sales: With fewer prices paid, nothing is said of the live error.
        error_loss: By how much the live error may exceed the holdout's, as a fraction of that.
        coverage_loss: By how much the share of prices inside the band may fall below the holdout's.
        resamples: How many times the prices paid are drawn anew.
        seed: Of the draws.
    """

    psi: float = Field(gt=0)
    bins: int = Field(ge=2, le=100)
    false_alarms: float = Field(ge=0.02, lt=0.5)
    min_stones: int = Field(ge=50)
    min_sales: int = Field(ge=30)
    error_loss: float = Field(ge=0)
    coverage_loss: float = Field(ge=0, lt=1)
    resamples: int = Field(ge=1000)
    seed: int

    @property
    def surprise(self) -> float:
        """The p-value that one test must fall below, so that all together raise no more false alarms than they may.

        Bonferroni's bound (Dunn, "Multiple comparisons among means", JASA 1961).
        """
        return self.false_alarms / LOOKS
