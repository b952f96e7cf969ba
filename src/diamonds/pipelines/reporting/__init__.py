"""From what the runs left behind to figures for people."""

from diamonds.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
