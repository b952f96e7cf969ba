import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from diamonds.store import traffic
from diamonds.store.tables import Traffic


def exchange(request_id="01a1fe29-1393-7e73-ba41-cec47f42b9d1", **changes):
    return {
        "request_id": request_id,
        "received_at": datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
        "duration_ms": 1.5,
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "request_body": {"carat": 1.1},
        "response_body": {"price": 4733.12},
        "model": "xgboost",
        "version": "v1",
        "client": "127.0.0.1",
        "request_bytes": 14,
        "response_bytes": 18,
        "request_sha256": None,
        "response_sha256": None,
        "quoted": None,
    } | changes


def record(engine, *exchanges):
    traffic.record(
        engine,
        [
            json.dumps(each | {"received_at": each["received_at"].isoformat(timespec="microseconds")})
            for each in exchanges
        ],
    )


def rows(engine):
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(select(Traffic.__table__).order_by(Traffic.request_id))]


def test_an_exchange_is_kept_as_it_was(database):
    record(database, exchange())

    assert rows(database) == [exchange()]


def test_the_same_exchange_twice_is_one_row(database):
    record(database, exchange(), exchange("other"))
    record(database, exchange(status=500), exchange("third"))

    assert [(row["request_id"], row["status"]) for row in rows(database)] == [
        ("01a1fe29-1393-7e73-ba41-cec47f42b9d1", 200),
        ("other", 200),
        ("third", 200),
    ]


@pytest.mark.parametrize(
    "body", ["not JSON at all", [1, 2], {"deep": {"er": [None]}}, "", None, 'quote " and \\ and \u00e9']
)
def test_bodies_of_any_kind_come_back(database, body):
    record(database, exchange(request_body=body))

    assert rows(database)[0]["request_body"] == body


@pytest.mark.parametrize("body", ["a\x00b", {"key\x00": "\x00"}, ["\ud800"], {"carat": float("inf")}, [float("nan")]])
def test_what_postgresql_cannot_store_as_it_is_is_stored_legibly(database, body):
    record(database, exchange(request_body=body), exchange("second"))

    kept = rows(database)
    assert len(kept) == 2
    assert kept[0]["request_body"] is not None


def test_texts_that_postgresql_cannot_store_are_made_legible(database):
    record(database, exchange(path="/a\x00b", client="\ud800"))

    assert (rows(database)[0]["path"], rows(database)[0]["client"]) == ("/a\ufffdb", "?")


def test_one_that_is_refused_all_the_same_does_not_keep_the_others_waiting(database, caplog):
    record(database, exchange("first"), exchange("second", method="X" * 100), exchange("third"))

    refused = database.dialect.name == "postgresql"  # SQLite takes a text of any length
    assert [row["request_id"] for row in rows(database)] == (
        ["first", "third"] if refused else ["first", "second", "third"]
    )
    assert ("exchange second cannot be stored: value too long" in caplog.text) == refused


def test_a_record_that_is_no_json_does_not_keep_the_others_waiting(database, caplog):
    good = json.dumps(exchange() | {"received_at": "2026-11-21T12:00:00.000000+00:00"})

    traffic.record(database, ['{"request_id":"broken', good])

    assert [row["request_id"] for row in rows(database)] == [exchange()["request_id"]]
    assert "an exchange cannot be read, so it is not stored" in caplog.text


def test_where_the_database_is_at_fault_nothing_is_taken_for_stored(database):
    """A table that is missing, as before a migration, or a database that only reads, as after a failover."""
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE traffic RENAME TO away"))

    with pytest.raises(DBAPIError):
        record(database, exchange())

    with database.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO traffic"))
    record(database, exchange())
    assert len(rows(database)) == 1


def test_a_database_that_only_reads_is_tried_again(database):
    if database.dialect.name == "postgresql":
        with database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            name = connection.scalar(text("SELECT current_database()"))
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        database.dispose()
    else:
        event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        database.dispose()

    with pytest.raises(DBAPIError):
        record(database, exchange())
