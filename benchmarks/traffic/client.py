"""Clients that remember: each answer with its id and its times, over connections that are made anew when they break.

They run in a process of their own, told by a file what to ask, and end when enough is asked or their standard input
is closed; what they received is then in another file. With a rate they ask whether the answers have come or not, as
far as there are connections, and count the time of each from when it was to be sent.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks.service.load import HEAD_END, missing
from benchmarks.service.servers import ROOT, end
from benchmarks.traffic.receipts import Receipt, Receipts

REQUEST_ID = re.compile(rb'"request_id": ?"([0-9a-f-]{36})"')
#: An answer that takes longer has failed.
PATIENCE_SECONDS = 60
RECONNECT_SECONDS = 0.02
CONNECTIONS = 16


@dataclass(frozen=True)
class Job:
    """What is asked.

    Attributes:
        port: Of the server, on loopback.
        requests: Whole requests, sent in turn, each byte as the character of its number.
        count: How many are sent in all; without end if 0.
        rate: How many a second; as many as are answered if 0.
        connections: How many are kept open.
        is_patient: Whether a client whose connection breaks comes back.
        keeps_bodies: Whether the bodies of answers are remembered.
    """

    port: int
    requests: list[str]
    count: int = 0
    rate: float = 0
    connections: int = CONNECTIONS
    is_patient: bool = False
    keeps_bodies: bool = False


class Clients:
    """Clients at work, in a process of their own."""

    def __init__(self, process: "subprocess.Popen[bytes]", receipts: Path) -> None:
        """They write here what they received."""
        self.process = process
        self._receipts = receipts

    def end(self) -> Receipts:
        """Let them wait for the answers under way and go.

        Raises:
            RuntimeError: They failed.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> Receipts:
        """What they received, once they have asked all.

        Raises:
            RuntimeError: They failed.
        """
        if self.process.wait() != 0:
            raise RuntimeError("the clients failed: what they said is above")
        return Receipts.read(self._receipts)


@contextmanager
def asking(requests: Sequence[bytes], port: int, **wanted: float) -> Iterator[Clients]:
    """Ask these requests of the server at this port for as long as is needed; see `Job` for the rest."""
    import psutil

    with tempfile.TemporaryDirectory(prefix="bench-clients-") as name:
        job, receipts = Path(name) / "job.json", Path(name) / "receipts.json"
        texts = [request.decode("latin-1") for request in requests]
        job.write_text(json.dumps({"port": port, "requests": texts} | wanted))
        command = [sys.executable, "-m", "benchmarks.traffic.client", str(job), str(receipts)]
        process = psutil.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True)
        try:
            yield Clients(process, receipts)
        finally:
            process.stdin.close()
            end(process)


class Connection(asyncio.Protocol):
    """One connection, and the answer that is awaited on it."""

    def __init__(self) -> None:
        """Await nothing yet."""
        self.is_open = True
        self._answer: asyncio.Future[bytes] | None = None
        self._received = bytearray()
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to send."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """The answer to a request, head and body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._received, self._missing = bytearray(), None
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Wait for the rest, or hand the answer over."""
        self._received += data
        self._missing = missing(bytes(self._received)) if self._missing is None else self._missing - len(data)
        if self._missing == 0 and self._answer is not None:
            self._answer.set_result(bytes(self._received))
            self._answer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to who awaits an answer."""
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the connection was closed before the answer"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Course:
    """What all clients share: whose turn it is, and what was received."""

    def __init__(self, job: Job) -> None:
        """Nothing is asked yet."""
        self.job = job
        self.receipts = Receipts()
        self.is_over = False
        self._requests = [text.encode("latin-1") for text in job.requests]
        self._asked = 0
        self._began = time.monotonic_ns()

    async def run(self) -> None:
        """Let all clients ask, until it is over."""
        await asyncio.gather(*(self._client() for _ in range(self.job.connections)))

    async def _client(self) -> None:
        connection: Connection | None = None
        while (number := self._next()) is not None:
            due = await self._await_turn(number)
            if connection is None or not connection.is_open:
                connection = await self._connect()
            if connection is None:
                return
            await self._ask(connection, number, due)
            if not (connection.is_open or self.job.is_patient):
                return
        if connection is not None:
            connection.close()

    def _next(self) -> int | None:
        if self.is_over or (self.job.count and self._asked >= self.job.count):
            return None
        self._asked += 1
        return self._asked - 1

    async def _await_turn(self, number: int) -> int:
        """When a request is to be sent: now, or what the rate says."""
        if not self.job.rate:
            return time.monotonic_ns()
        due = self._began + int(number / self.job.rate * 1e9)
        if (wait := (due - time.monotonic_ns()) / 1e9) > 0:
            await asyncio.sleep(wait)
        return min(due, time.monotonic_ns())  # timers are a little early at times

    async def _connect(self) -> Connection | None:
        """A new connection; none where nobody listens and the client does not wait for it, or it is over."""
        loop = asyncio.get_running_loop()
        while not self.is_over:
            try:
                return (await loop.create_connection(Connection, "127.0.0.1", self.job.port))[1]
            except OSError:
                if not self.job.is_patient:
                    return None
                await asyncio.sleep(RECONNECT_SECONDS)
        return None

    async def _ask(self, connection: Connection, number: int, due: int) -> None:
        try:
            answer = await connection.ask(self._requests[number % len(self._requests)])
        except OSError:
            self.receipts.broken += 1
            return
        self.receipts.answers.append(self._receipt(answer, number, due, time.monotonic_ns()))

    def _receipt(self, answer: bytes, number: int, due: int, ended: int) -> Receipt:
        named = REQUEST_ID.search(answer, answer.rfind(b'"request_id"'))
        body = answer.partition(HEAD_END)[2].decode() if self.job.keeps_bodies else None
        return Receipt(number, due, ended, int(answer[9:12]), named[1].decode() if named else "", body)


async def attend(job: Job) -> Receipts:
    """Do the job here, until standard input is closed at the latest.

    Raises:
        TimeoutError: Answers did not come.
    """
    course = Course(job)
    told = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), told.set)
    asked, stopped = asyncio.create_task(course.run()), asyncio.create_task(told.wait())
    await asyncio.wait([asked, stopped], return_when=asyncio.FIRST_COMPLETED)
    course.is_over = True
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stopped.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asked
    return course.receipts


def main() -> None:
    """Do the job in the file named first and write what was received to the second."""
    import uvloop

    job, receipts = map(Path, sys.argv[1:])
    uvloop.run(attend(Job(**json.loads(job.read_text())))).write(receipts)


if __name__ == "__main__":
    main()
