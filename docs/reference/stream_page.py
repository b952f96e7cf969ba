"""The page that `diamonds stream` serves, from its own table of routes."""

from unittest.mock import create_autospec

from sqlalchemy import Engine

from diamonds.streams.live.app import make_app
from diamonds.streams.live.controls import WAYS
from diamonds.streams.live.downloads import COLUMNS, MEDIA
from diamonds.streams.running.runner import Runner
from diamonds.streams.spec import FeedSpec
from reference.addresses import addresses
from reference.markdown import code, table

HEAD = """## The page of a stream

What `diamonds stream` serves at `http://127.0.0.1:3001`. Errors are JSON with a `title` in plain words.
"""


def section() -> str:
    """Its addresses, the ways to steer it, and what can be downloaded; nothing is learned or read for it."""
    app = make_app(create_autospec(Runner), create_autospec(FeedSpec), create_autospec(Engine))
    downloads = ", ".join(code(f"/{name}.{form}") for name in ("rows", *COLUMNS) for form in MEDIA)
    ways = table(["steered by", "does"], [[code(f"/control/{way}"), does] for way, does in WAYS.items()])
    return "\n".join([
        HEAD, addresses(app.routes), f"To take away: {downloads}.\n",
        "A POST with a JSON object steers it; `{}` where nothing is said of what it takes.\n", ways,
    ])  # fmt: skip
