"""The table of contents of training: the same three steps for each model that there is."""

from kedro.pipeline import Node, Pipeline

from diamonds import models
from diamonds.attempts import attempt
from diamonds.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """All models' steps, side by side."""
    return sum((_train(name) for name in models.available()), Pipeline([]))


def _train(name: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                attempt(name, nodes.tuning(name)),
                inputs=["train", f"params:models.{name}", "params:tuning", "studies"],
                outputs=f"{name}_params",
                name="tune",
            ),
            Node(
                attempt(name, nodes.fitting(name)),
                inputs=["train", f"{name}_params"],
                outputs=f"{name}_estimator",
                name="fit",
            ),
            Node(
                attempt(name, nodes.calibrating(name)),
                inputs=[
                    "train",
                    f"{name}_estimator",
                    f"{name}_params",
                    "data_report",
                    "params:calibration",
                ],
                outputs=f"{name}_pricer",
                name="calibrate",
            ),
        ],
        namespace=name,
        prefix_datasets_with_namespace=False,
    )
