"""What a search looked like: Optuna's own figures of its study."""

from __future__ import annotations

from typing import Any

import optuna
import plotly.graph_objects as go
from optuna import visualization

ERROR = "cross-validated MAE, USD"
#: Of fewer trials that ended, nothing can be said about what matters.
FEWEST_TRIALS = 3


def figures_of(name: str, study: optuna.Study) -> tuple[go.Figure, go.Figure, go.Figure]:
    """The course of a search, how much each parameter mattered, and each trial as a line through its parameters."""
    ended = f"{len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))} trials that ran whole"
    history = visualization.plot_optimization_history(study, target_name=ERROR)
    history.update_layout(title=f"{name}: the error of each trial and the best so far ({ended})")
    importances = _importances(study)
    importances.update_layout(title=f"{name}: how much of the error's differences each parameter explains")
    lines = visualization.plot_parallel_coordinate(study, target_name=ERROR)
    lines.update_layout(title=f"{name}: each trial's parameters and its error ({ended})")
    return history, importances, lines


def _importances(study: optuna.Study) -> go.Figure:
    values = [trial.value for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if len(values) >= FEWEST_TRIALS and len(set(values)) > 1:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return visualization.plot_param_importances(study, evaluator, target_name=ERROR)
    return _empty(f"Known after {FEWEST_TRIALS} trials that ran whole; so far there are {len(values)}.")


def _empty(why: str) -> go.Figure:
    figure = go.Figure()
    figure.add_annotation(text=why, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    hidden: dict[str, Any] = {"visible": False}
    return figure.update_layout(xaxis=hidden, yaxis=hidden)
