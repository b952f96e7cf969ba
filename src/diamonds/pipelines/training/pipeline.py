"""The table of contents of training: the same three steps for each model that there is."""

from kedro.pipeline import Node, Pipeline

from diamonds import models
from diamonds.attempts import attempt
from diamonds.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """All models' steps, side by side."""
    names = models.available()
    tuned = [name for name in names if models.is_tuned(models.get(name))]
    return sum((*(_train(name) for name in names), *(_plot_search(name) for name in tuned)), Pipeline([]))


def _train(name: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                attempt(name, nodes.tuning(name)),
                inputs=["train", f"params:models.{name}", "params:tuning", "studies", "params:engine"],
                outputs=f"{name}_params",
                name="tune",
            ),
            Node(
                attempt(name, nodes.fitting(name)),
                inputs=["train", f"{name}_params", "params:engine"],
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
                    "params:engine",
                ],
                outputs=f"{name}_pricer",
                name="calibrate",
            ),
        ],
        namespace=name,
        prefix_datasets_with_namespace=False,
    )


def _plot_search(name: str) -> Pipeline:
    figures = ("search_history", "search_importances", "search_parallel_coordinates")
    return Pipeline(
        [
            Node(
                attempt(name, nodes.plotting_search(name), outputs=len(figures)),
                inputs=[f"{name}_params", "studies"],
                outputs=[f"{name}_{figure}" for figure in figures],
                name="plot_search",
            )
        ],
        namespace=name,
        prefix_datasets_with_namespace=False,
    )
