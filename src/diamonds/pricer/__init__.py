"""The fitted thing that is versioned, packaged and served: it prices a stone and knows what it learned from."""

from diamonds.pricer.pricer import Pricer, TrainingSummary, dollars
from diamonds.pricer.saving import load, save

__all__ = ["Pricer", "TrainingSummary", "dollars", "load", "save"]
