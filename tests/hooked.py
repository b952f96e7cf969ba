"""Requests through the request hook by hand: what was sent, what was answered, what was recorded."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

from pydantic import SecretStr

from diamonds.schema import Diamond
from diamonds.service.doors import Door
from diamonds.service.hooks import RequestHook

STONE = b'{"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}'
JSON = ((b"content-type", b"application/json"),)


def weigh(serving, diamond, exchange):
    return json.dumps({"carat": diamond.carat}, separators=(",", ":")).encode()


def door(answer=weigh, **changes):
    return {"/weigh": Door(Diamond, "This diamond cannot be weighed", answer, **changes)}


class Recording:
    """Stands where the champion and the outbox are in a worker."""

    def __init__(self, admin_token=None, masked=()):
        self.masked = frozenset(masked)
        self.admin_token = admin_token and SecretStr(admin_token)
        self.threads = ThreadPoolExecutor(1, thread_name_prefix="computing")
        self.waiting = ThreadPoolExecutor(1, thread_name_prefix="waiting")
        self.records = []
        self.counted = []

    def keep(self, record):
        self.records.append(json.loads(record, parse_constant=no_constant))

    def count(self, path, status, seconds, model, prices):
        self.counted.append((path, status))

    def count_unkept(self, why):
        self.counted.append(str(why))


class Caller:
    """One request through a hook, by hand: what was sent to it, and how many records there were at each message."""

    def __init__(self, serving, *, method="POST", path="/weigh", body=STONE, headers=JSON, client="192.0.2.1"):
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": list(headers),
            "client": (client, 4711),
        }
        chunks = body if isinstance(body, list) else [body]
        self.incoming = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
            for place, chunk in enumerate(chunks)
        ]
        self.serving, self.sent, self.known = serving, [], []

    async def receive(self):
        return self.incoming.pop(0) if self.incoming else {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        self.known.append(len(self.serving.records))

    async def through(self, hook):
        await hook(self.scope, self.receive, self.send)
        return self


def ask(serving, doors=None, app=None, **request):
    """What one request is answered."""
    caller = Caller(serving, **request)
    asyncio.run(caller.through(RequestHook(app or answering(), serving, door() if doors is None else doors)))
    return caller.sent, caller.known


def exchange(app, serving, **request):
    """One request that the app answers."""
    return ask(serving, {}, app, **request)


def answering(status=200, chunks=(b'{"price": 1}',), headers=()):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for place, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": place < len(chunks) - 1})

    return app


def problem(sent):
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/problem+json"
    return json.loads(sent[1]["body"], parse_constant=no_constant)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")
