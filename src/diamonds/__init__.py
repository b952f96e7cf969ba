"""Prices diamonds, keeps its own models sharp, and answers over HTTP."""
