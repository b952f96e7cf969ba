import random
import socket
import string
import threading
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from diamonds.config import Settings
from diamonds.errors import ConfigurationError, DatabaseError, SaleConflictError, SchemaBehindError
from diamonds.store import history, sales, traffic
from diamonds.store.database import MIGRATIONS, POOL, migrate, open_database, require_current, writing
from diamonds.store.tables import Base


def test_the_migrations_make_exactly_the_tables_of_the_code(database):
    def is_whole(name, kind, parents):  # and no partition of the traffic
        return kind != "table" or not name.startswith("traffic_")

    with database.connect() as connection:
        options = {"compare_type": True, "include_name": is_whole}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    assert differences == []


def test_migrating_twice_changes_nothing(database):
    assert migrate(database) == ("0007", "0007")


REVISIONS = [each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
MOMENT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
ID = "01a1fe29-1393-7e73-ba41-cec47f42b9d1"
#: So that PostgreSQL could not compress it to what an index takes.
LONG_PATH = "/" + "".join(random.Random(0).choices(string.ascii_letters, k=6000))  # noqa: S311 - nothing here is secret
#: Since this revision, longer paths are cut.
CUT_SINCE, CUT_PATH = "0004", f"{LONG_PATH[:499]}…"
#: A row of each table as the first revision that has it knew it.
ROWS = {
    "training_run": {
        "id": "r1", "started_at": MOMENT, "outcome": "succeeded", "process": "elsewhere:1", "selection": {},
        "parameters": {"seed": 1},
    },
    "trained_model": {
        "run_id": "r1", "name": "linear", "version": "r1", "trained_at": MOMENT, "metrics": {"overall": {"mae": 538.0}},
    },
    "promotion": {
        "previous_id": 0, "to_model": "linear", "to_version": "r1", "reason": "the first", "decided_at": MOMENT,
    },
    "traffic": {
        "request_id": ID, "received_at": MOMENT, "duration_ms": 1.5, "method": "POST", "path": LONG_PATH,
        "status": 200, "request_body": {"carat": 1.1}, "response_body": {"price": 4733.12}, "client": "127.0.0.1",
    },
    "sale": {
        "request_id": ID, "position": -1, "price": 5100.0, "recorded_at": MOMENT, "stone": {"carat": 1.1},
        "quote": {"price": 4733.12}, "model": "linear", "version": "r1",
    },
}  # fmt: skip


@pytest.mark.parametrize("revision", REVISIONS[1:])
def test_a_database_of_every_earlier_revision_is_upgraded_with_its_rows_which_stay_readable(bare_database, revision):
    with writing(bare_database).begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with writing(bare_database).begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        known = [name for name in ROWS if name in tables.tables]
        rows = ROWS if revision < CUT_SINCE else ROWS | {"traffic": ROWS["traffic"] | {"path": CUT_PATH}}
        for name in known:
            connection.execute(tables.tables[name].insert(), rows[name])
        others = [ROWS["traffic"] | {"request_id": f"{ID[:-4]}{number:04x}", "path": "/"} for number in range(400)]
        connection.execute(tables.tables["traffic"].insert(), others)

    assert migrate(bare_database) == (revision, REVISIONS[0])

    (kept,) = history.runs(bare_database)
    assert (kept["id"], kept["started_at"], kept["parameters"]) == ("r1", MOMENT, {"seed": 1})
    assert (kept["holdout"], kept["gain"], kept["durations"]) == (None, None, None)
    assert (kept["models"][0]["metrics"], kept["models"][0]["holdout"]) == ({"overall": {"mae": 538.0}}, None)
    assert history.champion(bare_database).name == "linear"
    exchange = traffic.exchange(bare_database, ID)
    assert exchange["path"] == CUT_PATH
    unknown = dict.fromkeys(("model", "version", "request_bytes", "response_bytes", "request_sha256"))
    assert exchange | ROWS["traffic"] | unknown | {"path": exchange["path"]} == exchange
    if "sale" in known:
        with pytest.raises(SaleConflictError, match=r"sold for 5,100.00 USD already"):
            sales.record(bare_database, ID, None, 1.0, stone={}, quote={}, model="linear", version="r1")


def test_every_revision_since_the_first_is_tried():
    assert REVISIONS == ["0007", "0006", "0005", "0004", "0003", "0002", "0001"]


def test_two_that_migrate_at_once_do_not_collide(tmp_path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/new/d.db")
    engines = [open_database(settings) for _ in range(4)]
    failures = []

    def work(engine):
        try:
            migrate(engine)
        except Exception as error:  # noqa: BLE001 - a thread's failure is told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert "traffic" in inspect(engines[0]).get_table_names()
    for engine in engines:
        engine.dispose()


def test_sqlite_is_brought_up_to_date_by_whoever_comes_first(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))

    require_current(engine)

    assert {"training_run", "trained_model", "promotion", "traffic"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_postgresql_is_left_alone_and_what_to_run_is_said(postgresql_url):
    engine = open_database(Settings(database_url=postgresql_url))

    with pytest.raises(SchemaBehindError, match="is at revision none, this version needs 0007: run `diamonds migrate`"):
        require_current(engine)

    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_database_that_is_away_is_named_without_its_password():
    engine = open_database(Settings(database_url="postgresql+psycopg://francesco:secret@127.0.0.1:1/diamonds"))

    with pytest.raises(DatabaseError, match=r"127.0.0.1:1/diamonds cannot be reached") as caught:
        require_current(engine)

    assert "secret" not in str(caught.value)
    assert "DIAMONDS_DATABASE_URL" in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "oracle+nothing://x"])
def test_a_url_that_is_none_is_refused_in_plain_words(url):
    with pytest.raises(ConfigurationError, match="DIAMONDS_DATABASE_URL is not a URL"):
        open_database(Settings(database_url=url))


def test_sqlite_keeps_what_was_committed_in_wal(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))

    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()


def test_reading_does_not_wait_for_a_writer(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
    migrate(engine)

    with writing(engine).begin() as writer:
        writer.execute(text("DELETE FROM traffic"))
        assert history.champion(engine) is None
        assert history.runs(engine, limit=5) == []
        require_current(engine)
    engine.dispose()


def test_a_database_that_accepts_and_says_nothing_does_not_keep_us_waiting():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql+psycopg://nobody@127.0.0.1:{mute.getsockname()[1]}/nothing"
        engine = open_database(Settings(database_url=url))

        with pytest.raises(DatabaseError, match="cannot be reached"):
            require_current(engine)


def test_a_database_of_a_newer_version_is_refused_in_plain_words(database):
    with writing(database).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for step in (require_current, migrate):
        with pytest.raises(
            DatabaseError, match=r"at revision 9999, which this version .* does not know \(it knows 0007\)"
        ):
            step(database)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseError, match=r"file/data cannot be made: Not a directory; see DIAMONDS_DATABASE_URL"):
        open_database(Settings(database_url=f"sqlite:///{tmp_path}/file/data/d.db"))


def test_postgresql_is_asked_over_a_pool_whose_broken_connections_are_replaced(postgresql_url):
    engine = open_database(Settings(database_url=postgresql_url))
    with engine.connect() as connection:
        first = connection.scalar(text("SELECT pg_backend_pid()"))
    with engine.connect() as connection:
        kept = connection.scalar(text("SELECT pg_backend_pid()"))
    another = open_database(Settings(database_url=postgresql_url))
    with another.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": kept})
    another.dispose()

    with engine.connect() as connection:
        replaced = connection.scalar(text("SELECT pg_backend_pid()"))

    assert first == kept != replaced
    engine.dispose()


def test_who_finds_all_connections_busy_is_told_before_its_caller_leaves(postgresql_url, monkeypatch):
    monkeypatch.setitem(POOL, "pool_timeout", 0.05)
    engine = open_database(Settings(database_url=postgresql_url))
    busy = [engine.connect() for _ in range(10)]

    with pytest.raises(PoolTimeoutError, match="size 5 overflow 5"):
        engine.connect()

    for connection in busy:
        connection.close()
    engine.dispose()
