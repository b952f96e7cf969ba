"""From a feed to what is learned from it."""

from diamonds.pipelines.streaming.pipeline import NAME, create_pipeline, is_streaming

__all__ = ["NAME", "create_pipeline", "is_streaming"]
