"""The page of a stream as a web app: what it shows and tells, who is let in, and what may be asked of it."""

import asyncio
import csv
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from html import unescape

import httpx
import pytest

from diamonds.config import Settings
from diamonds.store.database import migrate, open_database
from diamonds.streams.live import make_app
from diamonds.streams.live.broadcast import Broadcast
from diamonds.streams.running.runner import Runner
from diamonds.streams.running.snapshot import Snapshot
from diamonds.streams.science.wording import number
from diamonds.streams.spec import LearnerEntry, feed
from feeds import serving
from project import ROOT
from streamed import SPEC as FADING
from streamed import Shelf, fading, learned, rows_from, status, until

SPEC = feed(ROOT, "promotions")
TOKEN = "a secret"  # noqa: S105 - of tests


@contextmanager
def opened(folder):
    """A database of its own."""
    engine = open_database(Settings(database_url=f"sqlite:///{folder}/d.db"), durable=True)
    migrate(engine)
    yield engine
    engine.dispose()


@contextmanager
def streaming(database, rows=0, spec=SPEC, shelf=None, token=None, paused=False, **wishes):
    """A runner of so many rows, and a client of its page."""
    source = (shelf or Shelf(rows_from(1, rows))).source
    runner = Runner(spec, database, make_source=source, paused=paused, **wishes)
    runner.start_thread()
    try:
        until(runner, status("paused") if paused else status("caught up"))
        app = make_app(runner, spec, database, token=token)
        with serving(app) as url, httpx.Client(base_url=url, follow_redirects=True) as client:
            yield runner, client
    finally:
        assert runner.stop()


@pytest.fixture
def database(tmp_path):
    with opened(tmp_path) as engine:
        yield engine


@pytest.fixture
def live(database):
    """Starts a runner of so many rows, and gives it with a client of its page."""
    with ExitStack() as ends:
        yield lambda rows=0, **wishes: ends.enter_context(streaming(database, rows, **wishes))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A stream that has learned 500 rows, for those who only look."""
    with opened(tmp_path_factory.mktemp("shown")) as engine, streaming(engine, 500) as (runner, client):
        yield runner, client


@pytest.fixture(scope="module", autouse=True)
def watched(shown):
    """Two answers of events as the app makes them, one of them packed, read to their end beside the other tests."""
    _, client = shown
    with ThreadPoolExecutor() as threads:
        yield {
            form: threads.submit(
                httpx.get, client.base_url.join("/events"), headers={"Accept-Encoding": form}, timeout=60
            )
            for form in ("gzip", "identity")
        }


def events_of(text):
    """The numbers and the data of server-sent events."""
    blocks = [
        dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if "data" in block
    ]
    return [(int(block["id"]), json.loads(block["data"])) for block in blocks]


def first_event(client):
    """The first event of a stream, and the headers that it came with."""
    read = b""
    with client.stream("GET", "/events") as answer:
        for part in answer.iter_bytes():
            read += part
            if b"data: " in read and read.endswith(b"\n\n"):
                return answer.headers, read.decode()
    raise AssertionError(read)


def test_an_empty_stream_says_so_and_predicts_nothing(live):
    _, client = live(0)

    page, answer = client.get("/").text, client.post("/answer", json={"competence": 1, "network_ability": 0})

    assert "No rows yet: nothing was trained in advance." in page
    assert answer.status_code == 409
    assert answer.json()["title"] == "nothing was learned from promotions yet: start the stream, then ask again"


def test_the_page_needs_no_script_to_show_the_checkpoint_and_the_verdict(live, database):
    live_runner, client = live(600)
    saved = learned(database)["checkpoint"][0]
    sentence = saved["statistics"]["networking"]["verdict"]["sentence"]

    page = unescape(client.get("/").text)

    assert f'<b id="rows">{saved["rows"]}</b> rows' in page
    assert f"version <b>{live_runner.snapshot().document['version']}</b> saved" in page
    assert sentence.startswith("Overall, no link between competence and network ability is seen")
    assert sentence in page
    assert f"{saved['statistics']['promotion']['scores']['accuracy']:.1%}".replace("%", " %") in page
    assert "What would become of network ability if competence were changed" in page


def test_an_event_is_the_newest_moment_and_asks_the_browser_to_come_again(live, database):
    runner, client = live(300)

    headers, text = first_event(client)

    [(its_number, told)] = events_of(text)
    assert text.startswith("retry: 500\n\nid: ")
    assert (headers["content-type"], headers["cache-control"], headers["x-accel-buffering"]) == (
        "text/event-stream; charset=utf-8",
        "no-store",
        "no",
    )
    assert its_number == runner.snapshot().number
    assert told["drawn"]["rows"] == 300
    assert '<b id="rows">300</b>' in told["html"]


def test_after_a_reconnect_the_page_is_told_what_the_checkpoint_holds(live, database):
    shelf = Shelf(rows_from(1, 100))
    runner, client = live(shelf=shelf)

    _, before = first_event(client)
    shelf.grow(rows_from(101, 250))
    until(runner, lambda document: document["rows"] == 250 and document["status"] == "caught up")
    _, after = first_event(client)

    [(first, old)], [(second, new)] = events_of(before), events_of(after)
    saved = learned(database)["checkpoint"][0]
    assert second > first
    assert (old["drawn"]["rows"], new["drawn"]["rows"]) == (100, 250)
    assert [list(each.values()) for each in new["drawn"]["learners"]["promotion"]["coefficients"]] == [
        [each["term"], *(pytest.approx(each[end], rel=1e-5) for end in ("estimate", "low", "high"))]
        for each in saved["coefficients"]["promotion"]
    ]
    assert len(new["drawn"]["recent"]) == 250


class Hasty:
    """A runner that has something new whenever it is waited for."""

    def __init__(self):
        self.number, self.lock = 1, threading.Lock()

    def snapshot(self):
        return Snapshot(self.number, {"number": self.number})

    def wait(self, after, timeout):
        with self.lock:
            self.number += 1
            return self.snapshot()


def test_however_many_look_each_moment_is_written_once_and_all_hear_the_same():
    written = []

    async def watch(broadcast):
        heard = []
        async for event in broadcast.events():
            heard.append(event)
            if len(heard) == 5:
                break
        return heard[1:]

    async def look():
        broadcast = Broadcast(Hasty(), lambda snapshot: written.append(snapshot.number) or b"%d" % snapshot.number)
        return await asyncio.gather(*(watch(broadcast) for _ in range(30)))

    heard = asyncio.run(look())

    events = {event for each in heard for event in each}
    assert events <= {b"id: %d\ndata: %d\n\n" % (number, number) for number in written}
    assert written == list(range(written[0], written[0] + len(written)))
    assert 4 <= len(events) <= len(written) <= 6


def test_a_response_ends_by_itself_so_that_the_server_can():
    broadcast = Broadcast(Hasty(), lambda snapshot: b"%d" % snapshot.number, life_seconds=0.3)

    async def watch():
        return [event async for event in broadcast.events()]

    heard = asyncio.run(asyncio.wait_for(watch(), 10))

    assert heard[0] == b"retry: 500\n\n"
    assert any(event.startswith(b"id: ") for event in heard)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Origin": "https://elsewhere.example"}, "another site's page (https://elsewhere.example) may not steer"),
        ({"Origin": "null"}, "another site's page (null) may not steer"),
        ({"Origin": "http://127.0.0.1:3000"}, "another site's page (http://127.0.0.1:3000) may not steer"),
        ({"Sec-Fetch-Site": "cross-site"}, "another site's page (cross-site) may not steer"),
        ({"Host": "rebound.example:3001"}, "shown on this machine only, as 127.0.0.1 or localhost, not as rebound"),
        ({"X-Forwarded-For": "192.0.2.1"}, "not shown through a proxy without a token: set DIAMONDS_ADMIN_TOKEN"),
    ],
)
def test_another_sites_page_cannot_steer_the_stream(shown, headers, says):
    runner, client = shown

    answer = client.post("/control/pause", json={}, headers=headers)

    assert answer.status_code == 403
    assert says in answer.json()["title"]
    assert runner.snapshot().document["status"] == "caught up"


@pytest.mark.parametrize("path", ["/", "/events", "/rows.csv", "/snapshot.json"])
def test_nothing_is_shown_under_another_name(shown, path):
    _, client = shown

    assert client.get(path, headers={"Host": "rebound.example"}).status_code == 403


def test_its_own_page_and_programs_steer_it(live):
    runner, client = live(50)
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}

    assert client.post("/control/pause", json={}, headers=own).status_code == 200
    until(runner, status("paused"))
    assert client.post("/control/start", json={}).status_code == 200
    until(runner, status("caught up"))


def test_a_form_of_another_site_cannot_send_what_steers(shown):
    _, client = shown

    answer = client.post("/control/pause", content="{}", headers={"Content-Type": "text/plain"})

    assert (answer.status_code, answer.json()["title"]) == (415, "send JSON, as application/json")


def test_with_a_token_everything_asks_for_it(live):
    _, client = live(50, token=TOKEN)
    elsewhere = {"Host": "stream.example"}

    assert client.get("/rows.csv", headers=elsewhere).status_code == 401
    assert client.post("/control/pause", json={}, headers={"Authorization": "Bearer another"}).status_code == 401
    assert client.get("/rows.csv", headers=elsewhere | {"Authorization": "Bearer " + TOKEN}).status_code == 200
    assert client.get("/livez", headers=elsewhere).text == "alive"


def test_a_token_is_its_letters_in_utf_8(live):
    _, client = live(50, token="sécret, ≥ 1")  # noqa: S106 - of tests

    for sent, status_code in (("sécret, ≥ 1", 200), ("sécret, ≥ 2", 401)):
        answer = client.get("/snapshot.json", headers={b"Authorization": f"Bearer {sent}".encode()})
        assert answer.status_code == status_code


def test_a_person_signs_in_with_the_token_and_is_not_asked_again(live):
    _, client = live(50, token=TOKEN)

    own = {"Origin": str(client.base_url).rstrip("/")}
    asked = client.get("/", headers={"Accept": "text/html"})
    wrong = client.post("/sign-in", data={"token": "another"}, headers=own)
    right = client.post("/sign-in", data={"token": TOKEN}, headers=own, follow_redirects=False)

    assert asked.url.path == "/sign-in"
    assert (wrong.status_code, "That is not the token." in wrong.text) == (401, True)
    assert "HttpOnly" in right.headers["set-cookie"]
    assert "SameSite=strict" in right.headers["set-cookie"]
    assert TOKEN not in right.headers["set-cookie"]
    assert client.get("/snapshot.json").json()["rows"] == 50


def test_an_answer_is_of_this_moment_with_its_uncertainty(shown):
    _, client = shown

    told = client.post("/answer", json={"competence": 2, "network_ability": 2}).json()

    promotion = told["answers"]["promotion"]
    assert promotion["low"] < promotion["probability"] < promotion["high"]
    assert promotion["probability"] > 0.9
    assert told["words"][0].startswith(f"promoted: {promotion['probability']:.0%} (95 %: {promotion['low']:.0%} to ")
    assert told["words"][0].endswith(", from 500 rows")
    assert told["words"][1].startswith("network ability: ")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"competence": 1}, "network ability must be given"),
        ({"competence": "1", "network_ability": 0}, "competence must be a number"),
        ({"competence": True, "network_ability": 0}, "competence must be a number"),
        (
            {"competence": 1, "network_ability": 0, "age": 7},
            "there is no column age; there are competence, network_ability, promoted",
        ),
        ({"competence": 1, "network_ability": 0, "promoted": "yes"}, "promoted must be true or false"),
    ],
)
def test_a_row_that_cannot_be_asked_about_is_refused_by_name(shown, row, says):
    _, client = shown

    answer = client.post("/answer", json=row)

    assert (answer.status_code, answer.json()["title"]) == (422, says)


STEER = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "headers", "content", "status"),
    [
        ("/control/pause", {"Host": "[::1"}, "{}", 403),
        ("/control/pause", {"Host": "[evil]"}, "{}", 403),
        ("/control/pause", {"Origin": "http://[bad"}, "{}", 403),
        ("/control/speed", {}, "[" * 30_000, 400),
        ("/control/speed", {}, b'{"a": "\xff"}', 400),
        ("/control/speed", {}, f'{{"batches_a_second": 1{"0" * 400}}}', 422),
        ("/control/speed", {}, '{"batches_a_second": NaN}', 422),
        ("/control/speed", {}, '{"batches_a_second": 1e999}', 422),
        ("/control/pages", {}, f'{{"pages": 1{"0" * 400}}}', 422),
        ("/control/again", {}, '{"page": 3, "key": "\\ud800"}', 404),
        ("/control/again", {}, f'{{"page": 1{"0" * 30}, "key": "1"}}', 404),
        ("/control/again", {}, '{"page": -1, "key": "1"}', 404),
        ("/control/again", {}, '{"page": 1, "key": ["1"]}', 404),
        ("/answer", {}, f'{{"competence": 1{"0" * 400}, "network_ability": 1}}', 422),
        ("/answer", {}, '{"competence": Infinity, "network_ability": 1}', 422),
        ("/answer", {}, '{"\\ud800": 1}', 422),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(shown, path, headers, content, status):
    runner, client = shown

    answer = client.post(path, content=content, headers=STEER | headers)

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert len(answer.json()["title"]) > 10
    assert runner.snapshot().document["status"] == "caught up"


def test_a_learner_says_in_words_that_a_row_is_too_far_from_all_others(shown):
    _, client = shown

    answer = client.post("/answer", content='{"competence": 1e308, "network_ability": -1e308}', headers=STEER)

    assert answer.status_code == 200
    assert "networking cannot say: this is too far from all rows that were learned" in answer.json()["words"]


def test_far_from_all_that_was_seen_the_interval_still_holds_what_is_expected(shown):
    _, client = shown

    for far in (1e3, 1e10, 1e30, -1e30):
        told = client.post("/answer", json={"competence": far, "network_ability": 1}).json()["answers"]
        assert told["promotion"]["low"] <= told["promotion"]["probability"] <= told["promotion"]["high"]
        assert told["networking"]["low"] <= told["networking"]["estimate"] <= told["networking"]["high"]


def test_a_reset_is_confirmed_by_the_name_of_the_feed(live):
    runner, client = live(120, paused=True)
    runner.start()
    until(runner, status("caught up"))

    refused = client.post("/control/reset", json={"feed": "promotion", "keep_rows": False})
    done = client.post("/control/reset", json={"feed": "promotions", "keep_rows": True})

    assert (refused.status_code, refused.json()["title"]) == (
        422,
        "a reset is confirmed by the feed's name: type promotions",
    )
    assert done.status_code == 200
    until(runner, lambda document: document["status"] == "caught up" and document["rows"] == 120)
    assert "begun anew from the stored rows" in client.get("/events.html").text


def test_speed_and_pages_a_batch_are_set_and_wrong_ones_refused(live):
    runner, client = live(50)

    assert client.post("/control/speed", json={"batches_a_second": 2}).status_code == 200
    assert client.post("/control/pages", json={"pages": 3}).status_code == 200
    refused = client.post("/control/pages", json={"pages": 0})

    document = runner.snapshot().document
    assert (document["speed"], document["pages_a_batch"]) == (2, 3)
    assert refused.status_code == 422
    assert "a whole number from 1 to 500, not 0" in refused.json()["title"]


def test_an_audit_puts_what_was_streamed_beside_a_fit_to_all_rows(live):
    _, client = live(1000)

    told = client.post("/control/audit", json={}).json()

    gaps = {each["what"]: each for each in told["gaps"]["promotion"]}
    assert gaps["competence, standardised"]["gap"] < 1
    assert max(abs(each["gap"]) for each in told["gaps"]["networking"] if each["unit"] == "relative") < 1e-9
    assert '<td class="text">standard errors</td>' in told["html"]


def test_a_rejected_row_is_listed_and_can_be_read_again(live):
    shelf = Shelf(rows_from(1, 30))
    shelf.rejects[17] = "competence is <b>no</b> number"
    runner, client = live(shelf=shelf)
    listed = client.get("/rejects.html").text
    shelf.rejects.clear()

    became = client.post("/control/again", json={"page": 1, "key": "17"}).json()

    assert "competence is &lt;b&gt;no&lt;/b&gt; number" in listed
    assert 'data-again="17" data-page="1"' in listed
    assert (became["learned"], became["resolved"]) == (True, True)
    assert until(runner, lambda document: not document["rejected"])["rows"] == 30
    assert "row 17 of page 1 was read again: it was learned" in client.get("/events.html").text


def test_the_rows_are_taken_away_whole_as_csv_and_as_json(live):
    _, client = live(2300)
    rows = rows_from(1, 2300)

    as_csv = list(csv.DictReader(io.StringIO(client.get("/rows.csv").text)))
    as_json = client.get("/rows.json")

    assert as_json.headers["content-disposition"] == 'attachment; filename="promotions_rows.json"'
    assert [row["id"] for row in as_json.json()] == [row["id"] for row in rows]
    assert as_json.json()[2299]["competence"] == rows[2299]["competence"]
    assert [float(row["network_ability"]) for row in as_csv] == [row["network_ability"] for row in rows]


def test_coefficients_and_history_are_taken_away(live, database):
    _, client = live(200)
    saved = learned(database)["checkpoint"][0]

    coefficients = client.get("/coefficients.json").json()
    [*_, last] = csv.DictReader(io.StringIO(client.get("/history.csv").text))

    assert [each for each in coefficients if each["learner"] == "promotion"] == [
        {"learner": "promotion"} | each for each in saved["coefficients"]["promotion"]
    ]
    assert float(last["promotion.competence"]) == saved["coefficients"]["promotion"][1]["estimate"]
    assert float(last["promotion.accuracy"]) == saved["statistics"]["promotion"]["scores"]["accuracy"]
    assert client.get("/rejects.json").json() == []
    assert client.get("/secrets.csv").status_code == 404


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("rows", "id,competence,network_ability,promoted"),
        ("history", "version,page,rows,at"),
        ("rejects", "page,key,reason,raw,counted,first_seen,resolved_at"),
        ("coefficients", "learner,term,estimate,se,low,high"),
    ],
)
def test_an_empty_table_still_names_its_columns(live, table, columns):
    _, client = live(0)

    assert client.get(f"/{table}.csv").text == f"{columns}\n"


def test_what_happened_begins_with_the_start(live):
    _, client = live(20)

    [started] = csv.DictReader(io.StringIO(client.get("/events.csv").text))

    assert (started["kind"], started["detail"]) == ("start", "{}")


def test_where_nobody_learns_the_page_says_so_and_asks_nothing(live):
    spec = SPEC.model_copy(update={"learners": {}})
    _, client = live(30, spec=spec)

    page = client.get("/").text

    assert "Nobody learns from this feed" in page
    assert 'id="ask"' not in page
    assert '<b id="rows">30</b>' in page


def test_retries_are_counted_from_a_reset_on(live):
    shelf = Shelf(rows_from(1, 20))
    runner, client = live(shelf=shelf)
    shelf.newest_source.retries = 7
    shelf.call(lambda: shelf.tell("retry", {}))
    until(runner, lambda document: document["retries"] == 7)

    client.post("/control/reset", json={"feed": "promotions", "keep_rows": True})

    assert until(runner, lambda document: not document["retries"])["rows"] == 20


DYNAMIC = ["/", "/events", "/snapshot.json", "/charts.json", "/rejects.html", "/events.html", "/nothing.csv"]
DYNAMIC += [
    f"/{table}.{form}" for table in ("rows", "history", "rejects", "events", "coefficients") for form in ("csv", "json")
]


@pytest.mark.parametrize("path", DYNAMIC)
def test_nothing_that_changes_is_kept_by_a_browser(shown, path):
    _, client = shown

    with client.stream("GET", path) as answer:
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/control/pages", "/control/speed", "/control/again", "/control/nothing", "/answer"])
def test_no_answer_to_a_wish_is_kept_by_a_browser(shown, path):
    _, client = shown

    assert client.post(path, json={"pages": 10, "batches_a_second": None}).headers["cache-control"] == "no-store"


def test_a_cell_that_a_spreadsheet_would_run_is_only_shown(live):
    shelf = Shelf(rows_from(1, 20))
    shelf.rejects[3] = "=HYPERLINK(1)"
    _, client = live(shelf=shelf)

    [row] = csv.DictReader(io.StringIO(client.get("/rejects.csv").text))

    assert row["reason"] == "'=HYPERLINK(1)"


def test_a_learner_of_a_kind_without_a_panel_is_shown_as_a_table(live):
    spec = FADING.model_copy(update={"learners": {"fading": LearnerEntry(kind="fading")}})
    runner, client = live(40, spec=spec, make_learners=fading)

    page = client.get("/").text

    level = runner.snapshot().document["learners"]["fading"]["coefficients"][0]["estimate"]
    assert "A learner of kind fading" in page
    assert f"<td>{number(level, abs(level) / 100)} <small>" in page


def test_the_charts_begin_with_the_history_evenly_spread(live):
    _, client = live(3000, pages_a_batch=1)

    points = client.get("/charts.json").json()["points"]

    assert points[0]["rows"] == 10
    assert points[-1]["rows"] == 3000
    assert len(points) <= 300
    assert points[-1]["learners"]["promotion"]["coefficients"].keys() == {"intercept", "competence", "network_ability"}


def test_the_chart_script_is_plotlys_own_compressed_and_kept_for_good(shown):
    _, client = shown
    [name] = [part.split('"')[0] for part in client.get("/").text.split('href="') if part.startswith("static/plotly-")]

    answer = client.get(f"/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "plotly.js v" in answer.text[:200]
    assert client.get("/static/plotly-0.min.js").status_code == 404


def test_every_page_keeps_scripts_and_requests_to_itself(shown):
    _, client = shown

    policy = client.get("/").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self'" in policy


def test_an_answer_of_events_ends_by_itself_and_says_packed_what_it_says_plain(watched):
    packed, plain = (watched[form].result(60) for form in ("gzip", "identity"))

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert events_of(packed.text)[0] == events_of(plain.text)[0]
    assert packed.text.startswith("retry: 500\n\nid: ")
    assert packed.text.endswith("\n\n")
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 2
