"""What is answered: one function a route, from what was asked and the champion to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from diamonds.schema import FEATURES, GRADES, Diamond
from diamonds.service.champion import LoadedChampion
from diamonds.service.messages import Batch, Effect, Price, Quote, Quotes, Reasons, Samples, SimilarQuery, SimilarStone

CURRENCY = "USD"


def quote(champion: LoadedChampion, diamond: Diamond, request_id: str) -> Quote:
    """Price one stone."""
    pricer, stone = champion.pricer, diamond.__dict__
    price, low, high = pricer.quote(stone)
    return Quote.model_construct(  # of what is known to hold: nothing is checked again
        price=price,
        currency=CURRENCY,
        low=low,
        high=high,
        confidence=pricer.band.confidence,
        assumed=pricer.assumed(stone),
        outside=pricer.outside(stone),
        model=pricer.name,
        version=pricer.version,
        request_id=request_id,
    )


def quotes(champion: LoadedChampion, batch: Batch, request_id: str) -> Quotes:
    """Price several stones."""
    pricer = champion.pricer
    stones = [diamond.__dict__ for diamond in batch.root]
    described = frame(stones)
    prices, outside = pricer.price(described).to_numpy().tolist(), pricer.outside_many(described)
    confidence = pricer.band.confidence
    return Quotes.model_construct(
        quotes=[
            Price.model_construct(
                price=price,
                currency=CURRENCY,
                low=low,
                high=high,
                confidence=confidence,
                assumed=pricer.assumed(stone),
                outside=beyond,
            )
            for stone, (price, low, high), beyond in zip(stones, prices, outside, strict=True)
        ],
        model=pricer.name,
        version=pricer.version,
        request_id=request_id,
    )


def reasons(champion: LoadedChampion, diamond: Diamond, request_id: str) -> Reasons:
    """Price one stone and say why."""
    (explanation,) = champion.pricer.explain(frame([diamond.__dict__]))
    return Reasons(
        quote=quote(champion, diamond, request_id),
        base_price=explanation.base_price,
        effects=[Effect(**asdict(effect)) for effect in explanation.effects],
    )


def similar(champion: LoadedChampion, query: SimilarQuery, request_id: str) -> Samples:
    """Find the training stones most like one."""
    found = champion.similar.nearest(query.carat, query.cut, query.color, query.clarity, query.n)
    return Samples.model_construct(
        samples=[SimilarStone.model_construct(**stone) for stone in found], request_id=request_id
    )


def frame(stones: Sequence[dict[str, object]]) -> pd.DataFrame:
    """The stones as a frame with the columns `FEATURES`, missing measurements as NaN."""
    columns = {
        field: [stone[field] for stone in stones]
        if field in GRADES
        else pd.array([stone.get(field) for stone in stones], dtype="float64")
        for field in FEATURES
    }
    return pd.DataFrame(columns)
