"""A feed as it is read, and the stream that is learned from it: saving a batch is the transaction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from diamonds.config import read_settings
from diamonds.store.database import open_database, require_current
from diamonds.store.revision import code_version
from diamonds.streams.spec import FeedSpec, feed

if TYPE_CHECKING:
    from diamonds.streams.memory.memory import Memory
    from diamonds.streams.running.catching_up import Batch


class _Streamed:
    """One feed of `conf/base/streams.yml`, and what is remembered of it."""

    def __init__(self, project: str, name: str) -> None:
        self._project, self._name = Path(project), name

    @cached_property
    def spec(self) -> FeedSpec:
        """What the feed is."""
        return feed(self._project, self._name)

    @cached_property
    def memory(self) -> Memory:
        """What is remembered of it."""
        from diamonds.streams.memory.memory import Memory
        from diamonds.streams.running.champion import ChampionWatch
        from diamonds.streams.science.pricing import following

        engine = open_database(read_settings(), durable=True)
        require_current(engine)
        learners = following(ChampionWatch(engine, self._project))
        return Memory(engine, self.spec, make_learners=learners, code_version=code_version(self._project))


class FeedDataset(AbstractDataset[NoReturn, "Iterator[Batch]"]):
    """A feed from where it was learned last to its end: loading gives its batches, each read when it is wanted."""

    def __init__(
        self,
        *,
        feed: str,
        url: str | None = None,
        pages_a_batch: int = 50,
        path: str = ".",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the feed.

        Args:
            feed: Its entry in `conf/base/streams.yml`.
            url: Where it is served, if not where the entry says.
            pages_a_batch: How many pages are learned in one transaction.
            path: The project's folder.
            metadata: For Kedro's plugins.
        """
        self.metadata = metadata
        self._feed, self._url, self._pages_a_batch, self._path = feed, url, pages_a_batch, path

    def load(self) -> Iterator[Batch]:
        """Begin to read where the checkpoint is.

        Raises:
            FeedError: While it is read: the feed refuses a page, or is not there.
            StreamConflictError: What was learned is of another configuration.
        """
        from diamonds.streams.reading.source import Source
        from diamonds.streams.running.catching_up import Batch, batches

        streamed = _Streamed(self._path, self._feed)
        begun = streamed.memory.look()
        read = batches(
            streamed.spec, begun.cursor, url=self._url, pages_a_batch=self._pages_a_batch, make_source=Source
        )
        return (Batch(begun.version, pages) for pages in read)

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: a feed is only read."""
        raise DatasetError(f"the feed {self._feed} is only read")

    def _describe(self) -> dict[str, Any]:
        return {"feed": self._feed, "url": self._url}


class StreamDataset(AbstractDataset["Batch", dict[str, Any]]):
    """What was learned from a feed: a batch is saved with all that it teaches, or not at all."""

    def __init__(self, *, feed: str, path: str = ".", metadata: dict[str, Any] | None = None) -> None:
        """Name the feed, and the project's folder; `metadata` is for Kedro's plugins."""
        self.metadata = metadata
        self._feed, self._path = feed, path
        self._streamed = _Streamed(path, feed)

    def load(self) -> dict[str, Any]:
        """What is known after the last checkpoint, by learner."""
        checkpoint = self._streamed.memory.look()
        facts = ("version", "page", "last_key", "rows", "rejected", "revised", "coefficients", "statistics")
        at = checkpoint.updated_at.isoformat()
        return {"feed": self._feed, "updated_at": at} | {fact: getattr(checkpoint, fact) for fact in facts}

    def save(self, data: Batch) -> None:
        """Learn a batch that follows the checkpoint.

        Raises:
            StreamConflictError: Another process learns from this feed, or has since the batch was begun to be read;
                nothing was saved.
            DatabaseError: The database took nothing.
        """
        from diamonds.streams.memory.checkpoint import conflict

        memory = self._streamed.memory
        if not memory.is_open and memory.open().version != data.version:
            self.release()
            raise conflict(self._feed)
        memory.commit(data.pages)

    def _release(self) -> None:
        self._streamed = _Streamed(self._path, self._feed)

    def _describe(self) -> dict[str, Any]:
        return {"feed": self._feed}
