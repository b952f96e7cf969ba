"""Gradient boosted trees (XGBoost) on log price, on graded ranks, measurements and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from xgboost import XGBRegressor

from diamonds.features import on_log_price, ranks_and_shape

if TYPE_CHECKING:
    from optuna import Trial


class Params(BaseModel, extra="forbid"):
    """XGBoost's own parameters, by its own names."""

    n_estimators: int = Field(default=600, gt=0)
    learning_rate: float = Field(default=0.04, gt=0, le=1)
    max_depth: int = Field(default=8, ge=1)
    min_child_weight: float = Field(default=5, ge=0)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample_bytree: float = Field(default=0.7, gt=0, le=1)
    reg_lambda: float = Field(default=1, ge=0)
    n_jobs: int = Field(default=2, ge=1)
    random_state: int = 42


def build(params: Params) -> TransformedTargetRegressor:
    """A regressor with these parameters."""
    return on_log_price(make_pipeline(ranks_and_shape(), XGBRegressor(**params.model_dump())))


def suggest(trial: Trial, params: Params) -> Params:
    """The search space: how deep, how careful and how fast trees learn; their number stays as it is."""
    return params.model_copy(
        update={
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
            "max_depth": trial.suggest_int("max_depth", 5, 9),
            "min_child_weight": trial.suggest_float("min_child_weight", 1, 30, log=True),
            "subsample": trial.suggest_float("subsample", 0.6, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.3, 10, log=True),
        }
    )
