"""The table of contents of data engineering."""

from kedro.pipeline import Node, Pipeline

from diamonds.pipelines.data_engineering import nodes


def create_pipeline() -> Pipeline:
    """Raw files → appraisals and quarantine → train and holdout."""
    return Pipeline(
        [
            Node(
                nodes.read_files,
                inputs=["raw_appraisals", "params:engine"],
                outputs=["raw_rows", "raw_files"],
                name="read_files",
            ),
            Node(
                nodes.check_rows,
                inputs="raw_rows",
                outputs=["checked_rows", "quarantine"],
                name="check_rows",
            ),
            Node(
                nodes.drop_duplicates,
                inputs=["checked_rows", "params:split"],
                outputs="appraisals",
                name="drop_duplicates",
            ),
            Node(
                nodes.split,
                inputs=["appraisals", "params:split"],
                outputs=["train", "holdout"],
                name="split",
            ),
            Node(
                nodes.report,
                inputs=["raw_files", "quarantine", "checked_rows", "train", "holdout"],
                outputs="data_report",
                name="report",
            ),
        ],
        namespace="data_engineering",
        prefix_datasets_with_namespace=False,
    )
