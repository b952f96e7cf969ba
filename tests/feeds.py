"""Feeds over HTTP for tests, and what a source reads from them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from diamonds.cli.listening import address, listen
from diamonds.streams.feeding.faults import Faults
from diamonds.streams.feeding.rows import Drawn
from diamonds.streams.feeding.server import make_app
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.reading.source import End, Source
from diamonds.streams.spec import FeedSpec

#: Employees and whether they were promoted; nobody learns.
SPEC = FeedSpec.model_validate(
    {
        "name": "promotions",
        "url": "http://127.0.0.1:5000",
        "columns": {
            "competence": {"type": "number"},
            "network_ability": {"type": "number"},
            "promoted": {"type": "boolean"},
        },
        "learners": {},
    }
)


@contextmanager
def serving(app, port: int = 0) -> Iterator[str]:
    """An app over HTTP, while it is needed: its address."""
    listener = listen("127.0.0.1", port)  # it takes connections from now on
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join()


def drawn_feed(rows: int | Callable[[], int], **options):
    """The feed of the command, over the rows that are visible."""
    visible = rows if callable(rows) else lambda: rows
    return make_app(SPEC, Drawn("sum", 1), visible, faults=Faults(**options))


class Scripted:
    """A feed that answers as a function of the page says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[int], object]):
        self.asked: list[int] = []
        self._answer = answer
        self.app = Starlette(routes=[Route("/api/v1/data", self._data)])

    async def _data(self, request: Request) -> Response:
        number = int(request.query_params["page"])
        self.asked.append(number)
        answer = self._answer(number)
        return answer if isinstance(answer, Response) else JSONResponse(answer)


def row(number, **other):
    return {"id": number, "competence": number / 10, "network_ability": -1.0, "promoted": number % 2 == 0} | other


def paged(rows, number):
    return rows[10 * number : 10 * number + 10]


START = Cursor(0, None)


class Told(list):
    """What a source tells, and how long it wanted to wait."""

    def __init__(self):
        super().__init__()
        self.pauses: list[float] = []

    def __call__(self, kind, detail):
        self.append((kind, detail))

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def kinds(self):
        return [kind for kind, _ in self]


def read(url, *, cursor=START, until=None, spec=SPEC, told=None, **options) -> list[Page]:
    """The pages from the cursor to the end, or as soon as `until(pages)` says."""
    told = Told() if told is None else told

    async def reading():
        pages = []
        async with Source(spec, url, tell=told, sleep=told.sleep, **options) as source:
            async for item in source.pages(cursor, follow=until is not None):
                if isinstance(item, Page):
                    pages.append(item)
                elif until is None or until(pages):
                    assert isinstance(item, End)
                    return pages
                else:
                    source.look_now()
        return pages

    return asyncio.run(reading())


def ids(pages):
    """The accepted ids in their order, each at its first coming, as the memory learns them."""
    return list(dict.fromkeys(each["id"] for page in pages for each in page.rows))
