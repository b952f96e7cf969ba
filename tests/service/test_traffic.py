"""The traffic log as it is read over HTTP."""

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from diamonds.config import read_settings
from diamonds.service import log, reading
from diamonds.store import partitions, traffic
from diamonds.store.database import migrate, open_database
from project import STONE, serve, stop
from reading import Standing, get, get_all

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def request_id(second):
    return f"{partitions.least_id(NOON + timedelta(seconds=second))}-7000-8000-000000000000"


def record(engine, second, **changes):
    """Record an exchange received so many seconds after noon."""
    received_at = (NOON + timedelta(seconds=second)).isoformat(timespec="microseconds")
    exchange = {"request_id": request_id(second), "received_at": received_at, "duration_ms": 1.5} | {
        "method": "POST", "path": "/predict", "status": 200, "request_body": STONE, "response_body": {"price": 1},
        "model": "xgboost", "version": "v1", "client": "192.0.2.1", "request_bytes": 99, "quoted": "[]",
    } | changes  # fmt: skip
    traffic.record(engine, [json.dumps(exchange, separators=(",", ":"))])


@pytest.fixture
def kept(database, monkeypatch):
    """A log that the pages read, of five exchanges: one each second from noon on."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))
    for second, changes in enumerate([{}, {"status": 422, "path": "/similar"}, {}, {"version": "v2"}, {}]):
        record(database, second, **changes)
    return database


def seconds(path):
    """The seconds of the exchanges that are answered, and where to go on."""
    answer = get(path)
    assert answer.status_code == 200, answer.text
    moments = [datetime.fromisoformat(each["received_at"]) for each in answer.json()["exchanges"]]
    return [int((moment - NOON).total_seconds()) for moment in moments], answer.json()["next"]


def test_an_exchange_is_told_with_its_bodies_and_without_what_only_sales_read(kept):
    answer = get("/traffic?limit=1")

    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json()) == {"exchanges", "next", "request_id"}
    assert answer.json()["exchanges"] == [
        {
            "request_id": request_id(4), "received_at": "2026-11-21T12:00:04Z", "duration_ms": 1.5, "method": "POST",
            "path": "/predict", "status": 200, "request_body": STONE, "response_body": {"price": 1},
            "model": "xgboost", "version": "v1", "client": "192.0.2.1", "request_bytes": 99, "response_bytes": None,
            "request_sha256": None, "response_sha256": None,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("since=2026-11-21T12:00:03Z", [4, 3]),
        ("since=2026-11-21T13:00:03%2B01:00", [4, 3]),
        ("since=2026-11-21T12:00:01&until=2026-11-21T12:00:03", [2, 1]),
        ("path=/similar", [1]),
        ("status=422", [1]),
        ("version=v2", [3]),
        ("status=200&version=v1", [4, 2, 0]),
        ("path=/none", []),
        ("path=%00", []),
        ("since=9999-12-31T23:59:59-23:00", []),
        ("until=0001-01-01T00:00:00%2B23:00", []),
    ],
)
def test_what_is_asked_for_is_found_newest_first(kept, query, expected):
    assert seconds(f"/traffic?{query}") == (expected, None)


def test_a_moment_without_a_zone_is_in_utc(kept, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert seconds("/traffic?since=2026-11-21T12:00:04")[0] == [4]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_pages_follow_one_another_until_there_is_no_more(kept):
    first, then = seconds("/traffic?limit=3")
    second, end = seconds(f"/traffic?limit=3&before={then.upper()}")

    assert (first, then) == ([4, 3, 2], request_id(2))
    assert (second, end) == ([1, 0], None)
    assert seconds("/traffic?limit=5") == ([4, 3, 2, 1, 0], None)


def test_a_page_ends_early_once_it_is_large(kept, monkeypatch):
    monkeypatch.setattr(log, "MOST_CHARACTERS", 600)  # an exchange is some 500

    first, then = seconds("/traffic?limit=4")

    assert first == [4, 3]
    assert seconds(f"/traffic?limit=4&before={then}") == ([2, 1], request_id(1))
    assert seconds(f"/traffic?limit=4&before={request_id(1)}") == ([0], None)


def test_exchanges_are_counted_by_hour_or_minute_and_status(kept):
    record(kept, 60, duration_ms=4.5)
    of_the_day = "/traffic/counts?until=2026-11-21T13:00"

    assert get(of_the_day).json()["counts"] == [
        {"moment": "2026-11-21T12:00:00Z", "status": 200, "exchanges": 5, "mean_ms": 2.1, "slowest_ms": 4.5},
        {"moment": "2026-11-21T12:00:00Z", "status": 422, "exchanges": 1, "mean_ms": 1.5, "slowest_ms": 1.5},
    ]
    by_minute = get(f"{of_the_day}&per=minute&since=2026-11-21T12:01").json()["counts"]
    assert [(each["moment"], each["exchanges"]) for each in by_minute] == [("2026-11-21T12:01:00Z", 1)]


def test_the_last_day_is_counted_where_no_time_is_named(kept):
    now = datetime.now(UTC)
    for hours in (1, 23, 25):
        received_at = now - timedelta(hours=hours)
        record(
            kept,
            0,
            request_id=f"{partitions.least_id(received_at)}-7000-8000-000000000001",
            received_at=received_at.isoformat(timespec="microseconds"),
            status=418,
        )

    counts = get("/traffic/counts").json()["counts"]

    assert sum(each["exchanges"] for each in counts if each["status"] == 418) == 2


@pytest.mark.parametrize(
    ("asked", "field", "problem"),
    [
        ("?limit=0", "limit", "must be greater than or equal to 1"),
        ("?limit=1001", "limit", "must be less than or equal to 1000"),
        ("?status=99", "status", "must be greater than or equal to 100"),
        ("?status=ok", "status", "must be a valid integer, unable to parse string as an integer"),
        ("?since=yesterday", "since", "must be a moment as ISO 8601 has it, such as 2026-11-21T16:30:00Z (in an address, + is %2B)"),
        ("?since=1795262400", "since", "must be a moment as ISO 8601 has it, such as 2026-11-21T16:30:00Z (in an address, + is %2B)"),
        ("?before=x", "before", "must be a request_id, as answers have it"),
        ("?until=2026-11-21&since=2026-11-22", "until", "must be later than since (2026-11-22T00:00:00Z), or nothing lies between them"),
        ("?path=/a&path=/b", "path", "is given more than once"),
        ("?statuss=200", "statuss", "is not a known field; did you mean status?"),
        ("/counts?per=day", "per", "must be 'minute' or 'hour'"),
        ("/counts?since=2025-01-01&until=2026-11-21", "since", "lies 16,536 hours before until; at most 10,000 are counted at once"),
        ("/counts?since=2026-11-01&until=2026-11-21&per=minute", "since", "lies 28,800 minutes before until; at most 10,000 are counted at once"),
        ("/counts?limit=1", "limit", "is not a known field; known are since, until, per"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_plain_words(asked, field, problem):
    answer = get(f"/traffic{asked}")

    assert answer.status_code == 422
    assert answer.json()["title"] == "The traffic cannot be shown like this"
    assert [(error["field"], error["problem"]) for error in answer.json()["errors"]] == [(field, problem)]


@pytest.mark.parametrize("path", ["/traffic", "/traffic/counts"])
def test_a_log_whose_database_is_away_is_503(path, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    answer = get(path)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["title"] == "The traffic cannot be read now: the database is away"


@pytest.mark.parametrize("path", ["/traffic", "/traffic/counts"])
def test_logged_bodies_are_for_those_with_the_token_or_on_the_machine_itself(kept, path, monkeypatch):
    def statuses(*tokens):
        return [get(path, headers={"Authorization": token}, client="192.0.2.1").status_code for token in tokens]

    assert (get(path).status_code, get(path, client="192.0.2.1").status_code) == (200, 403)
    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "open sesame")
    refused = get(path)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert statuses("Bearer open sesame", "Bearer sesame", "Basic open sesame") == [200, 401, 401]


def test_however_many_read_there_are_connections_left_for_the_log_itself(kept):
    serving = Standing(None)
    pool, held = serving.engine.pool, []
    event.listen(pool, "checkout", lambda *_: held.append(pool.checkedout()))

    answers = get_all(serving, ["/traffic", "/traffic/counts", "/history"] * 10)

    serving.reading.shutdown()
    serving.engine.dispose()
    assert {answer.status_code for answer in answers} == {200}
    assert max(held) == 2


def test_readers_beyond_a_bound_are_sent_away_so_that_quotes_keep_their_places(kept, monkeypatch):
    monkeypatch.setattr(reading, "MOST_READING", 3)
    serving = Standing(None)
    answers = get_all(serving, ["/traffic"] * 5)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
    serving.reading.shutdown()
    serving.engine.dispose()


def test_an_address_of_thousands_of_names_holds_nobody_up_and_none_of_what_they_hold_is_repeated():
    many = "&".join(f"{number}=secret" for number in range(3_000))

    answer = get(f"/history?{many}&limit=1&limit=2")
    unknown = get("/history?token=secret")

    assert answer.json()["errors"] == [{"field": "limit", "got": "2 times", "problem": "is given more than once"}]
    assert [(each["field"], each["got"]) for each in unknown.json()["errors"]] == [("token", None)]


def test_what_takes_too_long_in_postgresql_is_ended_there(postgresql_url, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", postgresql_url)
    monkeypatch.setattr(log, "PATIENCE_SECONDS", 0.1)
    database = open_database(read_settings())
    migrate(database)

    with database.begin() as busy:
        busy.execute(text("LOCK TABLE traffic IN ACCESS EXCLUSIVE MODE"))
        statuses = [get(path).status_code for path in ("/traffic", "/traffic/counts")]

    database.dispose()
    assert statuses == [503, 503]


@pytest.fixture
def guarded(small_trained):
    """A service of its own that has a token."""
    running = serve(small_trained, DIAMONDS_ADMIN_TOKEN="open sesame")  # noqa: S106 - for this test
    yield running
    stop(running)


def ask(served, path, body=None, **headers):
    """Status and body of what a service answers."""
    content = {} if body is None else {"data": json.dumps(body).encode()}
    json_type = {"Content-Type": "application/json"}
    request = urllib.request.Request(served.url + path, **content, headers=headers | json_type)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback address
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)


def until_logged(served, request_id, **headers):
    """The exchange with this id, once the outbox is shipped; that has no event to wait for."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        _, page = ask(served, "/traffic?limit=1000", **headers)
        if found := [each for each in page["exchanges"] if each["request_id"] == request_id]:
            return found[0]
    raise AssertionError(f"{request_id} is not in the log")


def test_a_quote_is_found_in_the_log_by_who_has_the_token_and_so_is_the_asking(guarded):
    token = {"Authorization": "Bearer open sesame"}
    _, quote = ask(guarded, "/predict", STONE)
    status, refused = ask(guarded, "/traffic")
    wrong, _ = ask(guarded, "/traffic", body={}, **token)

    logged = until_logged(guarded, quote["request_id"], **token)
    asking = until_logged(guarded, refused["request_id"], **token)

    assert (status, wrong) == (401, 405)
    assert (logged["request_body"], logged["response_body"]) == (STONE, quote)
    assert (logged["model"], logged["version"], logged["status"]) == (quote["model"], quote["version"], 200)
    assert (asking["path"], asking["status"], asking["method"]) == ("/traffic", 401, "GET")
    _, page = ask(guarded, f"/traffic?version={quote['version']}&path=/predict", **token)
    assert [each["request_id"] for each in page["exchanges"]] == [quote["request_id"]]
    _, counted = ask(guarded, "/traffic/counts", **token)
    assert {200, 401, 405} <= {each["status"] for each in counted["counts"]}
