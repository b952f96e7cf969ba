"""The fitted thing that is versioned, packaged and served: it prices a stone and knows what it learned from."""

from diamonds.pricer.pricer import Pricer, Quoted, dollars
from diamonds.pricer.saving import load, save
from diamonds.pricer.summary import TrainingSummary

__all__ = ["Pricer", "Quoted", "TrainingSummary", "dollars", "load", "save"]
