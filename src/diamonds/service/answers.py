"""What callers ask and what they are answered, as types and as the functions that make one from the other."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from diamonds.pricer import Pricer
from diamonds.schema import FEATURES, GRADES, Diamond, PricedDiamond
from diamonds.similar import SimilarStones


class Quote(BaseModel):
    """The price of a stone, and how sure it is."""

    price: float = Field(description="in US dollars")
    currency: str = "USD"
    low: float = Field(description="lower end of the band")
    high: float = Field(description="upper end of the band")
    confidence: float = Field(description="share of stones whose price lies inside their band")
    model: str = Field(description="the model that made this price")
    version: str = Field(description="the model's version")
    assumed: list[str] = Field(description="measurements that were not given, and so estimated")
    outside: list[str] = Field(description="features beyond what the model was trained on")
    request_id: str


class SimilarQuery(Diamond):
    """A stone, and how many like it to show; only carat, cut, color and clarity matter."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2", "n": 3}}
    )

    n: Annotated[int, Field(ge=1, le=100, description="how many stones, 1 to 100")] = 5


class SimilarStone(PricedDiamond):
    """A stone of the training data, and how far its weight is from the one asked for."""

    carat_difference: float = Field(description="in carats, never negative")


class Samples(BaseModel):
    """The stones most like the one asked for, the nearest weight first."""

    samples: list[SimilarStone]
    request_id: str


def quote(pricer: Pricer, diamond: Diamond, request_id: str) -> Quote:
    """Price one stone."""
    stone = diamond.model_dump()
    priced = pricer.price(_frame(diamond)).iloc[0]
    return Quote(
        price=priced["price"],
        low=priced["low"],
        high=priced["high"],
        confidence=pricer.band.confidence,
        model=pricer.name,
        version=pricer.version,
        assumed=pricer.assumed(stone),
        outside=pricer.outside(stone),
        request_id=request_id,
    )


def similar(index: SimilarStones, query: SimilarQuery, request_id: str) -> Samples:
    """Find the training stones most like one."""
    found = index.nearest(query.carat, query.cut, query.color, query.clarity, query.n)
    return Samples(samples=[SimilarStone(**stone) for stone in found], request_id=request_id)


def _frame(diamond: Diamond) -> pd.DataFrame:
    """The stone as a frame of one row, missing measurements as NaN."""
    types = {field: str if field in GRADES else float for field in FEATURES}
    return pd.DataFrame([diamond.model_dump(include=set(FEATURES))]).astype(types)
