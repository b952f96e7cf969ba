"""Drawing what the runs left behind."""

from typing import Any

import plotly.graph_objects as go

from diamonds.datasets.champion import CurrentChampion
from diamonds.pipelines.reporting import history_figure


def plot_history(
    model_history: list[dict[str, Any]],
    promotion: CurrentChampion | None,  # noqa: ARG001 - asked for so that this run's promotion is entered by now
) -> go.Figure:
    """Each metric of each model, run by run, this run's among them."""
    return history_figure.draw(model_history)
