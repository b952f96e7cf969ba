"""What callers ask and what they are answered, as types: the API is described by them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import UUID7, AwareDatetime, BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import SkipJsonSchema

from diamonds.schema import MEASURES, WHOLE, Diamond, PricedDiamond

#: As many stones are priced by one request.
MOST_STONES = 10_000
#: How an id looks, for programs that do not know UUIDs of version 7.
REQUEST_ID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"


class Price(BaseModel):
    """The price of a stone, and how sure it is."""

    price: float = Field(description="in US dollars")
    currency: str = Field("USD", description="of all amounts")
    low: float = Field(description="lower end of the band")
    high: float = Field(description="upper end of the band")
    confidence: float = Field(description="share of stones whose price lies inside their band")
    assumed: list[str] = Field(description="measurements that were not given, and so estimated")
    outside: list[str] = Field(description="features beyond what the model was trained on")


def _is_none(value: object) -> bool:
    return value is None


def never_null(schema: dict[str, Any]) -> None:
    """Describe a field that may be absent, and is never null."""
    schema.pop("default")


class InMarket(BaseModel):
    """What a service that follows a market says of it beside its prices; without one, neither is there."""

    market_index: float | SkipJsonSchema[None] = Field(
        None,
        exclude_if=_is_none,
        json_schema_extra=never_null,
        description="what the model's price was multiplied by, for how far the market has moved since it was trained;"
        " 1 where that is not known well enough. Only where the service follows a market",
    )
    as_of_rows: int | SkipJsonSchema[None] = Field(
        None,
        exclude_if=_is_none,
        json_schema_extra=never_null,
        description="how many rows of the market's feed were seen for that, 0 where none were. Only where the service"
        " follows a market",
    )


class Quote(InMarket, Price):
    """The price of one stone, and the model that made it."""

    model: str = Field(description="the model that made this price")
    version: str = Field(description="the model's version")
    request_id: str = Field(description="names this answer, to report a sale by for example")


class Batch(RootModel[Annotated[list[Diamond], Field(min_length=1, max_length=MOST_STONES)]]):
    """Stones to price at once, 1 to 10,000."""


class Quotes(InMarket):
    """The prices of several stones, in the order in which they were asked for."""

    quotes: list[Price]
    model: str = Field(description="the model that made these prices")
    version: str = Field(description="the model's version")
    request_id: str


class SimilarQuery(Diamond):
    """A stone, and how many like it to show; only carat, cut, color and clarity matter."""

    n: Annotated[int, Field(ge=1, le=100, description="how many stones, 1 to 100"), WHOLE] = 5


class SimilarStone(PricedDiamond):
    """A stone of the training data, and how far its weight is from the one asked for."""

    carat_difference: float = Field(description="in carats, never negative")


class Samples(BaseModel):
    """The stones most like the one asked for, the nearest weight first."""

    samples: list[SimilarStone]
    request_id: str


class Effect(BaseModel):
    """What one feature does to a price."""

    feature: str = Field(description="of the stone; or market_index, where the service follows a market")
    value: str | float | None = Field(
        description="what the stone has, estimated where it was not given; null where its sizes are so impossible that"
        " the estimate is endless"
    )
    factor: float = Field(description="by how much it multiplies the price")
    usd: float = Field(description="by how many dollars it changes the price")


class Reasons(BaseModel):
    """A quote, and how its price comes about from the usual price."""

    quote: Quote
    base_price: float = Field(description="the usual price in dollars, the same for all stones")
    effects: list[Effect] = Field(
        description="the greatest first; the factors multiply base_price to the price, the dollars add up to it"
    )


class SaleReport(BaseModel):
    """The price really paid for a stone that was quoted."""

    model_config = ConfigDict(extra="forbid")

    request_id: UUID7 = Field(description="of the quote", json_schema_extra={"pattern": REQUEST_ID})
    price: Annotated[
        float, Field(gt=0, le=MEASURES["price"].most, strict=True, allow_inf_nan=False, description="in US dollars")
    ]
    position: Annotated[
        int | None,
        Field(
            ge=0, lt=MOST_STONES, strict=True, description="which stone of a batch, counted from 0; only for batches"
        ),
        WHOLE,
    ] = None


class RecordedSale(BaseModel):
    """A sale as it is kept."""

    request_id: str = Field(description="of the quote")
    position: int | None
    price: float = Field(description="in US dollars")
    quoted: float = Field(description="the price that was quoted, in US dollars")
    recorded_at: AwareDatetime
