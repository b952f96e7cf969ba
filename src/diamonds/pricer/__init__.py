"""The fitted thing that is versioned, packaged and served: it prices a stone and knows what it learned from."""

from diamonds.pricer.pricer import Pricer, TrainingSummary
from diamonds.pricer.saving import load, save

__all__ = ["Pricer", "TrainingSummary", "load", "save"]
