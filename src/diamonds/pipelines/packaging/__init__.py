"""From a decision to the champion that the service finds."""

from diamonds.pipelines.packaging.pipeline import create_pipeline

__all__ = ["create_pipeline"]
