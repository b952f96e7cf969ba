"""What is asked of the traffic log, on a few exchanges, and on many by the plans of the databases themselves."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from diamonds.config import Settings
from diamonds.store import lookups, partitions, traffic
from diamonds.store.database import migrate, open_database
from diamonds.store.lookups import Asked

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def request_id(moment, number=0):
    return f"{partitions.least_id(moment)}-7000-8000-{number:012x}"


def record(engine, *exchanges):
    """Record exchanges, each a moment and what it has that others have not."""
    usual = {
        "duration_ms": 1.5, "method": "POST", "path": "/predict", "status": 200, "request_body": {"carat": 1.1},
        "response_body": {"price": 1}, "model": "xgboost", "version": "v1", "client": "127.0.0.1",
    }  # fmt: skip
    records = [
        {"request_id": request_id(moment), "received_at": moment.isoformat(timespec="microseconds")} | usual | changes
        for moment, changes in exchanges
    ]
    traffic.record(engine, [json.dumps(each, separators=(",", ":")) for each in records])


def found(engine, limit=100, **asked):
    """The seconds after noon at which the exchanges were received, in the order in which they are told."""
    return [(each["received_at"] - NOON).total_seconds() for each in lookups.exchanges(engine, Asked(**asked), limit)]


def test_exchanges_come_newest_first_with_all_columns_but_what_only_sales_read(database):
    record(database, (NOON, {}), (NOON + SECOND, {"quoted": "[]", "request_bytes": 14}))

    newest, _ = lookups.exchanges(database, Asked(), 10)

    assert tuple(newest) == lookups.COLUMNS
    assert "quoted" not in newest
    assert newest["request_id"] == request_id(NOON + SECOND)
    assert newest["received_at"] == NOON + SECOND
    assert (newest["request_bytes"], newest["response_bytes"]) == (14, None)
    assert json.loads(newest["request_body"]) == {"carat": 1.1}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [3, 2, 1, 0]),
        ({"since": NOON + SECOND}, [3, 2, 1]),
        ({"until": NOON + 2 * SECOND}, [1, 0]),
        ({"since": NOON + SECOND, "until": NOON + 3 * SECOND}, [2, 1]),
        ({"path": "/similar"}, [2]),
        ({"path": "/"}, []),
        ({"status": 422}, [3, 1]),
        ({"version": "v2"}, [3]),
        ({"version": "v1", "status": 422}, [1]),
        ({"before": request_id(NOON + 2 * SECOND)}, [1, 0]),
        ({"before": request_id(NOON + 2 * SECOND), "since": NOON + SECOND, "path": "/predict"}, [1]),
        ({"path": "a\x00\ud800"}, []),
    ],
)
def test_each_filter_narrows_what_is_found(database, asked, expected):
    changes = [{}, {"status": 422}, {"path": "/similar"}, {"status": 422, "version": "v2"}]
    record(database, *((NOON + number * SECOND, change) for number, change in enumerate(changes)))

    assert found(database, **asked) == expected


def test_a_moment_is_that_of_the_exchange_and_not_that_of_its_id(database):
    """The id was made first: between the two a millisecond, and with it an hour, could end."""
    early = {"request_id": request_id(NOON - timedelta(milliseconds=1))}
    record(database, (NOON, early))

    assert found(database, since=NOON) == [0]
    assert found(database, until=NOON) == []


def statements(engine):
    """What the database is asked from now on: each question with its parameters."""
    asked = []
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]) if "FROM" in call[2] else None)
    return asked


def test_however_many_there_are_only_a_page_of_them_is_read_ahead(database, monkeypatch):
    monkeypatch.setattr(lookups, "PAGE", 2)
    record(database, *((NOON + number * SECOND, {}) for number in range(5)))
    asked = statements(database)

    every = lookups.exchanges(database, Asked(), 4)

    assert [next(every)["received_at"], next(every)["received_at"]] == [NOON + 4 * SECOND, NOON + 3 * SECOND]
    assert len(asked) == 1
    assert database.pool.checkedout() == 0, "who reads slowly keeps no connection"
    assert len(list(every)) == 2
    assert len(asked) == 2
    assert found(database, limit=99) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "body",
    [{"deep": [None]}, "", 'quote " and é', None, [[]]],
    ids=["object", "empty", "text", "none", "list"],
)
def test_an_exchange_as_json_has_its_bodies_as_they_were(database, body):
    record(database, (NOON, {"request_body": body, "response_body": body}))
    (exchange,) = lookups.exchanges(database, Asked(), 1)

    told = json.loads(lookups.as_json(exchange))

    assert (told["request_body"], told["response_body"]) == (body, body)
    assert (told["received_at"], told["status"], told["request_bytes"]) == ("2026-11-21T12:00:00Z", 200, None)


def test_a_body_deeper_than_python_reads_is_passed_on_as_it_is(database):
    deep = "[" * 3000 + "]" * 3000
    record(database, (NOON, {}))
    with database.begin() as connection:
        connection.execute(
            text(
                "UPDATE traffic SET request_body = :deep"
                if database.dialect.name == "sqlite"
                else "UPDATE traffic SET request_body = CAST(:deep AS jsonb)"
            ),
            {"deep": deep},
        )

    (exchange,) = lookups.exchanges(database, Asked(), 1)

    assert f'"request_body":{deep},' in lookups.as_json(exchange)


def test_counts_are_by_moment_and_status_oldest_first(database):
    took = [(0, 200, 1.0), (59, 200, 3.0), (60, 200, 5.0), (30, 422, 2.0), (3600, 200, 7.0)]
    record(database, *((NOON + s * SECOND, {"status": status, "duration_ms": ms}) for s, status, ms in took))

    def counted(per, hours=2):
        rows = lookups.counts(database, NOON, NOON + timedelta(hours=hours), per)
        return [((row["moment"] - NOON) // SECOND, *list(row.values())[1:]) for row in rows]

    assert counted("hour") == [(0, 200, 3, 3.0, 5.0), (0, 422, 1, 2.0, 2.0), (3600, 200, 1, 7.0, 7.0)]
    assert counted("minute", hours=1) == [(0, 200, 2, 2.0, 3.0), (0, 422, 1, 2.0, 2.0), (60, 200, 1, 5.0, 5.0)]
    (first, *_) = lookups.counts(database, NOON, NOON + SECOND, "hour")
    assert list(first) == ["moment", "status", "exchanges", "mean_ms", "slowest_ms"]
    assert first["moment"].utcoffset() == timedelta(0)


def test_counting_begins_with_its_first_moment_and_ends_before_its_last(database):
    record(database, *((NOON + number * SECOND, {}) for number in range(4)))

    (only,) = lookups.counts(database, NOON + SECOND, NOON + 3 * SECOND, "hour")

    assert (only["moment"], only["exchanges"]) == (NOON, 2)


MANY, FIRST, STEP_MS = 20_000, datetime(2026, 8, 1, tzinfo=UTC), 390_000  # three months
ROW = "'POST', CASE WHEN n % 50 = 0 THEN '/similar' ELSE '/predict' END, CASE WHEN n % 100 = 3 THEN 422 ELSE 200 END, 'v' || (n / 6000)"
MAKE = {  # request_id, received_at, duration_ms and the rest, in SQL: a row at a time would take too long
    "postgresql": "SELECT lpad(to_hex(ms >> 16), 8, '0') || '-' || lpad(to_hex(ms & 65535), 4, '0') || '-7000-8000-'"  # noqa: S608
    f" || lpad(to_hex(n), 12, '0'), to_timestamp(ms / 1000.0), n % 17, {ROW}"
    " FROM (SELECT n, :first + n * CAST(:step AS bigint) AS ms FROM generate_series(0, :many - 1) AS n) AS made",
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many - 1)"  # noqa: S608
    " SELECT printf('%08x-%04x-7000-8000-%012x', ms >> 16, ms & 65535, n),"
    f" strftime('%Y-%m-%d %H:%M:%f000', ms / 1000.0, 'unixepoch'), n % 17, {ROW}"
    " FROM (SELECT n, :first + n * :step AS ms FROM numbers)",
}  # fmt: skip
AFTER = {"postgresql": "VACUUM ANALYZE traffic", "sqlite": "PRAGMA optimize"}


@pytest.fixture
def crowded(database):
    """A log of 20,000 exchanges over three months."""
    kind = database.dialect.name
    made = {"first": int(FIRST.timestamp() * 1000), "step": STEP_MS, "many": MANY}
    with database.begin() as connection:
        if kind == "postgresql":
            partitions.make_months(connection, FIRST.date(), FIRST.date() + timedelta(days=91))
        columns = "request_id, received_at, duration_ms, method, path, status, version"
        connection.execute(text(f"INSERT INTO traffic ({columns}) {MAKE[kind]}"), made)
    with database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(AFTER[kind]))
    return database


def plans(engine, ask):
    """What the database does for what is asked: in PostgreSQL kind and rows of each step, in SQLite a line each."""
    asked = statements(engine)
    ask()
    explain = "EXPLAIN (ANALYZE, FORMAT JSON) " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    with engine.connect() as connection:
        for statement, parameters in tuple(asked):
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            if engine.dialect.name == "sqlite":
                yield from (row[3] for row in rows)
            else:
                yield from steps(rows[0][0][0]["Plan"])


def steps(plan):
    """The steps of a plan of PostgreSQL and the rows that each read, what reads an empty month left out."""
    read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    if "Relation Name" not in plan or read:
        yield plan["Node Type"], read
    for part in plan.get("Plans", []):
        yield from steps(part)


SPAN = {"since": FIRST + timedelta(days=20), "until": FIRST + timedelta(days=70)}
QUESTIONS = {
    "the newest": {},
    "a path": {"path": "/predict"},
    "a status": {"status": 422},
    "the version of long ago": {"version": "v0"},
    "the page after one of a path": {"path": "/predict", "before": request_id(FIRST + timedelta(days=50))},
    "a time": SPAN,
    "the next page": {"before": request_id(FIRST + timedelta(days=50))},
}


def test_a_page_is_read_in_the_order_of_an_index_whatever_is_asked(crowded):
    """Neither the whole log nor what the filters leave of it is read and sorted."""
    for question, asked in QUESTIONS.items():
        done = list(plans(crowded, lambda asked=asked: list(lookups.exchanges(crowded, Asked(**asked), 10))))

        if crowded.dialect.name == "sqlite":
            assert len(done) == 1, (question, done)
            assert done[0].startswith(("SEARCH traffic USING INDEX", "SCAN traffic USING INDEX sqlite_auto")), question
        else:
            assert {kind for kind, _ in done} <= {"Limit", "Append", "Merge Append", "Index Scan"}, (question, done)
            assert sum(rows for kind, rows in done if kind == "Index Scan") < 50, (question, done)


def test_of_a_day_no_other_month_is_read(crowded):
    asked = Asked(since=FIRST + timedelta(days=40), until=FIRST + timedelta(days=41))

    done = list(plans(crowded, lambda: list(lookups.exchanges(crowded, asked, 10))))

    if crowded.dialect.name == "sqlite":
        assert done == ["SEARCH traffic USING INDEX sqlite_autoindex_traffic_1 (request_id>? AND request_id<?)"]
    else:
        assert done == [("Limit", 10), ("Index Scan", 10)], "with other months there would be an Append"


def test_what_is_asked_at_once_is_looked_up_by_an_index_too(crowded):
    asked = Asked(**SPAN, path="/similar", status=200, version="v1")

    done = list(plans(crowded, lambda: list(lookups.exchanges(crowded, asked, 10))))

    if crowded.dialect.name == "sqlite":
        assert done == ["SEARCH traffic USING INDEX traffic_by_version (version=? AND request_id>? AND request_id<?)"]
    else:
        assert "Seq Scan" not in {kind for kind, _ in done}
        assert max(rows for _, rows in done) < MANY / 50, "there are about 40, and 400 of the path"


def test_exchanges_are_counted_from_an_index_alone(crowded):
    week = FIRST + timedelta(days=33), FIRST + timedelta(days=40)

    done = list(plans(crowded, lambda: list(lookups.counts(crowded, *week, "hour"))))

    if crowded.dialect.name == "sqlite":
        of_time = "(received_at>? AND received_at<?)"
        assert done[0] == f"SEARCH traffic USING COVERING INDEX traffic_by_time {of_time}"
    else:
        assert {kind for kind, _ in done if "Scan" in kind} == {"Index Only Scan"}


def test_all_that_was_made_is_counted(crowded):
    rows = list(lookups.counts(crowded, FIRST, FIRST + timedelta(days=91), "hour"))

    assert sum(row["exchanges"] for row in rows) == MANY


def test_patience_ends_what_takes_too_long_and_leaves_the_connection_as_it_was(tmp_path, monkeypatch):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
    migrate(engine)
    record(engine, *((NOON + number * SECOND, {}) for number in range(9)))
    monkeypatch.setattr(lookups, "STEPS", 1)

    with pytest.raises(DBAPIError) as caught:
        list(lookups.exchanges(engine, Asked(), 9, patience_seconds=-1))

    assert lookups.took_too_long(caught.value)
    assert len(found(engine)) == 9
    engine.dispose()


def test_an_exchange_is_found_by_its_id_and_only_the_columns_asked_for_are_read(database):
    record(database, (NOON, {}), (NOON + SECOND, {"status": 422}))

    (newest,) = lookups.exchanges(database, Asked(), 1, columns=lookups.BRIEF)

    assert set(newest) == set(lookups.COLUMNS) - set(lookups.BODIES)
    assert lookups.exchange(database, newest["request_id"])["status"] == 422
    assert lookups.exchange(database, request_id(NOON + 2 * SECOND)) is None
