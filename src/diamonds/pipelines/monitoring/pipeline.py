"""The table of contents of monitoring."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.monitoring import nodes


def create_pipeline() -> Pipeline:
    """The stones asked about are held beside the champion's training, the prices paid beside its holdout."""
    return Pipeline(
        [
            Node(
                nodes.watch,
                inputs=["traffic_window", "sales_window", "champion", "params:monitoring"],
                outputs="monitoring_report",
                name="watch",
            ),
            Node(
                nodes.plot_report,
                inputs=["monitoring_report", "params:monitoring"],
                outputs="monitoring_plot",
                name="plot_report",
            ),
        ],
        namespace="monitoring",
        prefix_datasets_with_namespace=False,
    )
