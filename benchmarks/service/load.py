"""The client: ready-made requests over kept connections, each answer timed and its status counted.

It runs in a process of its own and parses no more of an answer than its status and length, so that the server is what
is measured. It ends by waiting for the answers under way: what it counts is what the server answered.
"""

import asyncio
import itertools
import json
import math
import re
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
#: No more bytes of an answer that was not 200 are kept.
SHOWN = 500
#: An answer that takes longer has failed.
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What is asked: each connection sends its next request when it has the answer to the last one.

    Attributes:
        port: Of the server, on loopback.
        path: That takes POST.
        bodies: JSON texts, sent in turn.
        connections: How many are kept open.
        warm_up: Seconds before anything is measured.
        seconds: How long it is measured; with 0 (and no warm-up) each connection asks once.
        renewed_after: Seconds after which a connection ends with an answer and a new one takes its place.
    """

    port: int
    path: str
    bodies: list[str]
    connections: int = 1
    warm_up: float = 0
    seconds: float = 0
    renewed_after: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """How it was answered.

    Attributes:
        statuses: How many answers had which status, those of the warm-up among them.
        requests: How many were answered while it was measured.
        seconds: How long it was measured.
        p50_ms: The median time from asking to the last byte of the answer.
        p99_ms: The time within which 99 of 100 were answered.
        client_load: The share of a processor that the client itself took: near 1, it is the client that is measured.
        refusal: How the body of the last answer that was not 200 begins.
    """

    statuses: dict[str, int]
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_load: float
    refusal: str = ""

    @property
    def answered(self) -> int:
        """How many requests were answered in all."""
        return sum(self.statuses.values())


def load(job: Job) -> Outcome:
    """Do the job in a process of its own.

    Raises:
        ConnectionError: The server did not answer all of it.
    """
    command = [sys.executable, __file__]
    done = subprocess.run(command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConnectionError(f"{job.path} was not answered to the end: {done.stderr.strip().rpartition(chr(10))[2]}")
    return Outcome(**json.loads(done.stdout))


class Tally:
    """What all connections count together."""

    def __init__(self, *, is_over: bool) -> None:
        """Count nothing yet; where it is over already, each connection asks once."""
        self.statuses: Counter[str] = Counter()
        self.nanoseconds = array("q")
        self.is_over = is_over
        self.refusal = ""

    def add(self, head: bytes, nanoseconds: int) -> None:
        """Count an answer, whose first bytes these are."""
        status = head[9:12].decode()
        self.statuses[status] += 1
        self.nanoseconds.append(nanoseconds)
        if status != "200":
            self.refusal = head.partition(HEAD_END)[2].decode(errors="replace")[:SHOWN]


class Connection(asyncio.Protocol):
    """One kept connection: it asks, waits for the whole answer, and asks again until it was the last or all is over."""

    def __init__(self, tally: Tally, requests: Iterator[bytes], seconds: float) -> None:
        """Take the requests from here, and ask none after so many seconds."""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = time.perf_counter() + seconds
        self._tally = tally
        self._requests = requests
        self._head = b""
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest, or count the answer and go on."""
        if self._missing is None:
            self._head += data
            self._missing = missing(self._head)
        else:
            self._missing -= len(data)
            if len(self._head) < SHOWN:
                self._head += data
        if self._missing == 0:
            self._tally.add(self._head, time.perf_counter_ns() - self._asked)
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, where an answer was still to come."""
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionError("the server closed a connection before its answer"))

    def _go_on(self) -> None:
        if self._tally.is_over or time.perf_counter() >= self._last:
            self.finished.set_result(None)
            self._transport.close()
        else:
            self._ask()

    def _ask(self) -> None:
        self._head, self._missing = b"", None
        self._asked = time.perf_counter_ns()
        self._transport.write(next(self._requests))


def missing(answer: bytes) -> int | None:
    r"""How many bytes an answer still lacks; None while its head is not complete.

    Raises:
        ValueError: It does not say how long it is.

    >>> missing(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{")
    3
    """
    end = answer.find(HEAD_END)
    if end < 0:
        return None
    length = LENGTH.search(answer, 0, end)
    if length is None:
        raise ValueError("an answer has no Content-Length, which this client needs")
    return end + len(HEAD_END) + int(length[1]) - len(answer)


async def ask(job: Job) -> Outcome:
    """Do the job here.

    Raises:
        ConnectionError: The server closed a connection before its answer.
        TimeoutError: Answers did not come.
    """
    tally = Tally(is_over=job.warm_up + job.seconds == 0)
    requests = itertools.cycle([request(job.path, body.encode()) for body in job.bodies])
    asking = asyncio.gather(*(_keep_asking(job, tally, requests) for _ in range(job.connections)))
    await asyncio.sleep(job.warm_up)
    skipped, began, busy = len(tally.nanoseconds), time.perf_counter(), time.process_time()
    await asyncio.sleep(job.seconds)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    measured = sorted(tally.nanoseconds[skipped:])
    tally.is_over = True
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asking
    return Outcome(
        statuses=dict(tally.statuses),
        requests=len(measured),
        seconds=seconds,
        p50_ms=quantile(measured, 0.5) / 1e6,
        p99_ms=quantile(measured, 0.99) / 1e6,
        client_load=busy / seconds,
        refusal=tally.refusal,
    )


async def _keep_asking(job: Job, tally: Tally, requests: Iterator[bytes]) -> None:
    """Have one connection at a time until the tally is over."""
    while True:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(tally, requests, job.renewed_after), "127.0.0.1", job.port
        )
        await connection.finished
        if tally.is_over:
            return


def request(path: str, body: bytes) -> bytes:
    """The bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + HEAD_END + body


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the ordered ones does not exceed; infinite where there are none.

    >>> quantile([1, 2, 3, 4], 0.5)
    2
    """
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.inf


if __name__ == "__main__":
    import uvloop

    print(json.dumps(asdict(uvloop.run(ask(Job(**json.load(sys.stdin)))))))
