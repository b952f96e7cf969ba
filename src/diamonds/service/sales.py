"""Sales as they are reported: what was really paid for a stone, beside what was quoted for it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from diamonds.errors import SaleConflictError
from diamonds.schema import Problem
from diamonds.service.bodies import unpack
from diamonds.service.exchange import Exchange
from diamonds.service.messages import RecordedSale, SaleReport
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving
from diamonds.store import sales, traffic
from diamonds.store.outbox import find_waiting

BATCH = "/predict/batch"
#: The routes that quote.
QUOTING = ("/predict", "/explain", BATCH)
UNRECORDED = "This sale cannot be recorded"


def report_sale(serving: Serving, report: SaleReport, exchange: Exchange) -> bytes:  # noqa: ARG001 - as doors answer
    """Record the price really paid for a stone that was quoted, a `RecordedSale`; the same sale twice is one.

    Raises:
        RefusedError: No quote has this id, the batch has no such stone, the stone is recorded as sold for another
            price, or the database is away.
    """
    request_id = str(report.request_id)
    try:
        quoted = find_waiting(serving.outbox_folder, request_id) or traffic.exchange(serving.engine, request_id)
        sale = sales.record(
            serving.engine, request_id, report.position, report.price, **_quoted(quoted, report.position)
        )
    except SaleConflictError as error:
        raise RefusedError(422, [Problem("price", report.price, str(error))], UNRECORDED) from error
    except SQLAlchemyError as error:
        raise RefusedError(503, title="The database is away, so the sale was not recorded: try again") from error
    recorded = RecordedSale(
        request_id=request_id,
        position=report.position,
        price=sale.price,
        quoted=sale.quote["price"],
        recorded_at=sale.recorded_at,
    )
    return recorded.model_dump_json().encode()


def _quoted(exchange: dict[str, Any] | None, position: int | None) -> dict[str, Any]:
    """What was quoted in an exchange: the stone, the quote and its model, as columns of the sale."""
    if exchange is None or exchange["status"] != 200 or exchange["path"] not in QUOTING:  # noqa: PLR2004 - HTTP's own
        raise RefusedError(404, title="No quote has this request_id")
    asked, answer, model = exchange["request_body"], exchange["response_body"], exchange["model"]
    if exchange.get("quoted"):
        asked, answer = unpack(exchange["quoted"])
    made_by = {"model": model, "version": exchange["version"]}
    if exchange["path"] == BATCH:
        place = _place(position, len(answer["quotes"]))
        return {"stone": asked[place], "quote": answer["quotes"][place]} | made_by
    if position is not None:
        raise RefusedError(422, [Problem("position", position, "is only for batches: leave it out")], UNRECORDED)
    return {"stone": asked, "quote": answer.get("quote", answer)} | made_by


def _place(position: int | None, stones: int) -> int:
    if position is None or position >= stones:
        problem = f"must say which of the {stones:,} stones of this batch was sold, from 0 to {stones - 1:,}"
        raise RefusedError(422, [Problem("position", position, problem)], UNRECORDED)
    return position
