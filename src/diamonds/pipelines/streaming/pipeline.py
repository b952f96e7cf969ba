"""The table of contents of streaming."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.streaming import nodes

NAME = "streaming"


def create_pipeline() -> Pipeline:
    """The batches of a feed are learned one by one to its end; then it is reported what was learned."""
    return Pipeline(
        [
            Node(nodes.learn, inputs="feed", outputs="stream", name="learn"),
            Node(nodes.summarise, inputs="stream", outputs="stream_report", name="summarise"),
        ],
        namespace=NAME,
        prefix_datasets_with_namespace=False,
    )


def is_streaming(pipeline: Pipeline) -> bool:
    """Whether a run only learns from a feed: it trains nothing, and no history of training has it."""
    return {node.namespace for node in pipeline.nodes} == {NAME}
