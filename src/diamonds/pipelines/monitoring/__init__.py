"""From what is asked and paid to whether the champion is still right."""

from diamonds.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
