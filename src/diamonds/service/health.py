"""What machines ask: whether prices are quoted here, and how it goes."""

from __future__ import annotations

import asyncio

from starlette.types import Send

from diamonds.service import problems
from diamonds.service.exchange import new_request_id
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving


async def readyz(serving: Serving, send: Send) -> None:
    """Answer 200 where there is a champion, else 503 and why."""
    text = serving.readiness()
    if serving.champion is None:
        body = problems.as_json(RefusedError(503, title=text), new_request_id())
        await _send(send, 503, problems.CONTENT_TYPE, body)
    else:
        await _send(send, 200, "text/plain; charset=utf-8", text.encode())


async def metrics(serving: Serving, send: Send) -> None:
    """Answer what all workers have counted, as Prometheus reads it."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    client = BentoMLContainer.metrics_client.get()
    serving.settle_counts()
    body = await asyncio.to_thread(client.generate_latest)
    await _send(send, 200, client.CONTENT_TYPE_LATEST, body)


async def refuse_method(send: Send) -> None:
    """Answer that these addresses are only read."""
    body = problems.as_json(RefusedError(405), new_request_id())
    await _send(send, 405, problems.CONTENT_TYPE, body, (b"allow", b"GET, HEAD"))


#: By path; none of these is an exchange of the API.
HEALTH = {"/readyz": readyz, "/metrics": metrics}


async def _send(send: Send, status: int, content_type: str, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
