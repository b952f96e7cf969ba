"""Where services run: each has a folder and a database of its own, and the champion that all share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.service.log import TrafficLog
from benchmarks.service.servers import Server, running_diamonds
from benchmarks.traffic.postgresql import PostgreSQL
from diamonds.config import Settings
from diamonds.store.database import migrate, open_database

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@dataclass(frozen=True)
class Site:
    """Where one service runs.

    Attributes:
        database: The kind of its database, as people call it.
        folder: Its own.
        url: Of its database.
        champion: The folder of the Bento store.
    """

    database: str
    folder: Path
    url: str
    champion: Path

    @property
    def outbox(self) -> Path:
        """Where its exchanges wait."""
        return self.folder / "outbox"

    def serving(self, port: int | None = None, service: str = "", **environment: str) -> AbstractContextManager[Server]:
        """The service, for as long as it is needed."""
        return running_diamonds(
            self.folder,
            service,
            port,
            BENTOML_HOME=str(self.champion),
            DIAMONDS_DATABASE_URL=self.url,
            DIAMONDS_OUTBOX=str(self.outbox),
            **environment,
        )

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Its database, with all tables."""
        engine = open_database(Settings(database_url=self.url))
        try:
            migrate(engine)
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def log(self) -> Iterator[TrafficLog]:
        """Its traffic log, with all tables there."""
        with self.engine():
            log = TrafficLog(self.url)
        try:
            yield log
        finally:
            log.engine.dispose()


@dataclass
class Sites:
    """Makes them.

    Attributes:
        folder: Theirs are below it.
        champion: The folder of the Bento store.
        postgresql: The server of their databases.
    """

    folder: Path
    champion: Path
    postgresql: PostgreSQL
    _made: int = field(default=0, init=False)

    def make(self, database: str) -> Site:
        """One with an empty database of this kind."""
        self._made += 1
        folder = self.folder / f"{self.folder.name}_{self._made}"
        folder.mkdir(parents=True)
        is_sqlite = database == SQLITE
        url = f"sqlite:///{folder}/traffic.db" if is_sqlite else self.postgresql.make_database(folder.name)
        return Site(database, folder, url, self.champion)

    def make_away(self) -> Site:
        """One whose database nobody made."""
        site = self.make(POSTGRESQL)
        return Site(site.database, site.folder, f"{site.url}_away", site.champion)

    def both(self) -> list[Site]:
        """One of each kind."""
        return [self.make(SQLITE), self.make(POSTGRESQL)]
