"""The table of contents of evaluation."""

from kedro.pipeline import Node, Pipeline

from diamonds import models
from diamonds.attempts import attempt
from diamonds.pipelines.evaluation import nodes


def create_pipeline() -> Pipeline:
    """Each model judged on the holdout, then all of them against the champion."""
    names = models.available()
    return sum((_evaluate(name) for name in names), Pipeline([])) + Pipeline(
        [
            Node(
                nodes.rank,
                inputs=["params:promotion", *(f"{name}_metrics" for name in names)],
                outputs="leaderboard",
                name="rank",
            ),
            Node(
                nodes.plot_leaderboard,
                inputs=["leaderboard", "params:promotion"],
                outputs="leaderboard_plot",
                name="plot_leaderboard",
            ),
            Node(
                nodes.judge,
                inputs={
                    "leaderboard": "leaderboard",
                    "holdout": "holdout",
                    "champion": "champion",
                    "promotion": "params:promotion",
                    "engine": "params:engine",
                    **{nodes.quotes_of(name): f"{name}_quotes" for name in names},
                },
                outputs="decision",
                name="judge",
            ),
        ],
        namespace="judgement",
        prefix_datasets_with_namespace=False,
    )


def _evaluate(name: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                attempt(name, nodes.evaluate, outputs=2),
                inputs=[f"{name}_pricer", "holdout"],
                outputs=[f"{name}_metrics", f"{name}_quotes"],
                name="evaluate",
            ),
            Node(
                attempt(name, nodes.plot_actual_against_predicted),
                inputs=[f"{name}_pricer", "holdout"],
                outputs=f"{name}_actual_against_predicted",
                name="plot_actual_against_predicted",
            ),
            Node(
                attempt(name, nodes.plot_importances),
                inputs=[f"{name}_pricer", "holdout"],
                outputs=f"{name}_importances",
                name="plot_importances",
            ),
        ],
        namespace=name,
        prefix_datasets_with_namespace=False,
    )
