"""From raw files to checked stones, split for good into training and holdout."""

from diamonds.pipelines.data_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
