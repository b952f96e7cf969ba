"""The table of contents of packaging."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.packaging import nodes


def create_pipeline() -> Pipeline:
    """The decision is entered in the database, and the champion it leaves put into the Bento model store."""
    return Pipeline(
        [
            Node(nodes.enter, inputs="decision", outputs="promotion", name="enter_decision"),
            Node(nodes.package, inputs="promotion", outputs="bento_model", name="package"),
        ],
        namespace="packaging",
        prefix_datasets_with_namespace=False,
    )
