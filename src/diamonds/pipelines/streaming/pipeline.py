"""The table of contents of streaming."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.streaming import nodes


def create_pipeline() -> Pipeline:
    """The batches of a feed are learned one by one to its end; then it is reported what was learned."""
    return Pipeline(
        [
            Node(nodes.learn, inputs="feed", outputs="stream", name="learn"),
            Node(nodes.summarise, inputs="stream", outputs="stream_report", name="summarise"),
        ],
        namespace="streaming",
        prefix_datasets_with_namespace=False,
    )
