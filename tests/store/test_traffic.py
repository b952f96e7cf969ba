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
    return traffic.record(
        engine,
        [
            json.dumps(
                each | {"received_at": each["received_at"].isoformat(timespec="microseconds")}, separators=(",", ":")
            )
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


def test_one_that_is_refused_all_the_same_is_answered_and_does_not_keep_the_others_waiting(database, caplog):
    refused = record(database, exchange("first"), exchange("second", method="X" * 100), exchange("third"))

    if database.dialect.name == "sqlite":  # it takes a text of any length
        assert ([row["request_id"] for row in rows(database)], refused) == (["first", "second", "third"], [])
    else:
        assert [row["request_id"] for row in rows(database)] == ["first", "third"]
        assert [json.loads(each)["request_id"] for each in refused] == ["second"]
        assert [each.message for each in caplog.records] == [
            "exchange second cannot be stored: value too long for type character varying(16)"
        ]


def spoilt(*, without=None, **changes):
    columns = exchange("spoilt") | {"received_at": "2026-11-21T12:00:00.000000+00:00"} | changes
    return json.dumps({name: value for name, value in columns.items() if name != without}, separators=(",", ":"))


@pytest.mark.parametrize(
    "record",
    [
        '{"request_id":"spoilt',
        spoilt()[:-20] + "\x01" + spoilt()[-19:],
        spoilt(without="status"),
        spoilt(without="path", pbth="/predict"),
        spoilt(received_at=None, method="X" * 100),
        spoilt(path={"a": 1}, method=None),
        spoilt(request_body=None, method=None)[:-1] + f',"response_body":{"[" * 100_000}{"]" * 100_000}}}',
    ],
    ids=["cut", "NUL", "no-status", "unknown", "no-moment", "object", "deep"],
)
def test_a_spoilt_record_is_answered_and_does_not_keep_the_others_waiting(database, caplog, record):
    good = json.dumps(exchange() | {"received_at": "2026-11-21T12:00:00.000000+00:00"})

    refused = traffic.record(database, [record, good])

    assert (refused, [row["request_id"] for row in rows(database)]) == ([record], [exchange()["request_id"]])
    (said,) = (each.message for each in caplog.records)
    assert said.startswith("exchange spoilt cannot be stored: ")
    assert len(said) < 200


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


def test_what_is_there_already_is_not_written_one_by_one(database):
    """A process that died between writing and forgetting has its successor ship it all again."""
    exchanges = [exchange(f"01a1fe29-1393-7e73-ba41-{number:012x}") for number in range(500)]
    record(database, *exchanges[:-1])
    asked = []
    event.listen(database, "before_cursor_execute", lambda *call: asked.append(call[2]))

    record(database, *exchanges)

    assert len(rows(database)) == 500
    assert len(asked) < 10
