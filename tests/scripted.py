"""A server of ready-made answers, to see what a client makes of them."""

import asyncio
import threading
from contextlib import contextmanager


class Scripted(asyncio.Protocol):
    """Answers in turn, each in the pieces given; after an empty piece the connection is closed."""

    def __init__(self, answers, asked):
        self._answers, self._asked = answers, asked

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._asked.append(data)
        pieces = self._answers[(len(self._asked) - 1) % len(self._answers)]
        for number, piece in enumerate(pieces):
            asyncio.get_running_loop().call_later(0.001 * number, self._send, piece)

    def _send(self, piece):
        if piece:
            self._transport.write(piece)
        else:
            self._transport.close()


@contextmanager
def scripted(*answers):
    """Serve these answers in turn; gives the port and what was asked."""
    loop, asked = asyncio.new_event_loop(), []
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = loop.create_server(lambda: Scripted(answers, asked), "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result()
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answer(status, body=b"{}"):
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
