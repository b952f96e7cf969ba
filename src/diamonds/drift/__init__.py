"""Whether a model is still right: the stones of today beside those of its training, its live error, and a verdict."""

from diamonds.drift.rule import Rule
from diamonds.drift.sales import LiveQuotes, live_error
from diamonds.drift.stones import FeatureDrift, compare, outside, stability_index
from diamonds.drift.verdict import Report, Sales, SoldDay, Verdict, judge

__all__ = [
    "FeatureDrift", "LiveQuotes", "Report", "Rule", "Sales", "SoldDay", "Verdict", "compare", "judge", "live_error",
    "outside", "stability_index",
]  # fmt: skip
