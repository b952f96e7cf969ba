"""Prices diamonds, keeps its own models sharp, and answers over HTTP."""

import os

# OpenMP reads this when XGBoost and scikit-learn load. Threads that spin while they wait for each other hold the cores
# that the others need: on a busy machine a fit took up to thirty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
