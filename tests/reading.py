"""The pages by themselves, without a service around them."""

import asyncio
from contextlib import contextmanager

import httpx

from diamonds.config import Settings, read_settings
from diamonds.service.pages import Pages
from diamonds.service.state import Serving
from diamonds.store.database import migrate, open_database


@contextmanager
def read_by_pages(folder, monkeypatch):
    """An empty database that the pages read, in a folder where no run has left anything."""
    url = f"sqlite:///{folder}/d.db"
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", url)
    monkeypatch.chdir(folder)
    engine = open_database(Settings(database_url=url))
    migrate(engine)
    yield engine
    engine.dispose()


class Standing(Serving):
    """A worker with this champion, or none, and the settings that the environment names."""

    def __init__(self, champion):
        super().__init__()
        self._champion = champion
        self._engine = open_database(read_settings())
        self.admin_token = read_settings().admin_token
        self._stream_url = read_settings().stream_url

    @property
    def champion(self):
        return self._champion


def get(path, champion=None, **caller):
    """What the pages answer to a caller."""
    serving = Standing(champion)
    (answer,) = get_all(serving, [path], **caller)
    serving.reading.shutdown()
    serving.engine.dispose()
    return answer


def get_all(serving, paths, *, client="127.0.0.1", headers=None):
    """What the pages of a worker answer to somebody at this address who asks for all of these at once."""
    transport = httpx.ASGITransport(Pages(serving, dict).app(), client=(client, 50000))

    async def asked():
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as caller:
            return await asyncio.gather(*(caller.get(path, headers=headers) for path in paths))

    return asyncio.run(asked())


def post(path, form, champion=None, *, client="127.0.0.1", headers=None):
    """What the pages answer to a form that somebody at this address sends."""
    serving = Standing(champion)
    transport = httpx.ASGITransport(Pages(serving, dict).app(), client=(client, 50000))

    async def asked():
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as caller:
            return await caller.post(path, data=form, headers=headers)

    answer = asyncio.run(asked())
    serving.reading.shutdown()
    serving.engine.dispose()
    return answer
