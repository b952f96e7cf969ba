"""The API as BentoML serves it: thin routes from what is asked to what is answered."""

from __future__ import annotations

import logging
from pathlib import Path

import bentoml
from bentoml.exceptions import NotFound, ServiceUnavailable

from diamonds.schema import Diamond
from diamonds.service import answers, state
from diamonds.service.hooks import Door, RequestHook, current
from diamonds.service.state import LoadedChampion, Serving

logger = logging.getLogger(__name__)

#: Named in bentofile.yaml too, so that a Bento carries it.
CHAMPION = "diamonds:latest"

serving = Serving()


@bentoml.service(
    name="diamonds",
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},  # every exchange is in the traffic log already
    tracing={"excluded_urls": ".*"},
)
class Diamonds:
    """Prices of diamonds, and stones like them, from the champion of the models trained so far."""

    @bentoml.on_deployment
    def prepare() -> None:
        """Do what is done once, before any worker starts."""
        state.prepare()

    @bentoml.on_startup
    def open(self) -> None:
        """Load the champion and open the way to the traffic log."""
        serving.open(_champion_folder())

    @bentoml.on_shutdown
    def close(self) -> None:
        """Ship what is left of the log."""
        serving.close()

    @bentoml.api(route="/predict")
    async def predict(self, diamond: Diamond, /) -> answers.Quote:
        """The price of a diamond in US dollars, with the band it lies in."""
        champion, request_id = _answering()
        return answers.quote(champion.pricer, diamond, request_id)

    @bentoml.api(route="/similar")
    async def similar(self, query: answers.SimilarQuery, /) -> answers.Samples:
        """Stones of the training data with the same cut, color and clarity, the nearest weight first."""
        champion, request_id = _answering()
        return answers.similar(champion.similar, query, request_id)

    async def __is_ready__(self) -> bool:
        """Whether there is a champion to answer with."""
        return serving.champion is not None


Diamonds.add_asgi_middleware(  # type: ignore[attr-defined]  # the decorator made it a Service
    RequestHook,
    serving=serving,
    doors={
        "/predict": Door(Diamond, "This diamond cannot be priced"),
        "/similar": Door(answers.SimilarQuery, "No stones can be looked up for this"),
    },
)


def _answering() -> tuple[LoadedChampion, str]:
    """The champion that answers the present request, and the request's id."""
    if serving.champion is None:
        raise ServiceUnavailable("no champion is loaded")
    exchange = current.get()
    exchange.answered_by = serving.champion.pricer
    return serving.champion, exchange.request_id


def _champion_folder() -> Path | None:
    """Where the champion lies: in the Bento that is served, or in the model store of this machine."""
    try:
        return Path(bentoml.models.get(CHAMPION).path)
    except NotFound:
        logger.error("there is no champion yet, so no price is quoted: train one with `kedro run`, then start again")
        return None
