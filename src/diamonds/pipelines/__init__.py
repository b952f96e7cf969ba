"""The Kedro pipelines, one stage of the way from raw files to a champion each, and those that stand apart from it."""

from kedro.pipeline import Pipeline

#: What `kedro run` leaves out: they train nothing, and need what is not always there, a feed or a champion.
APART = frozenset({"streaming", "monitoring"})


def stands_apart(pipeline: Pipeline) -> bool:
    """Whether a run trains nothing, so that no history of training has it: all its nodes are of `APART`."""
    namespaces = {node.namespace for node in pipeline.nodes}
    return bool(namespaces) and namespaces <= APART
