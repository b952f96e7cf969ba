"""What is asked: requests of all kinds, of which a share is bad."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from benchmarks.service import bodies

SMALL_BATCH = 5
LONG_BYTES = 200_000
BAD_SHARE = 0.1
JSON = "application/json"


class Request(NamedTuple):
    """One request, before it is bytes."""

    path: str
    body: bytes = b""
    method: str = "POST"
    content_type: str = JSON

    def as_bytes(self) -> bytes:
        """As it is sent over a kept connection."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if self.body or self.method == "POST":
            head += f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}\r\n".encode() + self.body


def mix(stones: pd.DataFrame, count: int, seed: int, *, long: bool = True) -> list[Request]:
    """So many requests, a tenth of them bad; where `long`, some bodies of those are of 200 KB."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    sound, bad = _good(stones), _bad(bodies.four_cs(stones), long=long)
    return [next(bad if chance.random() < BAD_SHARE else sound) for _ in range(count)]


def good(stones: pd.DataFrame, count: int) -> list[Request]:
    """So many single diamonds to price."""
    return [Request("/predict", body.encode()) for body in itertools.islice(bodies.four_cs(stones), count)]


def _good(stones: pd.DataFrame) -> Iterator[Request]:
    """For ever: mostly single diamonds, a small batch now and then."""
    short, whole, similar = (
        itertools.cycle(kind(stones)) for kind in (bodies.four_cs, bodies.measured, bodies.queries)
    )
    for number in itertools.count(1):
        yield Request("/predict", next(short).encode())
        yield Request("/predict", next(whole).encode())
        yield Request("/similar", next(similar).encode())
        if number % 8 == 0:
            yield Request("/predict/batch", f"[{','.join(itertools.islice(whole, SMALL_BATCH))}]".encode())
        if number % 64 == 0:  # it takes as long as fifty others
            yield Request("/explain", next(short).encode())


def _bad(diamonds: list[str], *, long: bool) -> Iterator[Request]:
    """For ever, one kind after the other."""
    kinds = [*BAD, *(LONG if long else ())]
    for number, diamond in enumerate(itertools.cycle(diamonds)):
        yield kinds[number % len(kinds)](diamond)


def _with(diamond: str, **fields: object) -> bytes:
    return json.dumps(json.loads(diamond) | fields).encode()


#: Each makes a bad request of a diamond.
BAD: tuple[Callable[[str], Request], ...] = (
    lambda diamond: Request("/predict", diamond[:-1].encode()),  # not JSON
    lambda diamond: Request("/predict", diamond[:-1].encode() + b', "depth": NaN}'),
    lambda diamond: Request("/predict", b"na\xc3\xafve \x00 \xff"),  # noqa: ARG005
    lambda diamond: Request("/predict", _with(diamond, dept=61.5)),
    lambda diamond: Request("/predict", _with(diamond, color="Z")),
    lambda diamond: Request("/predict", _with(diamond, cut="\u0000 \ud83d")),  # what not every database holds
    lambda diamond: Request("/predict"),  # noqa: ARG005
    lambda diamond: Request("/predict", diamond.encode(), content_type="text/plain"),
    lambda diamond: Request("/nowhere", diamond.encode()),
    lambda diamond: Request("/predict", method="GET"),  # noqa: ARG005
    lambda diamond: Request("/predict/batch", f"[{diamond},{_with(diamond, carat=-1).decode()}]".encode()),
)
LONG: tuple[Callable[[str], Request], ...] = (
    lambda diamond: Request("/predict", _with(diamond, note="x" * LONG_BYTES)),
    lambda diamond: Request("/predict", (diamond * (LONG_BYTES // len(diamond)))[:LONG_BYTES].encode()),
)
