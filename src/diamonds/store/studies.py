"""What the searches for parameters have tried: Optuna's own tables, beside ours."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, make_url, text

from diamonds.config import Settings
from diamonds.store.database import BUSY_SECONDS, PATIENCE, open_database, take_turns, writing

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

#: The schema in PostgreSQL, and the file's ending for SQLite.
SCHEMA = "optuna"
#: A search that was killed is known by its silence for twice as long.
HEARTBEAT_SECONDS = 15
#: Any number of our own: of two that make Optuna's tables at once, the second waits for the first.
LOCK = 53941


def open_studies(settings: Settings) -> RDBStorage:
    """Optuna's storage in the configured database, made where it is missing.

    Optuna names its tables and its version table as it likes, so they have a place of their own: the schema `optuna`
    in PostgreSQL, a file beside SQLite's, where a search's many small writes wait for no other's.

    Raises:
        ConfigurationError: The URL is not one, or its driver is not installed.
    """
    engine = open_database(settings)
    try:
        with writing(engine).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                with engine.begin() as other:
                    other.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            return _storage(engine)
    finally:
        engine.dispose()


def _storage(engine: Engine) -> RDBStorage:
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the heartbeat is, since 2021
        storage = RDBStorage(_url(engine), _engine_options(engine), heartbeat_interval=HEARTBEAT_SECONDS)
    if engine.dialect.name == "sqlite":
        storage.engine.dispose()
        take_turns(storage.engine)
    return storage


def _url(engine: Engine) -> str:
    url = make_url(engine.url)
    if engine.dialect.name == "sqlite" and url.database and url.database != ":memory:":
        url = url.set(database=f"{url.database}.{SCHEMA}")
    return url.render_as_string(hide_password=False)


def _engine_options(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    if engine.dialect.name == "postgresql":
        return {"pool_pre_ping": True, "connect_args": PATIENCE | {"options": f"-csearch_path={SCHEMA}"}}
    return {"pool_pre_ping": True}
