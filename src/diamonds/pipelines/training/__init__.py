"""From training stones to pricers, a namespace for each model."""

from diamonds.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
