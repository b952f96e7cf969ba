"""The command `diamonds stream`: learns from a feed as it grows, shows what it learns, and lets a person steer."""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine

from diamonds.cli import listening
from diamonds.cli.speech import plainly
from diamonds.config import Settings, read_settings
from diamonds.errors import ConfigurationError, FeedError
from diamonds.store.database import open_database, require_current
from diamonds.store.revision import code_version
from diamonds.streams.spec import FeedSpec, feed

if TYPE_CHECKING:
    import socket

    from uvicorn import Server

    from diamonds.cli.watching import Watcher
    from diamonds.streams.running.runner import Runner

#: What is still being answered when it ends has so long, in seconds; a page that watches comes again by itself.
GRACE_SECONDS = 1
#: A batch takes less.
END_SECONDS = 15.0


@click.command()
@click.argument("name")
@click.option("--url", help="Where the feed is served, if not where conf/base/streams.yml says.")
@click.option("--paused", is_flag=True, help="Wait for Start on the page.")
@click.option("--once", is_flag=True, help="Stop at the end of the data.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another than loopback asks for a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="Of the page.")
@click.option("--service", default="http://127.0.0.1:3000", show_default=True, help="Where prices are served.")
@click.option("--pages-a-batch", type=click.IntRange(1, 500), help="How many pages one transaction learns.")
@click.option("--in-flight", type=click.IntRange(1, 16), help="How many pages are asked for at once.")
@click.option("--reset", is_flag=True, help="Begin anew from the first page; all stored rows are removed.")
@click.option("--replay", is_flag=True, help="Begin anew from the stored rows, then read on.")
@click.option("--no-panel", is_flag=True, help="Print a line now and then, also in a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each moment.")
@plainly
def stream(
    name: str, url: str | None, paused: bool, once: bool, host: str, port: int, service: str,
    pages_a_batch: int | None, in_flight: int | None, reset: bool, replay: bool, no_panel: bool, as_json: bool,
) -> None:  # fmt: skip
    """Learn from a feed of conf/base/streams.yml as it grows, until stopped.

    Every batch is one transaction, so that it goes on where it was whatever ends it. A page at http://127.0.0.1:3001
    shows what is learned and steers it.
    """
    if reset and replay:
        raise click.UsageError("--reset removes the stored rows that --replay would learn from: give one of them")
    spec, settings = feed(Path.cwd(), name), read_settings()
    token = require_a_door(host, settings)
    with listening.ended_by_signals(), listening.listen(host, port) as listener:
        engine = open_database(settings, durable=True)
        require_current(engine)
        wishes = {"url": url, "paused": paused, "in_flight": in_flight, "pages_a_batch": pages_a_batch}
        runner = _runner(spec, engine, reset=reset, replay=replay, **wishes)
        server = _server(runner, spec, engine, token, service)
        watcher = _watcher(runner, listening.address(listener), no_panel=no_panel, as_json=as_json)
        _live(runner, server, listener, watcher, once=once)


def require_a_door(host: str, settings: Settings) -> str | None:
    """The token that the page asks for.

    Raises:
        ConfigurationError: The page would be open to other machines without one.
    """
    from diamonds.web.passes import is_loopback

    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    if not is_loopback(host):
        raise ConfigurationError(
            f"on {host} other machines could steer the stream: set DIAMONDS_ADMIN_TOKEN, which the page then asks for,"
            " or serve it on 127.0.0.1"
        )
    return None


def _runner(
    spec: FeedSpec,
    engine: Engine,
    *,
    reset: bool,
    replay: bool,
    **wishes: Any,  # noqa: ANN401 - as `Runner` takes them
) -> Runner:
    from diamonds.streams.memory.memory import Memory
    from diamonds.streams.running.champion import ChampionWatch
    from diamonds.streams.running.runner import Runner
    from diamonds.streams.science.pricing import following

    champion = ChampionWatch(engine, Path.cwd())
    if reset or replay:
        memory = Memory(engine, spec, make_learners=following(champion), code_version=code_version(Path.cwd()))
        memory.reset(keep_rows=replay)
    return Runner(spec, engine, champion=champion, **wishes)


def _server(runner: Runner, spec: FeedSpec, engine: Engine, token: str | None, service: str) -> Server:
    from diamonds.streams.live import make_app

    app = make_app(runner, spec, engine, token=token, service=service.rstrip("/"))
    # Whoever waits for the runner is answered at once, so that the server need not wait for them.
    return listening.make_server(app, partial(runner.stop, 0), timeout_graceful_shutdown=GRACE_SECONDS)


def _watcher(runner: Runner, address: str, *, no_panel: bool, as_json: bool) -> Watcher:
    from diamonds.cli import watching

    if as_json:
        return watching.Lines(runner, watching.json_line)
    if no_panel or not sys.stdout.isatty():
        return watching.Lines(runner, watching.PlainLines(address))
    return watching.Panel(runner, address)


def _live(runner: Runner, server: Server, listener: socket.socket, watcher: Watcher, *, once: bool) -> None:
    """Learn, show and serve, until ended; then end each in order.

    Raises:
        FeedError: What was to be learned once could not be.
    """
    watching = threading.Thread(target=watcher.watch, name="watcher", daemon=True)
    runner.start_thread()
    watching.start()
    failed: list[str] = []
    if once:
        threading.Thread(target=_end_at_the_end, args=(runner, server, failed), name="once", daemon=True).start()
    try:
        listening.run(server, listener)
    finally:
        has_ended = runner.stop(END_SECONDS)
        watcher.stop()
        watching.join(5)
    if failed:
        raise FeedError(failed[0])
    if not has_ended:
        raise FeedError(f"what was being done has not ended in {END_SECONDS:g} s; what is saved is as it was before")


def _end_at_the_end(runner: Runner, server: Server, failed: list[str]) -> None:
    """Have the server end as soon as the feed does, or cannot be learned from."""
    seen = runner.snapshot()
    while not server.should_exit:
        status = seen.document["status"]
        if status == "failed" or (status == "paused" and seen.document["reason"]):
            failed.append(str(seen.document["reason"]))
        if failed or status == "caught up":
            server.should_exit = True
        seen = runner.wait(seen.number, 1.0)
