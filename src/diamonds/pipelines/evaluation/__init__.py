"""From pricers to a leaderboard and a decision about the champion."""

from diamonds.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
