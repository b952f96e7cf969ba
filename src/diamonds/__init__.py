"""Prices diamonds, keeps its own models sharp, and answers over HTTP."""

import os

# Read as XGBoost and scikit-learn load: how often a thread looks whether the others are done before it sleeps. Left to
# itself it spins for milliseconds and holds the core that they need: beside other work a fit took thirty times as long.
# Not to spin at all makes it up to eight times as long where nothing else runs; ten times as much makes it no quicker.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
