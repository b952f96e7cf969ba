"""What is asked: stones of the default data, as JSON."""

import json

import pandas as pd

from benchmarks.service.servers import ROOT
from diamonds.schema import FEATURES, REQUIRED

STONES, BATCHES, BATCH, NEIGHBORS = 5_000, 20, 1_000, 5


def default_stones() -> pd.DataFrame:
    """The stones that come with the project, those left out whose measurements no service takes."""
    stones = pd.read_csv(ROOT / "data/01_raw/appraisals/diamonds.csv").astype({"price": float})
    return stones[(stones[["x", "y", "z"]] > 0).all(axis=1)]


def four_cs(stones: pd.DataFrame) -> list[str]:
    """Stones by what a caller has to say."""
    return [json.dumps(stone) for stone in _sample(stones)[list(REQUIRED)].to_dict("records")]


def measured(stones: pd.DataFrame) -> list[str]:
    """Stones by all that a caller can say."""
    return [json.dumps(stone) for stone in _sample(stones)[list(FEATURES)].to_dict("records")]


def queries(stones: pd.DataFrame) -> list[str]:
    """Stones to find others like."""
    return [json.dumps(stone | {"n": NEIGHBORS}) for stone in _sample(stones)[list(REQUIRED)].to_dict("records")]


def batches(stones: pd.DataFrame) -> list[str]:
    """Lists of measured stones."""
    drawn = [stones.sample(BATCH, random_state=seed)[list(FEATURES)] for seed in range(BATCHES)]
    return [json.dumps(batch.to_dict("records")) for batch in drawn]


def _sample(stones: pd.DataFrame) -> pd.DataFrame:
    return stones.sample(STONES, random_state=0)
