"""The API as BentoML serves it: its routes, described by their types, and the request hook in front of them."""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml.exceptions import BentoMLConfigException
from pydantic import BaseModel

from diamonds.config import read_settings
from diamonds.errors import ConfigurationError
from diamonds.schema import Diamond
from diamonds.service import messages, openapi, state, workers
from diamonds.service.doors import DOORS
from diamonds.service.exchange import current
from diamonds.service.hooks import DEADLINE_SECONDS, RequestHook
from diamonds.service.pages import Pages
from diamonds.service.state import Serving

#: Named in bentofile.yaml too, so that a Bento carries it.
CHAMPION = "diamonds"

serving = Serving()


def _workers() -> int:
    """How many workers the settings ask for; BentoML shows an error of its own in one line, and ends with status 1."""
    try:
        return read_settings().workers
    except ConfigurationError as error:
        raise BentoMLConfigException(str(error)) from error


WORKERS = _workers()
IS_SHARED = WORKERS > 1 and workers.can_share()


@bentoml.service(
    name="diamonds",
    workers=1 if IS_SHARED else WORKERS,  # that one is forked
    traffic={"timeout": DEADLINE_SECONDS + 1},
    logging={"access": {"enabled": False}},  # every exchange is in the traffic log already
    metrics={"enabled": False},  # the hook counts
    tracing={"excluded_urls": ".*"},
)
class Diamonds:
    """Prices of diamonds, and stones like them, from the champion of the models trained so far.

    What is posted is answered by the request hook before it comes here (docs/adr/0013): the routes describe the API to
    BentoML and its clients, and answer the same where there is no hook.
    """

    @bentoml.on_deployment
    def prepare() -> None:
        """Do what is done once, before any worker starts."""
        state.prepare()

    @bentoml.on_startup
    async def open(self) -> None:
        """Load the champion and open the way to the traffic log."""
        serving.open(_store(), DOORS)

    @bentoml.on_shutdown
    def close(self) -> None:
        """Ship what is left of the log."""
        serving.close()

    @bentoml.api(route="/predict")
    async def predict(self, diamond: Diamond, /) -> messages.Quote:
        """The price of a diamond in US dollars, with the band it lies in."""
        return messages.Quote.model_validate_json(_answer("/predict", diamond))

    @bentoml.api(route="/predict/batch")
    async def predict_batch(self, diamonds: messages.Batch, /) -> messages.Quotes:
        """The prices of 1 to 10,000 diamonds, in their order."""
        return messages.Quotes.model_validate_json(_answer("/predict/batch", diamonds))

    @bentoml.api(route="/similar")
    async def similar(self, query: messages.SimilarQuery, /) -> messages.Samples:
        """Stones of the training data with the same cut, color and clarity, the nearest weight first."""
        return messages.Samples.model_validate_json(_answer("/similar", query))

    @bentoml.api(route="/explain")
    async def explain(self, diamond: Diamond, /) -> messages.Reasons:
        """The price of a diamond, and why it is what it is."""
        return messages.Reasons.model_validate_json(_answer("/explain", diamond))

    @bentoml.api(route="/sales")
    async def sales(self, sale: messages.SaleReport, /) -> messages.RecordedSale:
        """Record the price really paid for a diamond that was quoted."""
        return messages.RecordedSale.model_validate_json(_answer("/sales", sale))


Diamonds.add_asgi_middleware(  # type: ignore[attr-defined]  # the decorator made it a Service
    RequestHook, serving=serving, doors=DOORS
)
Diamonds.mount_asgi_app(  # type: ignore[attr-defined]
    Pages(serving, lambda: openapi.document(Diamonds.apis.values(), DOORS)).app()  # type: ignore[attr-defined]
)
if IS_SHARED:
    workers.share(WORKERS, lambda: serving.load(_store()))


def _answer(route: str, asked: BaseModel) -> bytes:
    return DOORS[route].answer(serving, asked, current.get())


def _store() -> Path:
    """Where the champion's entries lie: in the Bento that is served, or in the model store of this machine."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.model_store.get()._path) / CHAMPION
