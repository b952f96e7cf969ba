"""The months of the traffic log in PostgreSQL."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import create_engine, make_url, text

from diamonds.config import Settings
from diamonds.store import partitions, traffic
from diamonds.store.database import migrate, open_database

NOW = datetime.now(UTC)


def request_id(moment, number=0):
    return f"{partitions.least_id(moment)}-7000-8000-{number:012x}"


def record_of(moment, number=0):
    known = {"request_id": request_id(moment, number), "received_at": moment.isoformat(timespec="microseconds")}
    rest = {"duration_ms": 1.0, "method": "POST", "path": "/predict", "status": 200, "request_body": None}
    return json.dumps(known | rest | {"response_body": {"n": number}}, separators=(",", ":"))


@pytest.fixture
def engine(postgresql_url):
    engine = open_database(Settings(database_url=postgresql_url))
    migrate(engine)
    yield engine
    engine.dispose()


def places(engine):
    """In which table the rows are, by number."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT response_body ->> 'n', tableoid::regclass::text FROM traffic"))
        return {int(number): place for number, place in rows}


def months(engine):
    with engine.connect() as connection:
        return sorted(partitions.known_months(connection))


def first_of(month):
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def earlier(months):
    """The first day of the month so many before this one."""
    month = NOW.date().replace(day=1)
    for _ in range(months):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def test_migrating_makes_this_month_and_the_next(engine):
    following = (NOW.date().replace(day=1) + timedelta(days=31)).replace(day=1)

    assert months(engine) == [NOW.date().replace(day=1), following]


def test_a_row_lies_in_its_month_which_is_made_when_it_is_missing(engine):
    last_moment = first_of(earlier(2)) - timedelta(milliseconds=1)

    traffic.record(engine, [record_of(first_of(earlier(2)), 1), record_of(last_moment, 2), record_of(NOW, 3)])

    assert places(engine) == {
        1: f"traffic_{earlier(2):%Y_%m}",
        2: f"traffic_{earlier(3):%Y_%m}",
        3: f"traffic_{NOW:%Y_%m}",
    }


def test_the_month_after_the_one_that_is_written_is_made_ahead(engine):
    traffic.record(engine, [record_of(first_of(earlier(5)) + timedelta(days=1))])

    assert earlier(4) in months(engine)


@pytest.mark.parametrize("moment", [datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)])
def test_a_row_of_a_clock_gone_wrong_is_kept_and_makes_no_month(engine, moment):
    before = months(engine)

    traffic.record(engine, [record_of(moment, 1)])

    assert places(engine) == {1: "traffic_rest"}
    assert months(engine) == before


def test_ids_that_are_none_belong_to_no_month():
    assert partitions.months_of(["x", "zzzzzzzz-0000", "ffffffff-ffff"]) == set()


def test_what_was_written_without_a_month_moves_there_once_it_is_made(engine):
    moment = first_of(earlier(2)) + timedelta(days=3)
    with engine.begin() as connection:  # as one who may not make tables
        connection.execute(
            text(
                "INSERT INTO traffic (request_id, received_at, duration_ms, method, path, status, response_body)"
                """ VALUES (:id, :moment, 1, 'POST', '/predict', 200, '{"n": 1}')"""
            ),
            {"id": request_id(moment), "moment": moment},
        )
    assert places(engine) == {1: "traffic_rest"}

    with engine.begin() as connection:
        partitions.make_months(connection, moment.date(), moment.date())

    assert places(engine) == {1: f"traffic_{moment:%Y_%m}"}


def test_one_who_may_not_make_tables_still_writes_and_it_is_said_once(engine, caplog):
    user = f"writer_{NOW:%H%M%S%f}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {user} LOGIN"))
        connection.execute(text(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {user}"))
    limited = create_engine(make_url(engine.url).set(username=user))
    moment = first_of(earlier(2))

    for number in (1, 2):
        traffic.record(limited, [record_of(moment, number)])
    limited.dispose()

    assert places(engine) == {1: "traffic_rest", 2: "traffic_rest"}
    said = [line for line in caplog.messages if f"exchanges of {moment:%Y-%m-%d} share a partition" in line]
    assert len(said) == 1
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {user}"))
        connection.execute(text(f"DROP ROLE {user}"))


def test_pruning_drops_whole_months_and_the_part_of_one(engine):
    begin = first_of(earlier(1))
    moments = [begin - timedelta(days=40), begin - timedelta(days=3), begin, begin + timedelta(days=2), NOW]
    traffic.record(engine, [record_of(moment, number) for number, moment in enumerate(moments)])

    pruned = traffic.prune(engine, begin + timedelta(days=1))

    assert pruned == 3
    assert set(places(engine)) == {3, 4}
    assert earlier(2) not in months(engine)
    assert earlier(1) in months(engine)


def test_two_who_make_a_month_at_once_make_one(engine):
    month = earlier(7)
    with engine.begin() as first, engine.connect() as second:
        partitions.make_months(first, month, month)
        second.execute(text("SET lock_timeout = '200ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            partitions.make_months(second, month, month)
        second.rollback()
    with engine.begin() as again:
        partitions.make_months(again, month, month)

    assert months(engine).count(month) == 1


def test_the_months_of_a_year_follow_each_other():
    assert partitions.months_of([request_id(datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC))]) == {
        date(2024, 12, 1),
        date(2025, 1, 1),
    }
