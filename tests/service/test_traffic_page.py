"""The page of the traffic log, as a browser without scripts has it."""

import asyncio
import html
import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from diamonds.service import log, traffic_page
from diamonds.service.pages import Pages
from diamonds.store import lookups, partitions, traffic
from reading import Standing, get

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
NOW = datetime.now(UTC).replace(microsecond=0)
SHA256 = "ab" * 32


def request_id(ago, number=0):
    return f"{partitions.least_id(NOW - ago)}-7000-8000-{number:012}"


def record(engine, ago, number=0, **changes):
    """Record an exchange received so long ago."""
    received_at = (NOW - ago).isoformat(timespec="microseconds")
    exchange = {"request_id": request_id(ago, number), "received_at": received_at, "duration_ms": 1.5} | {
        "method": "POST", "path": "/predict", "status": 200, "request_body": {"carat": 1.1},
        "response_body": {"price": 1}, "model": "xgboost", "version": "v1", "client": "192.0.2.1",
    } | changes  # fmt: skip
    traffic.record(engine, [json.dumps(exchange, separators=(",", ":"))])


@pytest.fixture
def kept(database, monkeypatch):
    """A log that the pages read: some exchanges of the last minutes, one of yesterday, one of long ago."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.delenv("DIAMONDS_ADMIN_TOKEN", raising=False)
    minutes = [timedelta(minutes=minutes) for minutes in range(5)]
    record(database, minutes[0], duration_ms=2.5)
    record(database, minutes[1], status=422, path="/similar", model=None, version=None)
    record(database, minutes[2], status=503, duration_ms=20.0)
    record(database, minutes[2], 1, version="v2")
    record(database, timedelta(hours=20), status=422)
    record(database, timedelta(days=3))
    return database


def read(path, **caller):
    return get(path, headers=BROWSER, **caller)


def listed(page):
    """What each line says: method and path, and status."""
    asked = re.findall(r"<code>(\S+ \S+)</code></td>", page)
    return list(zip(asked, re.findall(r'<td class="text"><span class="status \w+">(\d+) ', page), strict=True))


def words(page):
    """The texts of a page."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_the_numbers_are_those_of_the_log(kept):
    page = words(read("/traffic").text)

    assert "Requests 4 in the last hour 5 in the last day" in page
    assert "Refused 1 in the last hour (25.0%) 2 in the last day (40.0%)" in page
    assert "Failed 1 in the last hour (25.0%) 1 in the last day (20.0%)" in page
    assert "6.38 ms on average in the last hour, 20.0 at most" in page
    assert "422 refused what was sent does not hold 1 2 503 failed no champion" in page


@pytest.mark.parametrize(("span", "per", "since", "buckets"), [("hour", "minute", 1, 60), ("day", "hour", 24, 24)])
def test_the_table_of_a_span_says_what_programs_are_told(kept, span, per, since, buckets):
    told = get(f"/traffic/counts?per={per}&since={(NOW - timedelta(hours=since)).isoformat()[:19]}").json()["counts"]

    page = read(f"/traffic?span={span}").text

    rows = re.findall(r'<tr><th scope="row"><time datetime="(\S+)Z">[\d:]+</time></th>(.*?)</tr>', page)
    numbers = {moment: re.findall(r"<td>(.*?)</td>", cells) for moment, cells in rows}
    assert len(rows) == buckets
    for each in told:
        column = {200: 0, 422: 1, 503: 2}[each["status"]]
        assert numbers[each["moment"][:16]][column] == str(each["exchanges"])
    assert sum(int(cell) for cells in numbers.values() for cell in cells[:3]) == sum(each["exchanges"] for each in told)


def test_exchanges_are_listed_newest_first_each_with_a_way_to_open_it(kept):
    page = read("/traffic").text

    assert listed(page) == [
        ("POST /predict", "200"), ("POST /similar", "422"), ("POST /predict", "200"), ("POST /predict", "503"),
        ("POST /predict", "422"), ("POST /predict", "200"),
    ]  # fmt: skip
    assert re.findall(r'href="traffic/([\w-]{36})"', page)[0] == request_id(timedelta(0))
    assert NOW.strftime("%Y-%m-%d") in page


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("status=422", ["422", "422"]),
        ("path=/similar", ["422"]),
        ("version=v2", ["200"]),
        ("status=200&version=v1&path=&since=&until=", ["200", "200"]),
        ("since=RECENT", ["200", "422"]),
        ("until=YESTERDAY", ["200"]),
    ],
)
def test_filters_narrow_the_list_and_are_kept_in_the_form(kept, query, statuses):
    recent, yesterday = NOW - timedelta(minutes=1, seconds=30), NOW - timedelta(days=1)
    query = query.replace("RECENT", recent.isoformat()[:19]).replace("YESTERDAY", yesterday.isoformat()[:16])
    page = read(f"/traffic?{query}").text

    assert [status for _, status in listed(page)] == statuses
    for name, value in (each.split("=") for each in query.split("&")):
        assert f'value="{value}"' in re.search(f'<input id="{name}"[^>]+>', page)[0]


@pytest.mark.parametrize(
    ("query", "field", "typed", "problem"),
    [
        ("status=ok", "status", "ok", "must be a number from 100 to 599, such as 422"),
        ("status=99", "status", "99", "must be a number from 100 to 599, such as 422"),
        ("since=yesterday", "since", "yesterday", "must be a moment such as 2026-11-21T16:30"),
        ("since=2026-11-21T10:00&until=2026-11-21T09:00", "until", "2026-11-21T09:00", "must be later than where it begins"),
        ("status=%22%3E%3Cscript%3E", "status", "&#34;&gt;&lt;script&gt;", "must be a number"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_kept_as_typed_with_what_is_wrong_beside_it(
    kept, query, field, typed, problem
):
    answer = read(f"/traffic?{query}")

    assert answer.status_code == 422
    asked = re.search(f'<input id="{field}"[^>]+>', answer.text)[0]
    assert f'value="{typed}"' in asked
    assert 'aria-invalid="true"' in asked
    assert f'id="{field}-problem">{problem}' in answer.text
    assert "Requests 4 in the last hour" in words(answer.text), "what needs no filter is shown all the same"


def test_a_moment_of_another_zone_is_shown_in_utc(kept):
    page = read("/traffic?since=2026-11-21T16:30:05%2B02:00").text

    assert re.search('<input id="since"[^>]+type="datetime-local" value="2026-11-21T14:30:05"[^>]+ step="1"', page)


def test_older_ones_are_on_pages_that_follow_one_another_with_the_same_filters(database, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setattr(traffic_page, "SHOWN", 2)
    for number in range(5):
        record(database, timedelta(seconds=number))
    record(database, timedelta(seconds=9), status=422)

    counted, path = [], "/traffic?status=200"
    while path:
        page = read(path).text
        counted.append(len(listed(page)))
        older = re.search(r'rel="next" href="([^"#]+)#', page)
        path = f"/{html.unescape(older[1])}" if older else None

    assert counted == [2, 2, 1]
    assert re.search(r'href="traffic\?status=200#exchanges">Newest<', page)


def test_an_empty_log_and_filters_that_find_nothing_have_words_of_their_own(database, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))

    empty, none = words(read("/traffic").text), words(read("/traffic?status=418").text)

    assert "Nothing was asked in the last hour, nor in the last day." in empty
    assert "Nothing has been asked yet." in empty
    assert "No exchange is like that. Show all exchanges" in none


def test_a_database_that_is_away_is_said_and_the_filters_are_kept(monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    answer, live = read("/traffic?path=/similar"), read("/traffic?part=live")

    assert (answer.status_code, live.status_code) == (503, 503)
    assert traffic_page.AWAY in words(answer.text)
    assert traffic_page.AWAY in words(live.text)
    assert 'value="/similar"' in answer.text
    assert read(f"/traffic/{request_id(timedelta(0))}").status_code == 503


def test_what_takes_too_long_is_said_as_that(kept, monkeypatch):
    monkeypatch.setattr(traffic_page, "PATIENCE_SECONDS", -1 if kept.dialect.name == "sqlite" else 0.1)
    monkeypatch.setattr(lookups, "STEPS", 1)

    with kept.connect() as busy:
        if kept.dialect.name == "postgresql":
            busy.execute(text("LOCK TABLE traffic IN ACCESS EXCLUSIVE MODE"))
        answer = read("/traffic?status=200")

    assert answer.status_code == 503
    assert traffic_page.FOUND_TOO_LATE in words(answer.text)
    assert traffic_page.COUNTED_TOO_LATE in words(answer.text)
    monkeypatch.undo()


def test_an_exchange_has_a_page_with_both_bodies_as_people_read_them_and_as_text(kept):
    bodies = {"request_body": {"carat": 1.1, "note": "<script>alert(1)</script> é"}, "response_body": "no <b>JSON"}
    record(kept, timedelta(seconds=1), **bodies, request_bytes=60)

    page = read(f"/traffic/{request_id(timedelta(seconds=1))}").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; é" in page
    assert re.search(r'\n  "carat": 1.1,?\n', html.unescape(page))
    assert "<code>no &lt;b&gt;JSON</code>" in page
    assert "60 bytes" in page


def test_of_a_body_that_is_cut_size_and_sha256_are_said(kept):
    cut = {"request_body": '[{"carat":', "request_bytes": 1_234_567, "request_sha256": SHA256}
    none = {"response_body": None, "response_bytes": 99_000, "response_sha256": SHA256}
    record(kept, timedelta(seconds=1), **cut, **none)

    page = words(read(f"/traffic/{request_id(timedelta(seconds=1))}").text)

    assert f"Cut: the beginning of 1,234,567 bytes is kept. SHA-256 of all: {SHA256}" in page
    assert f"Of its 99,000 bytes none is kept. SHA-256 of all: {SHA256}" in page


@pytest.mark.parametrize("body", ["[" * 3000 + "]" * 3000, '"\\ud800 \\u0000"', "1" * 5000, '{"\\udfff": 1}'])
def test_whatever_is_kept_can_be_shown(body):
    shown = traffic_page.readable(body)

    assert shown
    assert shown.encode()


@pytest.mark.parametrize("name", ["01a1fe8d-3b5c-7d21-9c4e-5f0a7b6c8d9e", "x", "%00"])
def test_an_exchange_that_is_not_there_is_said_to_be_none(kept, name):
    answer = read(f"/traffic/{name}")

    assert answer.status_code == 404
    assert traffic_page.NO_SUCH in answer.text


def test_programs_get_json_as_ever_and_caches_are_told_that_there_are_two(kept):
    page, told = read("/traffic"), get("/traffic?limit=1")

    assert (page.headers["Content-Type"], page.headers["Vary"]) == ("text/html; charset=utf-8", "Accept")
    assert page.headers["Cache-Control"] == "no-store"
    assert (told.headers["Content-Type"], told.headers["Vary"]) == ("application/json", "Accept")
    assert len(told.json()["exchanges"]) == 1
    assert get(f"/traffic/{request_id(timedelta(0))}").json()["status"] == 404


def test_the_page_has_neither_scripts_nor_styles_of_its_own(kept):
    for path in ("/traffic", f"/traffic/{request_id(timedelta(0))}"):
        page = read(path).text

        assert re.findall(r"<script(?! src=)|<style| style=| on[a-z]+=|<iframe", page) == []


@pytest.mark.parametrize("path", ["/traffic", "/traffic?part=live", "/traffic/ID"])
def test_what_was_asked_is_for_those_with_the_token_or_on_the_machine_itself(kept, path, monkeypatch):
    path = path.replace("ID", request_id(timedelta(0)))
    stranger = read(path, client="192.0.2.1")
    assert (stranger.status_code, "xgboost" in stranger.text) == (403, False)

    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "open sesame")
    led = read(path)
    assert (led.status_code, led.headers["Location"][:19]) == (303, "/sign-in?to=traffic")
    assert get(path, headers=BROWSER | {"Authorization": "Bearer open sesame"}).status_code == 200


def test_who_signs_in_sees_the_page_until_signing_out(kept, monkeypatch):
    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "open sesame")
    serving = Standing(None)
    transport = httpx.ASGITransport(Pages(serving, dict).app(), client=("192.0.2.1", 50000))
    options = {"transport": transport, "base_url": "http://diamonds.example", "headers": BROWSER}

    async def visited():
        async with httpx.AsyncClient(**options, follow_redirects=True) as browser:
            asked = await browser.get("/traffic")
            wrong = await browser.post("/sign-in", data={"token": "sesame", "to": "traffic"})
            page = await browser.post("/sign-in", data={"token": "open sesame", "to": "traffic"})
            foreign = await browser.post("/sign-out", headers={"Origin": "http://elsewhere.example"})
            left = await browser.post("/sign-out")
            return asked, wrong, page, foreign, left, await browser.get("/traffic"), dict(browser.cookies)

    asked, wrong, page, foreign, left, again, cookies = asyncio.run(visited())

    serving.reading.shutdown()
    serving.engine.dispose()
    assert (str(asked.url), wrong.status_code) == ("http://diamonds.example/sign-in?to=traffic", 401)
    assert (str(page.url), page.status_code, foreign.status_code) == ("http://diamonds.example/traffic", 200, 403)
    assert len(listed(page.text)) == 6
    assert '<form method="post" action="sign-out">' in page.text
    assert (left.url.path, again.url.path, cookies) == ("/", "/sign-in", {})


def test_the_page_asks_for_no_more_than_the_api_may(kept, monkeypatch):
    monkeypatch.setattr("diamonds.service.reading.MOST_READING", 0)

    assert read("/traffic").status_code == 503


def test_the_list_reads_no_bodies(kept, monkeypatch):
    asked = []
    read_exchanges = lookups.exchanges

    def watched(*words):
        asked.append(words[-1])
        return read_exchanges(*words)

    monkeypatch.setattr(lookups, "exchanges", watched)
    read("/traffic")

    assert [set(columns) & set(lookups.BODIES) for columns in asked] == [set(), set()]
    assert log.PATIENCE_SECONDS == traffic_page.PATIENCE_SECONDS
