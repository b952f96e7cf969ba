"""How parameters are searched for."""

from typing import Literal

from pydantic import BaseModel, Field


class Tuning(BaseModel, extra="forbid"):
    """The search's own parameters.

    Attributes:
        trials: How many sets of parameters a run tries, further to those that are known.
        timeout: Seconds after which no further trial begins; None for no such end.
        folds: How many folds judge each, inside the training stones.
        seed: Of the sampler and the folds.
        pruner: Which trials are given up half-way: those behind the `median`, those that `hyperband` gives no more
            rounds, or `none`.
    """

    trials: int = Field(ge=1)
    timeout: float | None = Field(gt=0)
    folds: int = Field(ge=2)
    seed: int
    pruner: Literal["median", "hyperband", "none"]
