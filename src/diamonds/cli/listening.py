"""A web server of one process, for commands that serve until they are stopped."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from diamonds.errors import DiamondsError

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

#: How many connections may wait to be taken.
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        DiamondsError: It cannot: something else does, or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        number = error.errno or 0  # the resolver counts its own errors from -1 down
        why = os.strerror(number) if number > 0 else error.strerror
        raise DiamondsError(f"{host}:{port} cannot be served: {why}; choose another with --port") from error


def address(listener: socket.socket) -> str:
    """What to open in a browser, or to ask."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def serve(app: ASGIApp, listener: socket.socket, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
    """Serve until SIGTERM or Ctrl-C, then answer what was asked."""
    run(make_server(app, **options), listener)


def make_server(app: ASGIApp, at_end: Callable[[], object] = lambda: None, **options: Any) -> Server:  # noqa: ANN401 - uvicorn's
    """A server that is yet to run; another thread ends it by its `should_exit`.

    Args:
        app: What it serves.
        at_end: Is called as soon as it is to end, before it waits for what is still being answered.
        options: uvicorn's own.
    """
    import uvicorn

    class EndingServer(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            at_end()
            await super().shutdown(sockets)

    return EndingServer(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="on", **options))


def run(server: Server, listener: socket.socket) -> None:
    """Serve until it is ended, then answer what was asked."""
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has ended in order, and says how
        return


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does, in order."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
