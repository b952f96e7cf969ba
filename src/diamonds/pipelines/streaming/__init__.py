"""From a feed to what is learned from it."""

from diamonds.pipelines.streaming.pipeline import create_pipeline

__all__ = ["create_pipeline"]
