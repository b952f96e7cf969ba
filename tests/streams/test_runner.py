"""The runner: what it learns, in which state it is and says so, and that it does what a person wants."""

import asyncio
import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from starlette.responses import PlainTextResponse, Response

from diamonds.cli.watching import status_words
from diamonds.config import Settings
from diamonds.errors import ConfigurationError, FeedError, StreamConflictError, UntaughtError
from diamonds.store.database import migrate, open_database
from diamonds.streams.learners import build
from diamonds.streams.memory.memory import Memory
from diamonds.streams.reading.source import Source
from diamonds.streams.running.runner import Runner
from diamonds.streams.spec import FeedSpec
from feeds import Scripted, paged, serving
from feeds import row as employee
from streamed import SPEC, Fading, Shelf, fading, learned, pages_of, rows_from, status, until


def taught(rows):
    learner = Fading()
    for row in rows:
        learner.learn(row)
    return learner.dump()


STALLED = "the feed does not answer as it should; page 0: it answered 500"


class Web:
    """Makes real sources, whose pauses are short."""

    def source(self, spec, url, **wishes):
        return Source(spec, url, sleep=lambda seconds: asyncio.sleep(0.001), **wishes)


class Gated(Fading):
    """Stops before a row until it is let through."""

    def __init__(self, stop_at):
        super().__init__()
        self.stop_at, self.reached, self.opened = stop_at, threading.Event(), threading.Event()

    def learn(self, row):
        if row["id"] == self.stop_at:
            self.reached.set()
            assert self.opened.wait(20)
        super().learn(row)


@pytest.fixture
def database(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"), durable=True)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def running(database):
    """Starts runners of shelves, and ends them."""
    started = []

    def run(shelf, spec=SPEC, make_learners=fading, **wishes):
        runner = Runner(spec, database, make_source=shelf.source, make_learners=make_learners, **wishes)
        started.append(runner)
        runner.start_thread()
        return runner

    yield run
    for runner in started:
        assert runner.stop(20)


def kinds(runner):
    """What happened, the first first, once all that waited was written."""
    runner.stop()
    return [each["kind"] for each in runner.events()][::-1]


def test_a_feed_is_learned_to_its_end_and_on_as_it_grows(running, database):
    shelf = Shelf(rows_from(1, 234))
    runner = running(shelf)

    seen = until(runner, status("caught up"))
    shelf.grow(rows_from(235, 251))
    later = until(runner, lambda document: document["rows"] == 251 and document["status"] == "caught up")

    assert (seen["page"], seen["rows"], seen["rejected"], seen["revised"]) == (23, 234, 0, 0)
    assert (later["page"], later["version"]) == (25, seen["version"] + 1)
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 251))


def test_a_snapshot_holds_all_that_a_page_shows_as_json(running):
    rows = rows_from(1, 450)
    runner = running(Shelf(rows), pages_a_batch=7, in_flight=2)

    until(runner, status("caught up"))
    snapshot = runner.snapshot()

    seen = json.loads(snapshot.data)
    assert seen == snapshot.document
    level = taught(rows)["level"]
    assert seen.pop("updated_at").endswith("Z")
    assert seen.pop("number") == snapshot.number
    assert seen.pop("requests") == 46
    assert 0 < seen.pop("next_look_seconds") <= 3.5
    assert seen.pop("recent") == [list(row.values()) for row in rows[-400:]]
    assert seen == {
        "feed": "promotions", "about": "", "version": 7, "status": "caught up", "reason": None, "page": 45,
        "rows": 450, "rejected": 0, "revised": 0, "ignored": 0, "retries": 0, "rate": None,
        "pages_a_batch": 7, "speed": None, "in_flight": 2, "key": "id",
        "columns": {
            "competence": {"type": "number"}, "network_ability": {"type": "number"}, "promoted": {"type": "boolean"},
        },
        "learners": {
            "fading": {
                "kind": "fading", "scores": {"rows": 450.0}, "statistics": {"level": level}, "view": {"seen": 400},
                "coefficients": [{"term": "level", "estimate": level, "se": 0.0, "low": level, "high": level}],
            }
        },
    }  # fmt: skip


def test_a_stream_that_starts_paused_reads_nothing_and_learns_batch_by_batch_when_told(running):
    shelf = Shelf(rows_from(1, 95))
    runner = running(shelf, paused=True, pages_a_batch=4)

    before = until(runner, lambda document: document["updated_at"])
    runner.one_batch()
    first = until(runner, lambda document: document["rows"] and document["status"] == "paused")
    runner.set_pages_a_batch(5)
    runner.one_batch()
    second = until(runner, lambda document: document["rows"] > 40 and document["status"] == "paused")

    assert (before["status"], before["rows"], before["version"], before["requests"]) == ("paused", 0, 0, 0)
    assert (first["rows"], first["version"], second["rows"], second["version"]) == (40, 1, 90, 2)
    runner.one_batch()
    until(runner, lambda document: document["rows"] == 95 and document["status"] == "paused")
    runner.one_batch()
    assert until(runner, lambda document: document["reason"])["reason"] == "there is nothing new in the feed"
    assert kinds(runner) == ["one_batch", "pages", "one_batch", "one_batch", "one_batch"]


def test_a_pause_holds_within_one_batch_while_pages_were_read_ahead(running, database):
    gated = Gated(stop_at=25)
    shelf = Shelf(rows_from(1, 500))
    runner = running(shelf, make_learners=lambda spec: {"fading": gated}, pages_a_batch=2, in_flight=8)

    assert gated.reached.wait(20)
    shelf.wait_until_given(9)  # it reads on while a batch is learned
    runner.pause()
    gated.opened.set()
    seen = until(runner, status("paused"))

    assert (seen["rows"], seen["page"], seen["version"]) == (40, 4, 2)
    assert [row["id"] for row in learned(database)["rows"]] == list(range(1, 41))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 40))
    runner.start()
    until(runner, status("caught up"))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 500))


def test_stopping_ends_within_a_batch_and_the_next_runner_goes_on_there(running, database):
    gated = Gated(stop_at=25)
    runner = running(Shelf(rows_from(1, 500)), make_learners=lambda spec: {"fading": gated}, pages_a_batch=2)

    assert gated.reached.wait(20)
    assert runner.stop(0.01) is False
    gated.opened.set()

    assert runner.stop(20) is True
    assert runner.snapshot().document["rows"] == 40 == learned(database)["checkpoint"][0]["rows"]
    with pytest.raises(FeedError, match="promotions is not run any more"):
        runner.reset(keep_rows=True)
    until(running(Shelf(rows_from(1, 500))), status("caught up"))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 500))


def test_a_speed_is_kept_until_it_is_changed(running):
    runner = running(Shelf(rows_from(1, 200)), paused=True, pages_a_batch=1)
    runner.set_speed(0.001)  # the second batch would come a quarter of an hour later

    runner.start()
    first = until(runner, lambda document: document["rows"])
    runner.set_speed(None)
    last = until(runner, status("caught up"))

    assert (first["rows"], first["speed"], first["status"]) == (10, 0.001, "running")
    assert (last["rows"], last["speed"]) == (200, None)


def test_an_address_that_is_none_is_refused_at_once(database):
    with pytest.raises(ConfigurationError, match=r"ftp://127.0.0.1 is no address of a feed"):
        Runner(SPEC, database, url="ftp://127.0.0.1", make_learners=fading)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(running, speed):
    with pytest.raises(ConfigurationError, match="the speed must be more than 0 batches a second"):
        running(Shelf([]), paused=True).set_speed(speed)


@pytest.mark.parametrize("pages", [0, 501, True, "3", 2.0])
def test_a_batch_of_no_such_number_of_pages_is_refused(running, pages):
    with pytest.raises(ConfigurationError, match="the pages a batch must be a whole number from 1 to 500"):
        running(Shelf([]), paused=True).set_pages_a_batch(pages)


def test_a_feed_that_cannot_be_read_fails_with_its_words_until_it_is_started_again(running):
    shelf = Shelf(rows_from(1, 50))
    shelf.trouble = FeedError("http://127.0.0.1:5000/api/v1/data answers 403 Forbidden: ask for access")
    runner = running(shelf)

    seen = until(runner, status("failed"))
    shelf.trouble = None
    runner.start()

    assert seen["reason"] == "http://127.0.0.1:5000/api/v1/data answers 403 Forbidden: ask for access"
    assert until(runner, status("caught up"))["rows"] == 50
    assert kinds(runner) == ["start", "fail", "start"]


def refusing(number):
    return PlainTextResponse("no key", 403) if number == 4 else paged([employee(each) for each in range(1, 61)], number)


@pytest.mark.parametrize("pages", [1, 3, 50])
def test_pages_that_came_before_a_refusal_are_learned(running, pages):
    with serving(Scripted(refusing).app) as url:
        runner = running(Web(), url=url, pages_a_batch=pages)
        seen = until(runner, status("failed"))

    assert (seen["rows"], seen["page"]) == (40, 4)
    assert "answers 403: no key" in seen["reason"]


def test_a_feed_that_fails_for_ever_stalls_the_stream_again_after_a_pause(running):
    with serving(Scripted(lambda number: Response(status_code=500)).app) as url:
        runner = running(Web(), url=url)
        first = until(runner, status("stalled"))
        runner.pause()
        until(runner, status("paused"))
        runner.start()
        again = until(runner, status("stalled"))

    assert first["reason"] == again["reason"] == STALLED
    assert kinds(runner) == ["start", "stall", "pause", "start", "stall"]


def test_a_feed_that_comes_back_after_a_pause_recovers(running):
    is_down = threading.Event()
    is_down.set()

    def answer(number):
        return (
            Response(status_code=500) if is_down.is_set() else paged([employee(each) for each in range(1, 26)], number)
        )

    with serving(Scripted(answer).app) as url:
        runner = running(Web(), url=url)
        until(runner, status("stalled"))
        runner.pause()
        until(runner, status("paused"))
        is_down.clear()
        runner.start()
        last = until(runner, status("caught up"))

    assert last["rows"] == 25
    assert kinds(runner) == ["start", "stall", "pause", "start", "recover"]


@pytest.mark.parametrize("number", [-1, 10**6, 10**30])
def test_a_page_that_was_not_read_is_not_read_again(running, number):
    feed = Scripted(lambda number: paged([employee(each) for each in range(1, 26)], number))
    with serving(feed.app) as url:
        runner = running(Web(), url=url)
        until(runner, status("caught up"))
        with pytest.raises(FeedError) as refusal:
            runner.read_again(number, "5")

    assert str(refusal.value) == (f"page {number} of promotions was not read yet: pages 0 to 2 can be read again")
    assert set(feed.asked) <= set(range(8))


@pytest.mark.parametrize("rows", [20, 23])
def test_fields_that_the_feed_has_beyond_its_spec_are_counted_and_said(running, rows):
    there = [employee(each, name="x", age=40) for each in range(1, rows + 1)]
    with serving(Scripted(lambda number: paged(there, number)).app) as url:
        seen = until(running(Web(), url=url), status("caught up"))

    assert (seen["rows"], seen["ignored"]) == (rows, 2 * rows)
    assert f"{rows} rows, version {seen['version']} saved, {2 * rows} fields ignored" in status_words(seen)


def test_a_gap_is_an_event(running):
    with serving(
        Scripted(lambda number: paged([employee(each) for each in range(1, 27) if each != 8], number)).app
    ) as url:
        runner = running(Web(), url=url)
        until(runner, status("caught up"))

    runner.stop()
    (gap,) = [event for event in runner.events() if event["kind"] == "gap"]
    assert (gap["detail"]["page"], gap["detail"]["missing"]) == (0, ["8"])


def test_a_feed_that_stalls_says_why_and_recovers(running):
    shelf = Shelf(rows_from(1, 25))
    runner = running(shelf)
    until(runner, status("caught up"))

    shelf.call(lambda: shelf.tell("stall", {"why": "page 3: it did not answer in time"}))
    stalled = until(runner, status("stalled"))
    shelf.call(lambda: shelf.tell("recover", {}))
    until(runner, status("running"))

    assert stalled["reason"] == "the feed does not answer as it should; page 3: it did not answer in time"
    assert kinds(runner) == ["start", "stall", "recover"]


def test_a_database_that_is_away_stalls_the_stream_and_costs_nothing(running, database):
    gated = Gated(stop_at=60)
    is_away = threading.Event()

    @event.listens_for(database, "before_cursor_execute")
    def refuse(*statement):
        if is_away.is_set():
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    learners = [gated]
    runner = running(
        Shelf(rows_from(1, 300)),
        make_learners=lambda spec: {"fading": learners.pop() if learners else Fading()},
        pages_a_batch=2,
    )
    assert gated.reached.wait(20)
    is_away.set()
    gated.opened.set()
    stalled = until(runner, status("stalled"))
    is_away.clear()
    seen = until(runner, status("caught up"))

    assert "the memory of promotions could not be written: disk I/O error; nothing is lost" in stalled["reason"]
    assert stalled["rows"] == 40
    assert seen["rows"] == 300
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 300))
    assert kinds(runner) == ["start", "stall", "recover"]


def test_where_another_process_learned_the_runner_pauses_and_goes_on_from_there_when_started(running, database):
    gated = Gated(stop_at=60)
    learners = [gated]
    runner = running(
        Shelf(rows_from(1, 300)),
        make_learners=lambda spec: {"fading": learners.pop() if learners else Fading()},
        pages_a_batch=2,
    )
    assert gated.reached.wait(20)
    runner.pause()
    gated.opened.set()
    until(runner, status("paused"))
    other = Memory(database, SPEC, make_learners=fading)
    other.open()
    other.commit(pages_of(rows_from(61, 90), first=6))

    runner.start()
    seen = until(runner, lambda document: document["reason"])
    runner.start()
    last = until(runner, status("caught up"))

    assert (seen["status"], seen["rows"]) == ("paused", 60)
    assert seen["reason"].startswith("another process learns from promotions: this one stops here")
    assert last["rows"] == 300
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 300))
    assert "conflict" in kinds(runner)


def test_another_configuration_fails_in_plain_words_and_a_replay_goes_on(running, database):
    until(running(Shelf(rows_from(1, 100))), status("caught up"))
    two = SPEC.model_copy(update={"learners": SPEC.learners | {"too": SPEC.learners["fading"]}})
    runner = running(
        Shelf(rows_from(1, 130)), spec=two, make_learners=lambda spec: {name: Fading() for name in spec.learners}
    )

    seen = until(runner, status("failed"))
    runner.start()
    again = until(runner, lambda document: document["status"] == "failed" and failures(runner) == 2)
    runner.replay()
    replayed = until(runner, status("paused"))
    runner.start()
    last = until(runner, status("caught up"))

    assert "what was learned from promotions is of another configuration" in seen["reason"]
    assert again["reason"] == seen["reason"]
    assert (replayed["rows"], last["rows"]) == (100, 130)
    assert learned(database)["checkpoint"][0]["state"] == dict.fromkeys(("fading", "too"), taught(rows_from(1, 130)))


def test_a_reset_begins_at_the_first_page_again(running):
    shelf = Shelf(rows_from(1, 100))
    runner = running(shelf)
    until(runner, status("caught up"))
    runner.pause()
    until(runner, status("paused"))

    runner.reset(keep_rows=False)
    empty = runner.snapshot().document
    shelf.rows = rows_from(51, 120)
    runner.start()
    last = until(runner, status("caught up"))

    assert (empty["rows"], empty["page"], empty["status"], empty["recent"]) == (0, 0, "paused", [])
    assert (last["rows"], last["recent"][0][0]) == (70, 51)


def test_a_reset_that_cannot_be_done_says_why_and_changes_nothing(running, database):
    runner = running(Shelf(rows_from(1, 30)))
    until(runner, status("caught up"))
    with database.begin() as connection:
        connection.execute(text("UPDATE stream SET config = replace(config, 'competence', 'skill')"))

    with pytest.raises(StreamConflictError, match="the stored rows of promotions have other columns"):
        runner.replay()

    assert until(runner, status("caught up"))["rows"] == 30


def test_a_learner_that_fails_is_named_by_its_error_and_the_checkpoint_stays(running, database):
    class Picky(Fading):
        def learn(self, row):
            if row["id"] == 66:
                raise ArithmeticError("no logarithm of that")
            super().learn(row)

    runner = running(Shelf(rows_from(1, 100)), make_learners=lambda spec: {"fading": Picky()}, pages_a_batch=3)

    seen = until(runner, status("failed"))

    assert (seen["reason"], seen["rows"]) == ("no logarithm of that", 60)
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 60))


def test_a_rejected_row_can_be_read_again(running):
    shelf = Shelf(rows_from(1, 30))
    shelf.rejects = {5: "competence is no number", 17: "promoted is missing"}
    runner = running(shelf)
    seen = until(runner, status("caught up"))

    in_vain = runner.read_again(1, "17")
    shelf.rejects = {17: "promoted is missing"}
    healed = runner.read_again(0, "5")

    assert (seen["rows"], seen["rejected"]) == (28, 2)
    assert in_vain == {"page": 1, "key": "17", "learned": False, "resolved": False, "reason": "promoted is missing"}
    assert healed == {"page": 0, "key": "5", "learned": True, "resolved": True, "reason": None}
    last = until(runner, lambda document: document["rows"] == 29)
    assert (last["rejected"], last["recent"][-1][0]) == (1, 5)
    assert [(each["key"], each["resolved_at"] is None) for each in runner.rejects()] == [("17", True), ("5", False)]


def test_a_rejected_row_that_slipped_to_another_page_is_not_said_to_be_gone(running):
    shelf = Shelf(rows_from(1, 31))
    shelf.rejects = {21: "competence is no number"}
    runner = running(shelf)
    until(runner, status("caught up"))

    del shelf.rows[4]
    became = runner.read_again(2, "21")
    found = runner.read_again(1, "21")

    reason = "competence is no number"
    assert became == {"page": 2, "key": "21", "learned": False, "resolved": False, "reason": reason}
    assert found == became | {"page": 1}
    assert [(each["page"], each["key"], each["resolved_at"]) for each in runner.rejects()] == [(1, "21", None)]


def test_an_empty_stream_answers_nothing_and_a_taught_one_what_it_knows_at_the_moment(running):
    shelf = Shelf([])
    runner = running(shelf)
    until(runner, status("caught up"))
    with pytest.raises(UntaughtError, match="nothing was learned from promotions yet"):
        runner.answer({"competence": 1.0})
    with pytest.raises(UntaughtError, match="there is nothing to audit"):
        runner.audit()

    shelf.grow(rows_from(1, 40))
    until(runner, lambda document: document["rows"] == 40)

    assert runner.answer({"competence": 1.0}) == {"fading": {"estimate": taught(rows_from(1, 40))["level"]}}
    (gap,) = runner.audit()["fading"]
    assert (gap["what"], gap["gap"], gap["streamed"]) == ("level", 0.0, taught(rows_from(1, 40))["level"])


def test_a_learner_that_rides_along_goes_on_after_a_restart_as_if_it_had_never_stopped_and_is_audited(running):
    entry = {"kind": "adapter", "class": "river.linear_model.LogisticRegression", "target": "promoted"}
    riding = FeedSpec.model_validate(
        SPEC.model_dump() | {"learners": {"river": entry | {"features": ["competence", "network_ability"]}}}
    )
    shelf = Shelf(rows_from(1, 200))
    first = running(shelf, riding, build)
    until(first, status("caught up"))
    first.stop()

    shelf.rows += rows_from(201, 300)
    second = running(shelf, riding, build)
    until(second, lambda document: document["rows"] == 300)

    audited = {gap["what"]: gap for gap in second.audit()["river"]}
    assert {gap["gap"] for gap in audited.values()} == {0.0}
    assert audited["rows"]["streamed"] == 300
    assert 0.6 < audited["accuracy"]["streamed"] < 1


def test_nothing_is_drawn_while_nobody_looks(running):
    drawn = []

    class Drawn(Fading):
        def view(self, recent):
            drawn.append(len(recent))
            return super().view(recent)

    shelf = Shelf(rows_from(1, 300))
    runner = running(shelf, make_learners=lambda spec: {"fading": Drawn()}, pages_a_batch=1)
    shelf.wait_until_given(29)
    assert drawn == []

    until(runner, status("caught up"))
    before = len(drawn)
    again = runner.snapshot()

    assert drawn[-1] == 300
    assert (len(drawn), again.number) == (before, runner.snapshot().number)


def test_whoever_subscribes_is_called_with_each_newer_snapshot_until_they_leave(running):
    shelf, seen, caught_up = Shelf(rows_from(1, 50)), [], threading.Event()
    runner = running(shelf, paused=True)

    def look(snapshot):
        seen.append(snapshot)
        if snapshot.document["status"] == "caught up":
            caught_up.set()

    leave = runner.subscribe(look)
    runner.start()
    assert caught_up.wait(20)
    leave()
    shelf.grow(rows_from(51, 60))
    until(runner, lambda document: document["rows"] == 60)

    numbers = [snapshot.number for snapshot in seen]
    assert numbers == sorted(set(numbers))
    assert seen[-1].document["rows"] == 50


def failures(runner):
    return [each["kind"] for each in runner.events()].count("fail")


class Stuck(Shelf):
    """A feed that answers no page that is asked for again."""

    def __init__(self, rows):
        super().__init__(rows)
        self.asked_again = threading.Event()

    def source(self, *given, **wishes):
        source = super().source(*given, **wishes)

        async def never(number):
            self.asked_again.set()
            await asyncio.Event().wait()

        source.read_again = never
        return source


def test_a_page_that_does_not_come_again_keeps_nobody_from_pausing_or_stopping(running):
    shelf = Stuck(rows_from(1, 30))
    runner = running(shelf)
    until(runner, status("caught up"))

    with ThreadPoolExecutor() as threads:
        again = threads.submit(runner.read_again, 1, "17")
        assert shelf.asked_again.wait(20)
        shelf.grow(rows_from(31, 40))
        until(runner, lambda document: document["rows"] == 40 and document["status"] == "caught up")
        runner.pause()
        until(runner, status("paused"))
        assert not again.done()

        assert runner.stop(5) is True
        with pytest.raises(FeedError, match="promotions is not run any more"):
            again.result(20)


def test_a_page_that_is_read_again_does_not_make_a_stalled_stream_look_well(running):
    shelf = Stuck(rows_from(1, 30))
    runner = running(shelf)
    until(runner, status("caught up"))
    shelf.call(lambda: shelf.tell("stall", {"why": "page 3: it did not answer in time"}))
    until(runner, status("stalled"))
    statuses = set()
    leave = runner.subscribe(lambda snapshot: statuses.add(snapshot.document["status"]))

    with ThreadPoolExecutor() as threads:
        again = threads.submit(runner.read_again, 1, "17")
        assert shelf.asked_again.wait(20)
        assert runner.snapshot().document["status"] == "stalled"
        assert runner.stop(5) is True
        assert isinstance(again.exception(20), FeedError)
    leave()

    assert statuses <= {"stalled", "paused"}


def test_an_audit_is_given_up_where_the_runner_is_to_end(running):
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(Fading):
        def audit(self, rows):
            next(rows)
            begun.set()
            assert goes_on.wait(20)
            return super().audit(rows)

    runner = running(Shelf(rows_from(1, 200)), make_learners=lambda spec: {"fading": Slow()})
    until(runner, status("caught up"))

    with ThreadPoolExecutor() as threads:
        audit = threads.submit(runner.audit)
        assert begun.wait(20)
        assert runner.stop(5) is True
        goes_on.set()
        with pytest.raises(FeedError, match="promotions is not run any more: its audit was given up"):
            audit.result(20)


def test_rows_that_are_learned_again_are_given_up_where_the_runner_is_to_end(running, database):
    gated, made = Gated(stop_at=100), []

    def make(spec):
        made.append(gated if made else Fading())
        return {"fading": made[-1]}

    runner = running(Shelf(rows_from(1, 200)), make_learners=make)
    until(runner, status("caught up"))
    saved = learned(database)["checkpoint"][0]

    with ThreadPoolExecutor() as threads:
        replay = threads.submit(runner.replay)
        assert gated.reached.wait(20)
        assert runner.stop(0) is False
        gated.opened.set()
        with pytest.raises(FeedError, match="promotions is not run any more: what was learned of it before stays"):
            replay.result(20)

    assert runner.stop(5) is True
    assert gated.rows == 100
    assert learned(database)["checkpoint"][0] == saved
    assert runner.snapshot().document["rows"] == 200
