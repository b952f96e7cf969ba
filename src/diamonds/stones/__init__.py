"""Training stones as one sorted table, in memory or mapped from files: what a pricer keeps of them."""

from diamonds.stones.sorted import ALL_GRADES, NUMBERS, Grades, SortedStones

__all__ = ["ALL_GRADES", "NUMBERS", "Grades", "SortedStones"]
