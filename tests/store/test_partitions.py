"""The months of the traffic log in PostgreSQL."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

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


def following(month):
    return (month + timedelta(days=31)).replace(day=1)


def earlier(months):
    """The first day of the month so many before this one."""
    month = NOW.date().replace(day=1)
    for _ in range(months):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def later(months):
    """The first day of the month so many after this one."""
    month = earlier(0)
    for _ in range(months):
        month = following(month)
    return month


def test_migrating_makes_this_month_and_three_after_it(engine):
    assert months(engine) == [earlier(0), later(1), later(2), later(3)]


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
    said = [line for line in caplog.messages if f"exchanges of {moment:%Y-%m-%d} share a partition until" in line]
    assert len(said) == 1
    assert "permission denied" in said[0]
    migrate(engine)
    ahead = [later(number) for number in range(4)]
    assert months(engine) == ahead, "whoever may make tables makes the next ones by migrating"
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {user}"))
        connection.execute(text(f"DROP ROLE {user}"))


def test_migrating_again_makes_the_months_that_are_missing_by_then(engine):
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE traffic_{NOW:%Y_%m}"))

    assert migrate(engine) == ("0007", "0007")

    assert earlier(0) in months(engine)


def test_a_lock_on_the_rest_keeps_no_exchange_waiting_for_a_month_that_is_not_there(engine, caplog):
    """Who copies the whole database keeps one for hours."""
    month = earlier(3)
    with engine.begin() as reader:
        reader.execute(text("LOCK TABLE traffic_rest IN ACCESS SHARE MODE"))
        refused = traffic.record(engine, [record_of(first_of(month) + timedelta(days=2), 1), record_of(NOW, 2)])

    assert refused == []
    assert places(engine) == {1: "traffic_rest", 2: f"traffic_{NOW:%Y_%m}"}
    assert f"exchanges of {month} share a partition until one can be made" in caplog.text


def test_a_month_that_could_not_be_made_is_made_later_and_its_rows_move_there(engine, monkeypatch):
    monkeypatch.setattr(partitions, "AGAIN_SECONDS", 0)
    moment = first_of(earlier(3)) + timedelta(days=2)
    with engine.begin() as reader:
        reader.execute(text("LOCK TABLE traffic_rest IN ACCESS SHARE MODE"))
        traffic.record(engine, [record_of(moment, 1)])

    traffic.record(engine, [record_of(moment + timedelta(seconds=1), 2)])

    assert set(places(engine).values()) == {f"traffic_{moment:%Y_%m}"}


def test_where_no_partition_takes_a_row_it_is_not_the_rows_fault(engine):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE traffic DETACH PARTITION traffic_rest"))
    lost_clock = record_of(datetime(1970, 1, 2, tzinfo=UTC), 1)

    with pytest.raises(DBAPIError, match="no partition of relation"):
        traffic.record(engine, [lost_clock])

    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE traffic ATTACH PARTITION traffic_rest DEFAULT"))
    assert traffic.record(engine, [lost_clock]) == []
    assert places(engine) == {1: "traffic_rest"}


def test_who_drops_months_and_who_makes_them_take_turns(engine):
    """They lock the tables in different orders."""
    with engine.begin() as making, engine.connect() as dropping:
        partitions.make_months(making, earlier(7), earlier(7))
        dropping.execute(text("SET lock_timeout = '200ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            partitions.drop_before(dropping, NOW)


def test_pruning_drops_whole_months_and_the_part_of_one(engine):
    begin = first_of(earlier(1))
    moments = [begin - timedelta(days=40), begin - timedelta(days=3), begin, begin + timedelta(days=2), NOW]
    traffic.record(engine, [record_of(moment, number) for number, moment in enumerate(moments)])

    pruned = traffic.prune(engine, begin + timedelta(days=1))

    assert pruned == 3
    assert set(places(engine)) == {3, 4}
    assert earlier(2) not in months(engine)
    assert earlier(1) in months(engine)


def test_what_is_done_by_the_clock_keeps_the_months_that_are_wanted_and_no_other(engine):
    """What the CronJobs call, over the log of a year."""
    moments = [first_of(earlier(number)) + timedelta(hours=1) for number in range(12)]
    traffic.record(engine, [record_of(moment, number) for number, moment in enumerate(moments)])
    oldest = NOW - timedelta(days=90)

    migrate(engine)
    pruned = traffic.prune(engine, oldest)

    kept = [number for number, moment in enumerate(moments) if moment > oldest]
    assert pruned == 12 - len(kept)
    assert sorted(places(engine)) == kept
    not_over = [earlier(number) for number in range(12) if first_of(following(earlier(number))) > oldest]
    assert months(engine) == [*reversed(not_over), later(1), later(2), later(3)]


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
