"""A search of its own, for tests that start several at once: `python tuner.py TRIALS CSV`, database by environment."""

import json
import sys
from datetime import timedelta

import pandas as pd
from sklearn.model_selection import KFold

from diamonds.config import read_settings
from diamonds.models import xgboost
from diamonds.pipelines.training.search import search
from diamonds.pipelines.training.tuning import Tuning
from diamonds.store import studies

if __name__ == "__main__":
    studies.HEARTBEAT_SECONDS, studies.SILENCE = 1, timedelta(seconds=2)
    stones = pd.read_csv(sys.argv[2])
    folds = [
        (stones.iloc[known], stones.iloc[judged])
        for known, judged in KFold(2, shuffle=True, random_state=1).split(stones)
    ]
    tuning = Tuning(trials=int(sys.argv[1]), timeout=None, folds=2, seed=42, pruner="none")
    params = xgboost.Params(n_estimators=100, learning_rate=0.08, max_depth=5, n_jobs=1)
    found = search("xgboost", folds, params, tuning, studies.open_studies(read_settings()))
    print(json.dumps(found))  # noqa: T201 - to who started it
