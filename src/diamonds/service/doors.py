"""The routes that take a body: what it has to be, what is answered, and what is said where it does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ValidationError

from diamonds import schema
from diamonds.schema import Diamond
from diamonds.service import answers
from diamonds.service.bodies import BYTE_ORDER_MARK
from diamonds.service.champion import LoadedChampion
from diamonds.service.exchange import Exchange
from diamonds.service.market import Market
from diamonds.service.messages import Batch, SaleReport, SimilarQuery
from diamonds.service.problems import RefusedError
from diamonds.service.sales import report_sale
from diamonds.service.state import Serving

#: Numbers that are none, or too large.
_BEYOND_JSON = re.compile(rb"NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{300}")
#: To list more than this takes longer than others should wait.
MOST_ERRORS = 10_000


class Work(Enum):
    """What it takes to answer."""

    QUICK = "no time worth speaking of"
    COMPUTES = "a processor, for longer than others should wait"
    WAITS = "the database"


@dataclass(frozen=True)
class Door:
    """A route that takes POST requests.

    Attributes:
        body: What is asked.
        title: What a refusal is called.
        answer: From the worker, what is asked and the exchange to the answer, as JSON.
        item: What the body is a list of, if it is one.
        work: How long others would have to wait for it.
        guarded: Whether it changes anything.
    """

    body: type[BaseModel]
    title: str
    answer: Callable[[Serving, Any, Exchange], bytes]
    item: type[BaseModel] | None = None
    work: Work = Work.QUICK
    guarded: bool = False

    def enter(self, serving: Serving, exchange: Exchange) -> bytes:
        """The answer, as JSON, to an exchange whose body is read.

        Raises:
            RefusedError: It is answered with a problem.
        """
        body = exchange.request_body
        try:
            asked = self.read(body)
        except RefusedError as refused:
            exchange.is_json = refused.status != 400 and not _BEYOND_JSON.search(body)  # noqa: PLR2004 - HTTP's own
            raise
        if b"NaN" in body or b"Infinity" in body:  # a field that is given twice may hide one
            raise RefusedError(422, [schema.Problem("", None, "NaN and Infinity are no JSON")], self.title)
        exchange.is_json = True
        return self.answer(serving, asked, exchange)

    def read(self, body: bytes) -> BaseModel:
        """What is asked.

        Raises:
            RefusedError: It is not JSON, or does not hold; the error says all that is wrong.
        """
        try:
            return self.body.model_validate_json(body.removeprefix(BYTE_ORDER_MARK))
        except ValidationError as error:
            if error.error_count() > MOST_ERRORS:
                told = schema.Problem("", None, f"{error.error_count():,} things are wrong: this is something else")
                raise RefusedError(422, [told], self.title) from error
            if error.error_count() == 1 and (only := error.errors(include_url=False)[0])["type"] == "json_invalid":
                raise RefusedError(400, [schema.Problem("", None, only["msg"])]) from error
            raise RefusedError(422, schema.problems(error, self.item or self.body), self.title) from error


def _priced(
    answer: Callable[[LoadedChampion, Any, str, Market | None], bytes], prices: Callable[[Any], int]
) -> Callable[[Serving, Any, Exchange], bytes]:
    """An answer that takes the champion and the market, once: all of it comes from the same model, at one index."""

    def answered(serving: Serving, asked: Any, exchange: Exchange) -> bytes:  # noqa: ANN401 - each door has its own
        champion = serving.require_champion()
        exchange.answered_by = champion.pricer
        exchange.prices = prices(asked)
        market = serving.market.of(champion.pricer) if serving.market else None
        return answer(champion, asked, exchange.request_id, market)

    return answered


def _one(asked: object) -> int:  # noqa: ARG001 - each door counts its own
    return 1


def _similar(serving: Serving, query: SimilarQuery, exchange: Exchange) -> bytes:
    """Stones that the champion has learned from; nothing is priced."""
    champion = serving.require_champion()
    exchange.answered_by = champion.pricer
    return answers.similar(champion, query, exchange.request_id)


UNPRICED = "This diamond cannot be priced"
DOORS = {
    "/predict": Door(Diamond, UNPRICED, _priced(answers.quote, _one)),
    "/predict/batch": Door(
        Batch,
        "These diamonds cannot be priced",
        _priced(answers.quotes, lambda batch: len(batch.root)),
        item=Diamond,
        work=Work.COMPUTES,
    ),
    "/similar": Door(SimilarQuery, "No stones can be looked up for this", _similar),
    "/explain": Door(Diamond, UNPRICED, _priced(answers.reasons, _one), work=Work.COMPUTES),
    "/sales": Door(SaleReport, "This sale cannot be recorded", report_sale, work=Work.WAITS, guarded=True),
}
