"""The database: how it is opened, and how its tables are brought up to date."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from diamonds.config import Settings
from diamonds.errors import ConfigurationError, DatabaseError, SchemaBehindError
from diamonds.store.partitions import make_ahead

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30
#: Connections that a process keeps to PostgreSQL, how many more it opens when they are busy, and how many seconds it
#: waits for one: less than a caller of the service does. One that broke meanwhile is replaced before it is used.
POOL = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 3, "pool_pre_ping": True}
#: How long PostgreSQL may keep us waiting: seconds to connect, milliseconds for what was sent to arrive.
PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 15_000}
#: Any number of our own: of two that migrate PostgreSQL at once, the second waits for the first.
MIGRATION_LOCK = 53940


def open_database(settings: Settings, *, durable: bool = False) -> Engine:
    """An engine for the configured URL; a SQLite file's folder is made where it is missing.

    Args:
        settings: Where it is.
        durable: Whether what is committed survives a power cut too, and not only the end of this process: of SQLite,
            which then waits for the disk at each commit. PostgreSQL always does.

    Raises:
        ConfigurationError: The URL is not one, or its driver is not installed.
    """
    try:
        url = make_url(settings.database_url.get_secret_value())
        if url.get_backend_name() != "sqlite":
            patience = PATIENCE if url.get_driver_name() == "psycopg" else {}
            return create_engine(url, connect_args=patience, **POOL)
        if url.database and url.database != ":memory:":
            _make_folder(Path(url.database).parent)
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigurationError(
            "DIAMONDS_DATABASE_URL is not a URL that SQLAlchemy understands"
            " (for example postgresql+psycopg://user:password@host/name)"
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    if durable:
        event.listen(engine, "connect", _wait_for_the_disk)
    event.listen(engine, "begin", _begin)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"{folder} cannot be made: {error.strerror}; see DIAMONDS_DATABASE_URL") from error


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the tables up to date, in one transaction.

    Returns:
        The revision before (None for an empty database) and the one now.

    Raises:
        DatabaseError: The database cannot be reached.
    """
    from alembic import command

    with _reachable(writing(engine)) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        before = _known(_current(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if engine.dialect.name == "postgresql":
            make_ahead(connection)
        connection.commit()
        return before, _head()


def require_current(engine: Engine) -> None:
    """Make sure that the tables are up to date: SQLite's are migrated, others are only looked at.

    Raises:
        DatabaseError: The database cannot be reached.
        SchemaBehindError: It is behind; the message says what to run.
    """
    with _reachable(engine) as connection:
        current = _known(_current(connection))
    if current == _head():
        return
    if engine.dialect.name != "sqlite":
        raise SchemaBehindError(
            f"the database is at revision {current or 'none'}, this version needs {_head()}: run `diamonds migrate`"
        )
    migrate(engine)


def _reachable(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise DatabaseError(
            f"the database {shown} cannot be reached: {error.orig}; see DIAMONDS_DATABASE_URL"
        ) from error


def _config() -> Config:
    """Alembic's, which workers that only serve need not load: a tenth of what their libraries take."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _revisions() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _head() -> str:
    return str(_revisions().get_current_head())


def _known(revision: str | None) -> str | None:
    """The revision, if this version of the project has it."""
    if revision is not None and revision not in {each.revision for each in _revisions().walk_revisions()}:
        raise DatabaseError(
            f"the database is at revision {revision}, which this version of the project does not know (it knows"
            f" {_head()}): a newer one made its tables; use that, or another DIAMONDS_DATABASE_URL"
        )
    return revision


def _current(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - SQLAlchemy's event
    connection.isolation_level = None  # transactions are begun by `_begin`, DDL among them
    cursor = connection.cursor()
    _keep_log_ahead(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _wait_for_the_disk(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - SQLAlchemy's event
    connection.execute("PRAGMA synchronous=FULL")


def _keep_log_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn SQLite's write-ahead log on; of several that do so to a new file, SQLite lets none wait for the other."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def writing(engine: Engine) -> Engine:
    """The same database, for transactions that write: SQLite's write lock is taken as they begin.

    A transaction that reads first could not take it later.
    """
    return engine.execution_options(writing=True)


def take_turns(engine: Engine) -> None:
    """Let every transaction of this SQLite engine, of whoever's making, take the write lock as it begins.

    Two searches that read the same waiting trial would otherwise both take it: SQLite locks no rows.
    """
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))


def _begin(connection: Connection) -> None:
    words = "BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN"
    connection.exec_driver_sql(words)
