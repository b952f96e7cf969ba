"""A stock BentoML service: typed stones in, constants out, and nothing else of this project."""

from __future__ import annotations

from typing import Any

import bentoml
from pydantic import BaseModel


class Stone(BaseModel):
    """A stone as `/predict` takes it, without its checks."""

    carat: float
    cut: str
    color: str
    clarity: str
    depth: float | None = None
    table: float | None = None
    x: float | None = None
    y: float | None = None
    z: float | None = None


class Price(BaseModel):
    """A price and its band."""

    price: float
    currency: str
    low: float
    high: float
    confidence: float


CONSTANT = {"price": 4729.65, "currency": "USD", "low": 3886.64, "high": 5257.48, "confidence": 0.9}


@bentoml.service
class Stock:
    """Two routes that do nothing."""

    @bentoml.api
    async def untyped_answer(self, stone: Stone, /) -> dict[str, Any]:  # noqa: ARG002 - it is there to be parsed
        """A constant, as a dict."""
        return CONSTANT

    @bentoml.api
    async def typed_answer(self, stone: Stone, /) -> Price:  # noqa: ARG002 - it is there to be parsed
        """The same constant, as a model."""
        return Price(**CONSTANT)
