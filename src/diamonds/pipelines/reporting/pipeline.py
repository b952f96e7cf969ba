"""The table of contents of reporting."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.reporting import nodes


def create_pipeline() -> Pipeline:
    """The figures that look beyond one run's models."""
    return sum((_history(),), Pipeline([]))


def _history() -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.plot_history,
                inputs=["model_history", "promotion"],
                outputs="history_plot",
                name="plot_history",
            ),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
