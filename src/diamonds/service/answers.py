"""What is answered: one function a route, from the champion and what was asked to the answer, as JSON.

The answers are written as `messages` describes them, without an object of a model for each: that would take longer
than the price.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from pydantic_core import to_json

from diamonds.pricer import Pricer, Quoted
from diamonds.schema import Diamond, frame_of
from diamonds.service.champion import LoadedChampion
from diamonds.service.market import Market
from diamonds.service.messages import Batch, SimilarQuery

CURRENCY = "USD"


def quote(champion: LoadedChampion, diamond: Diamond, request_id: str, market: Market | None) -> bytes:
    """Price one stone: a `messages.Quote`."""
    return to_json(_quote(champion.pricer, diamond, request_id, market))


def quotes(champion: LoadedChampion, batch: Batch, request_id: str, market: Market | None) -> bytes:
    """Price several stones: `messages.Quotes`."""
    pricer, stones = champion.pricer, [diamond.__dict__ for diamond in batch.root]
    described = frame_of(stones)
    priced = zip(stones, pricer.price(described).to_numpy().tolist(), pricer.outside_many(described), strict=True)
    return to_json(
        {
            "quotes": [_price(pricer, stone, Quoted(*quoted), outside, market) for stone, quoted, outside in priced],
            **_made_by(pricer, request_id, market),
        }
    )


def reasons(champion: LoadedChampion, diamond: Diamond, request_id: str, market: Market | None) -> bytes:
    """Price one stone and say why: `messages.Reasons`."""
    (explanation,) = champion.pricer.explain(frame_of([diamond.__dict__]))
    quoted = _quote(champion.pricer, diamond, request_id, market)
    effects = [asdict(effect) for effect in explanation.effects]
    return to_json(
        {
            "quote": quoted,
            "base_price": explanation.base_price,
            "effects": effects if market is None else _joined(effects, market, explanation.price, quoted["price"]),
        },
        inf_nan_mode="null",
    )


def similar(champion: LoadedChampion, query: SimilarQuery, request_id: str) -> bytes:
    """Find the training stones most like one: `messages.Samples`."""
    samples = champion.similar.nearest_json(query.carat, query.cut, query.color, query.clarity, query.n)
    return b'{"samples":%b,"request_id":"%b"}' % (samples, request_id.encode())


def _joined(effects: list[dict[str, Any]], market: Market, computed: float, quoted: float) -> list[dict[str, Any]]:
    """The effects on the price that the model computed and that of the market on what is quoted, the greatest first."""
    its = {"feature": "market_index", "value": market.market_index, "factor": quoted / computed}
    its["usd"] = round(quoted - computed, 2)
    return sorted([*effects, its], key=lambda effect: (-abs(effect["usd"]), -abs(math.log(effect["factor"]))))


def _quote(pricer: Pricer, diamond: Diamond, request_id: str, market: Market | None) -> dict[str, Any]:
    stone = diamond.__dict__
    priced = _price(pricer, stone, pricer.quote(stone), pricer.outside(stone), market)
    return priced | _made_by(pricer, request_id, market)


def _price(
    pricer: Pricer, stone: dict[str, Any], quoted: Quoted, outside: list[str], market: Market | None
) -> dict[str, Any]:
    if market is not None:
        quoted = quoted.times(market.market_index)
    return {
        "price": quoted.price,
        "currency": CURRENCY,
        "low": quoted.low,
        "high": quoted.high,
        "confidence": pricer.band.confidence,
        "assumed": pricer.assumed(stone),
        "outside": outside,
    }


def _made_by(pricer: Pricer, request_id: str, market: Market | None) -> dict[str, Any]:
    made_by = {"model": pricer.name, "version": pricer.version, "request_id": request_id}
    return made_by if market is None else made_by | market._asdict()
