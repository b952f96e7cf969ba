"""What the searches for parameters have tried: Optuna's own tables, beside ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, make_url, text

from diamonds.config import Settings
from diamonds.lock import held
from diamonds.store.database import BUSY_SECONDS, PATIENCE, open_database, take_turns, writing

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage, RDBStorage

#: The schema in PostgreSQL, and the file's ending for SQLite.
SCHEMA = "optuna"
#: A search that was killed is known by its silence for twice as long.
HEARTBEAT_SECONDS = 15
SILENCE = timedelta(seconds=2 * HEARTBEAT_SECONDS)
#: Any number of our own: of two that make Optuna's tables, or begin a study, at once, the second waits for the first.
LOCK = 53942


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


@contextmanager
def alone(storage: BaseStorage) -> Iterator[None]:
    """Let no other process begin a study of this database meanwhile."""
    engine = getattr(storage, "engine", None)
    if engine is None or engine.url.database in {None, "", ":memory:"}:  # of this process alone
        yield
    elif engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield
    else:  # a lock of SQLite's own would keep out what is done here too
        with held(Path(f"{engine.url.database}.lock"), "another search", wait=lambda _: None):
            yield


def give_up_silent(study: Study, storage: BaseStorage) -> bool:
    """Give the trials up whose process has not been heard of for `SILENCE`: it was killed.

    Returns:
        Whether a process that is killed is known by its silence here: in memory none is.
    """
    from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
    from optuna.storages import fail_stale_trials
    from optuna.trial import TrialState

    engine = getattr(storage, "engine", None)
    if engine is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    with engine.begin() as connection:
        heard_of = set(connection.scalars(text("SELECT trial_id FROM trial_heartbeats")))
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if trial._trial_id not in heard_of and datetime.now() - trial.datetime_start > SILENCE:  # noqa: DTZ005 - Optuna's own
            with suppress(UpdateFinishedTrialError):  # another process was first
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    return True


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
