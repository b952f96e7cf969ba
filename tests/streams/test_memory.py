"""The memory of a stream: one transaction a batch, and what becomes of it where something fails."""

import sqlite3
from functools import partial
from itertools import pairwise

import hypothesis
import psutil
import pytest
from hypothesis import strategies as some
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from diamonds.config import Settings
from diamonds.errors import DatabaseError, ModelError, StreamConflictError
from diamonds.store.database import migrate, open_database
from diamonds.streams.learners import build
from diamonds.streams.memory.memory import Memory
from diamonds.streams.reading.page import Page
from diamonds.streams.reading.source import Source
from diamonds.streams.running.catching_up import batches
from diamonds.streams.spec import feed
from feeds import Scripted, paged, serving
from feeds import row as employee
from project import ROOT
from streamed import SPEC, Fading, fading, learned, page, pages_of, rows_from


def memory_of(engine, spec=SPEC, make_learners=fading):
    memory = Memory(engine, spec, make_learners=make_learners)
    memory.open()
    return memory


def taught(rows):
    learner = Fading()
    for row in rows:
        learner.learn(row)
    return learner.dump()


@pytest.fixture
def memory(database):
    return memory_of(database)


def test_a_batch_is_rows_cursor_state_and_figures_in_one(memory, database):
    rows = rows_from(1, 25)
    rows[3]["competence"] = -0.0  # which SQLite would give back as 0.0

    memory.commit(pages_of(rows))

    found = learned(database)
    (checkpoint,) = found["checkpoint"]
    assert [row["id"] for row in found["rows"]] == [row["position"] for row in found["rows"]] == list(range(1, 26))
    assert [row["page"] for row in found["rows"]] == [0] * 10 + [1] * 10 + [2] * 5
    assert (checkpoint["page"], checkpoint["last_key"], checkpoint["rows"], checkpoint["rejected"]) == (2, 25, 25, 0)
    assert checkpoint["state"] == {"fading": taught(rows)}
    assert checkpoint["coefficients"]["fading"][0]["estimate"] == taught(rows)["level"]
    assert checkpoint["statistics"] == {"fading": {"level": taught(rows)["level"], "scores": {"rows": 25.0}}}
    assert list(memory.stored_rows()) == rows
    assert memory.recent(2) == [tuple(row.values()) for row in rows[-2:]]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Gives a new database each time."""
    made = []

    def make():
        folder = tmp_path_factory.mktemp("streams")
        made.append(open_database(Settings(database_url=f"sqlite:///{folder}/d.db")))
        migrate(made[-1])
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


PROMOTIONS = feed(ROOT, "promotions")


@some.composite
def readings(draw):
    """Pages as a feed may give them one after the other: growing, again, with bad rows, and with rows that changed."""
    pages, number = [], 0
    for _ in range(draw(some.integers(2, 12))):
        number = draw(some.sampled_from([number, number, number, max(0, number - 1), 0]))
        length = draw(some.sampled_from([10, 10, 10, 0, 3, 7, 9]))
        kinds = draw(some.lists(some.sampled_from("gggggggbrk"), min_size=length, max_size=length))
        good, bad = [], []
        for row, kind in zip(rows_from(10 * number + 1, 10 * number + length), kinds, strict=True):
            if kind in "gr":
                good.append(row | {"competence": 0.5} if kind == "r" else row)
            else:
                bad.append((str(row["id"]) if kind == "b" else f"#{row['id']}", "no"))
        pages.append(page(number, good, bad))
        number = pages[-1].next_page
    return pages


@hypothesis.settings(max_examples=25, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(readings(), some.data())
def test_any_split_into_batches_with_any_stops_between_them_gives_the_same_to_the_last_bit(engines, pages, data):
    cuts = sorted(data.draw(some.sets(some.integers(1, len(pages) - 1)), "cuts"))
    whole, parted = engines(), engines()
    memory = memory_of(parted, PROMOTIONS, build)

    memory_of(whole, PROMOTIONS, build).commit(pages)
    for start, stop in pairwise([0, *cuts, len(pages)]):
        memory.commit(pages[start:stop])
        if data.draw(some.booleans(), "is stopped"):
            memory = memory_of(parted, PROMOTIONS, build)

    assert learned(parted) == learned(whole)


def test_a_row_that_heals_within_a_batch_is_rejected_no_more_as_in_two(engines):
    rows = rows_from(1, 10)
    pages = [page(0, rows[:4] + rows[5:7], [("5", "no")]), page(0, rows)]
    one, two = engines(), engines()

    memory_of(one).commit(pages)
    memory = memory_of(two)
    for each in pages:
        memory.commit([each])

    assert learned(one) == learned(two)
    assert learned(one)["rejects"] == []
    assert (memory_of(one).checkpoint.rejected, memory_of(one).checkpoint.revised) == (0, 0)


def test_rows_that_are_there_are_not_learned_again_in_the_same_batch_or_a_later_one(memory, database):
    rows = rows_from(1, 20)

    first = memory.commit([page(0, rows[:7]), page(0, rows[:10])])
    second = memory.commit([page(0, rows[:10]), page(1, rows[8:17])])

    assert (len(first.new), first.repeated) == (10, 7)
    assert (len(second.new), second.repeated) == (7, 12)
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows[:17])


def test_a_batch_without_news_leaves_the_checkpoint_as_it_is(memory):
    before = memory.commit([page(0, rows_from(1, 7))]).checkpoint

    again = memory.commit([page(0, rows_from(1, 7))])

    assert again.checkpoint == before
    assert (again.new, again.repeated) == ((), 7)
    assert [row["version"] for row in memory.history()] == [1]


def test_a_row_that_comes_with_other_values_is_kept_aside_and_not_learned(memory, database):
    rows = rows_from(1, 10)
    memory.commit([page(0, rows)])

    committed = memory.commit([page(0, [rows[0] | {"competence": 99.5}, *rows[1:]])])

    found = learned(database)
    assert (committed.revised, committed.rejected, committed.checkpoint.revised) == (1, 0, 1)
    assert found["checkpoint"][0]["state"]["fading"] == taught(rows)
    assert found["rows"][0]["competence"] == rows[0]["competence"]
    (kept,) = found["rejects"]
    assert (kept["page"], kept["key"], bool(kept["counted"])) == (0, "1", False)
    assert kept["reason"] == "it was learned with other values before, and is not learned again"
    assert '"competence": 99.5' in kept["raw"]
    assert memory_of(database).checkpoint.revised == 1


def test_a_rejected_row_is_kept_once_and_counted_until_it_is_learned(memory, database):
    rows = rows_from(1, 10)
    bad = page(0, rows[:4] + rows[5:], [("5", "competence is no number")])
    memory.commit([bad])
    again = memory.commit([bad])
    assert (again.rejected, memory.checkpoint.rejected, memory.checkpoint.rows) == (0, 1, 9)

    healed = memory.read_again(page(0, rows))

    assert [row["id"] for row in healed.new] == [5]
    assert (healed.rejected, healed.checkpoint.rejected, healed.checkpoint.rows) == (-1, 0, 10)
    assert (healed.checkpoint.page, healed.checkpoint.last_key) == (1, 10)
    (kept,) = memory.rejects()
    assert (kept["reason"], kept["key"], kept["counted"]) == ("competence is no number", "5", True)
    assert kept["resolved_at"] is not None
    assert [row["id"] for row in memory.stored_rows()] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 5]
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(memory.stored_rows())


def test_a_rejected_row_read_again_in_vain_stays_counted(memory):
    memory.commit([page(0, rows_from(2, 10), [("1", "no")])])

    committed = memory.read_again(page(0, rows_from(2, 10), [("1", "still no")]))

    assert (committed.rejected, memory.checkpoint.rejected) == (0, 1)
    assert [(each["reason"], each["resolved_at"]) for each in memory.rejects()] == [("still no", None)]


FAR = 1_800_000_000_000_000_000


@pytest.mark.parametrize("far", [0, FAR])
def test_a_rejected_row_that_moves_to_an_earlier_page_is_counted_once(memory, far):
    rows = [row | {"id": far + row["id"]} for row in rows_from(1, 22)]
    bad = [(str(far + 20), "no")]
    memory.commit([*pages_of(rows[:10]), page(1, rows[10:19], bad)])

    memory.commit([page(0, [*rows[1:10], rows[10]]), page(1, rows[11:19] + rows[20:21], bad)])
    memory.commit([page(0, rows[2:12]), page(1, rows[12:19] + rows[20:22], bad)])

    assert (memory.checkpoint.rejected, memory.checkpoint.rows) == (1, 21)
    assert [(each["page"], each["key"]) for each in memory.rejects()] == [(1, str(far + 20))]

    memory.commit([page(0, [*rows[8:17]], bad), page(1, rows[20:22])])

    assert memory.checkpoint.rejected == 1
    assert [(each["page"], each["key"], each["resolved_at"]) for each in memory.rejects()] == [(0, str(far + 20), None)]


def test_a_rejected_row_that_was_gone_and_comes_back_on_two_pages_in_turn_is_counted_once(memory, database):
    rows = rows_from(1, 30)
    bad = [("11", "no")]
    there = page(1, [rows[9], *rows[11:19]], bad)
    memory.commit([page(0, rows[:9], [("10", "no")]), there])
    memory.commit([page(1, [rows[9], *rows[11:20]])])

    memory.commit([page(0, rows[1:10], bad)])
    memory.commit([there])

    assert (memory.checkpoint.rows, memory.checkpoint.rejected) == (19, 1)
    assert [each["page"] for each in memory.rejects() if each["resolved_at"] is None] == [1]
    assert memory_of(database).checkpoint.rejected == 1


@pytest.mark.parametrize("far", [0, FAR])
def test_a_bad_row_that_slips_to_a_page_that_is_not_read_again_stays_counted(memory, far):
    rows = [row | {"id": far + row["id"]} for row in rows_from(1, 31)]
    bad = [(str(far + 21), "no")]
    memory.commit([*pages_of(rows[:20]), page(2, rows[21:30], bad)])

    memory.commit([page(2, rows[21:31])])  # a row before was removed: 21 is on page 1 now

    assert (memory.checkpoint.rows, memory.checkpoint.rejected) == (30, 1)
    memory.commit([page(2, [*rows[20:21], *rows[21:30]])])
    assert (memory.checkpoint.rows, memory.checkpoint.rejected) == (31, 0)


def test_a_bad_row_is_gone_where_its_page_goes_around_it(memory):
    rows = rows_from(1, 11)
    memory.commit([page(0, rows[:4] + rows[5:10], [("5", "no"), ("#f00", "no")], size=10)])
    assert memory.checkpoint.rejected == 2

    memory.commit([page(0, rows[:4] + rows[5:11])])

    assert (memory.checkpoint.rows, memory.checkpoint.rejected) == (10, 0)


def test_a_revision_that_moves_to_another_page_is_counted_once(memory):
    rows = rows_from(1, 20)
    memory.commit(pages_of(rows))
    revised = [*rows[10:14], rows[14] | {"competence": 9.5}, *rows[15:20]]

    memory.commit([page(1, revised)])
    memory.commit([page(0, revised)])

    assert memory.checkpoint.revised == 1
    assert [(each["page"], each["key"]) for each in memory.rejects()] == [(0, "15")]


@pytest.mark.parametrize("far", [0, FAR])
def test_a_bad_reading_of_a_row_that_was_learned_does_not_count_it_twice(memory, far):
    rows = [row | {"id": far + row["id"]} for row in rows_from(1, 10)]
    memory.commit([page(0, rows)])

    memory.commit([page(0, rows[1:], [(str(far + 1), "competence is no number")])])

    assert (memory.checkpoint.rows, memory.checkpoint.rejected, memory.checkpoint.revised) == (10, 0, 1)


def caught_up(memory, url, in_flight):
    """Learn to the end of a feed, two pages at a time."""
    make_source = partial(Source, in_flight=in_flight)
    begun = memory.checkpoint.cursor
    for pages in batches(SPEC, begun, url=url, pages_a_batch=2, make_source=make_source):
        memory.commit(pages)


def open_keys(memory):
    return {each["key"] for each in memory.rejects() if each["resolved_at"] is None and each["counted"]}


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("removed", [set(), {5}, {5, 21}, set(range(3, 15)), {30, 31}])
@pytest.mark.parametrize("asked", [3, 5])
def test_rows_and_rejected_are_what_the_feed_showed(engines, in_flight, removed, asked):
    """Bad rows, rows without a key, rows that change once they were learned, and rows that go while it is read."""
    wrong = {1: {"id": "1"}, 2: {"id": None}, 21: {"competence": "x"}, 30: {"promoted": None}}
    there = [employee(each) | wrong.get(each, {}) for each in range(1, 66)]
    feed = Scripted(lambda number: paged(there, number))

    def shown(number):
        if number == asked:
            there[:] = [each for each in there if each["id"] not in removed]
        return paged(there, number)

    memory = memory_of(engines())
    with serving(Scripted(shown).app) as url:
        caught_up(memory, url, in_flight)
    there[:] = [each | {"competence": 77.0} if each["id"] in {64, 65} else each for each in there]
    there += [employee(66), employee(67, competence="y"), employee(-68)]
    with serving(feed.app) as url:
        caught_up(memory_of(memory._engine), url, in_flight)

    memory.open()
    stored = {each["id"] for each in memory.stored_rows()}
    kept = open_keys(memory)
    missing = [each["id"] for each in there if each["id"] not in stored and str(each["id"]) not in kept]
    assert [each for each in missing if isinstance(each, int) and each > 0] == []
    assert sum(key.startswith("#") for key in kept) == 3
    gone = len(removed & stored) + sum(str(each) in kept for each in removed)
    assert memory.checkpoint.rows + memory.checkpoint.rejected == len(there) + gone
    assert memory.checkpoint.revised == 2


def test_texts_that_no_database_holds_are_kept_all_the_same(memory):
    memory.commit([page(0, [], [("x" * 100, "a \x00 and \ud800")])])

    (kept,) = memory.rejects()
    assert kept["reason"] == "a \ufffd and ?"
    assert len(kept["key"]) == 64


@pytest.mark.parametrize(
    "statement", ["INSERT INTO data_promotions", "UPDATE stream_checkpoint", "INSERT INTO stream_history"]
)
def test_a_batch_that_fails_at_any_statement_leaves_nothing_and_the_next_one_is_right(memory, database, statement):
    pages = pages_of(rows_from(1, 60))
    memory.commit(pages[:2])
    before = learned(database)

    def fail(connection, cursor, words, *others):
        if words.startswith(statement):
            raise sqlite3.OperationalError("database or disk is full")

    event.listen(database, "before_cursor_execute", fail)
    with pytest.raises((DatabaseError, sqlite3.OperationalError), match="database or disk is full"):
        memory.commit(pages[2:4])
    event.remove(database, "before_cursor_execute", fail)

    assert not memory.is_open
    assert learned(database) == before
    with pytest.raises(RuntimeError, match="the memory of promotions is not open"):
        memory.commit(pages[2:4])
    assert memory.open().page == 2
    memory.commit(pages[2:6])
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 60))


def test_a_commit_that_fails_itself_leaves_nothing_and_the_next_one_is_right(memory, database):
    memory.commit(pages_of(rows_from(1, 20)))
    before = learned(database)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(
            "CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )

    def leave_an_orphan(connection, cursor, words, *others):
        if words.startswith("INSERT INTO stream_history"):
            connection.exec_driver_sql("INSERT INTO child VALUES (1)")

    event.listen(database, "after_cursor_execute", leave_an_orphan)
    with pytest.raises(DatabaseError, match=r"could not be written: .*(?i:foreign key constraint)") as refusal:
        memory.commit(pages_of(rows_from(21, 40), first=2))
    event.remove(database, "after_cursor_execute", leave_an_orphan)

    assert isinstance(refusal.value.__cause__, IntegrityError)
    assert not memory.is_open
    assert learned(database) == before
    memory.open()
    memory.commit(pages_of(rows_from(21, 60), first=2))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 60))


def test_a_transaction_that_cannot_be_serialized_leaves_nothing_and_the_next_one_is_right(postgresql_url):
    engine = open_database(Settings(database_url=postgresql_url))
    migrate(engine)
    memory = memory_of(engine.execution_options(isolation_level="SERIALIZABLE"))
    memory.commit(pages_of(rows_from(1, 20)))
    before = learned(engine)

    def write_meanwhile(connection, cursor, words, *others):
        if words.startswith("SELECT stream_checkpoint.version"):
            cursor.execute("SELECT 1")  # from here on it sees no other's writing
            with engine.begin() as other:
                other.execute(text("UPDATE stream_checkpoint SET status = 'running'"))

    event.listen(engine, "before_cursor_execute", write_meanwhile)
    with pytest.raises(DatabaseError, match="could not serialize access due to concurrent update") as refusal:
        memory.commit(pages_of(rows_from(21, 40), first=2))
    event.remove(engine, "before_cursor_execute", write_meanwhile)

    assert refusal.value.__cause__.orig.sqlstate == "40001"
    assert not memory.is_open
    assert learned(engine) == before
    memory.open()
    memory.commit(pages_of(rows_from(21, 60), first=2))
    assert learned(engine)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 60))
    engine.dispose()


def test_a_full_disk_is_said_in_plain_words_and_costs_nothing(engines):
    engine = engines()
    memory = memory_of(engine)
    memory.commit(pages_of(rows_from(1, 20)))
    before = learned(engine)

    @event.listens_for(engine, "connect")
    def fill(connection, record):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine.dispose()
    with pytest.raises(DatabaseError) as refusal:
        memory.commit(pages_of(rows_from(21, 9020), first=2))
    event.remove(engine, "connect", fill)
    engine.dispose()

    assert str(refusal.value) == (
        "the memory of promotions could not be written: database or disk is full;"
        " nothing is lost, what is in the database is as it was; see DIAMONDS_DATABASE_URL"
    )
    assert learned(engine) == before
    memory.open()
    memory.commit(pages_of(rows_from(21, 40), first=2))
    assert learned(engine)["checkpoint"][0]["state"]["fading"] == taught(rows_from(1, 40))


def test_a_lock_that_is_not_given_up_is_an_error_and_costs_nothing(tmp_path):
    engine, other = (open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db")) for _ in range(2))
    migrate(engine)
    memory = memory_of(engine)
    event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA busy_timeout = 10"))
    engine.dispose()

    with other.connect() as connection:
        connection.exec_driver_sql(
            "INSERT INTO stream_event (feed, at, kind, detail) VALUES ('x', '2026-01-01', 'x', '{}')"
        )
        with pytest.raises(DatabaseError, match="could not be written: database is locked"):
            memory.commit(pages_of(rows_from(1, 20)))

    memory.open()
    assert memory.commit(pages_of(rows_from(1, 20))).checkpoint.rows == 20
    engine.dispose()
    other.dispose()


def test_of_two_writers_the_second_is_refused_and_what_is_learned_is_as_if_one_had_been_alone(database):
    rows = rows_from(1, 60)
    one, two = memory_of(database), memory_of(database)
    one.commit(pages_of(rows[:30]))
    before = learned(database)

    with pytest.raises(StreamConflictError) as refusal:
        two.commit(pages_of(rows[:20]))

    assert str(refusal.value) == (
        "another process learns from promotions: this one stops here and keeps nothing of its last batch;"
        " stop the other, then start this one again"
    )
    assert learned(database) == before
    one.commit(pages_of(rows[30:], first=3))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows)


def test_pages_that_do_not_follow_the_checkpoint_are_refused(memory, database):
    memory.commit(pages_of(rows_from(1, 20)))
    before = learned(database)

    with pytest.raises(StreamConflictError, match="another process learns from promotions"):
        memory.commit(pages_of(rows_from(101, 120), first=10))

    assert learned(database) == before
    assert memory.commit(pages_of(rows_from(21, 30), first=2)).checkpoint.rows == 30


@pytest.mark.parametrize(("rows", "cursor"), [(37, (3, 37, 3)), (40, (4, 40, 3))])
def test_the_cursor_says_on_which_page_the_last_key_was(memory, database, rows, cursor):
    memory.commit(pages_of(rows_from(1, rows)))

    for checkpoint in (memory.checkpoint, memory_of(database).checkpoint):
        assert (checkpoint.cursor.page, checkpoint.cursor.last_key, checkpoint.cursor.key_page) == cursor


def test_a_learner_that_fails_takes_the_batch_with_it(database):
    class Picky(Fading):
        def learn(self, row):
            super().learn(row)
            if row["id"] == 25:
                raise ArithmeticError("no logarithm of that")

    memory = memory_of(database, make_learners=lambda spec: {"fading": Picky()})
    memory.commit(pages_of(rows_from(1, 20)))

    with pytest.raises(ArithmeticError, match="no logarithm of that"):
        memory.commit(pages_of(rows_from(21, 40), first=2))

    assert memory.open().rows == 20
    assert memory.learners["fading"].dump() == taught(rows_from(1, 20))


def test_a_learner_that_says_what_is_not_json_is_named(database):
    class Odd(Fading):
        def dump(self):
            return {"level": float("nan")}

    memory = memory_of(database, make_learners=lambda spec: {"fading": Odd()})

    with pytest.raises(ModelError, match="the learner fading of promotions says what is not JSON"):
        memory.commit(pages_of(rows_from(1, 20)))


def test_another_configuration_is_refused_and_learned_anew_by_a_replay(memory, database):
    memory.commit([page(0, rows_from(1, 10)), page(1, rows_from(11, 19), [("20", "no")])])
    faster = SPEC.model_copy(update={"learners": {"fading": SPEC.learners["fading"], "too": SPEC.learners["fading"]}})
    two = Memory(database, faster, make_learners=lambda spec: {name: Fading() for name in spec.learners})

    with pytest.raises(StreamConflictError) as refusal:
        two.open()
    replayed = two.reset(keep_rows=True)

    assert str(refusal.value) == (
        "what was learned from promotions is of another configuration than conf/base/streams.yml says now:"
        " `replay` learns the stored rows again as it says, `reset` begins anew, or put the entry back"
    )
    assert learned(database)["checkpoint"][0]["state"] == dict.fromkeys(("fading", "too"), taught(rows_from(1, 19)))
    assert (replayed.version, replayed.page, replayed.last_key, replayed.rows, replayed.rejected) == (3, 2, 19, 19, 1)
    with pytest.raises(StreamConflictError):
        memory.commit(pages_of(rows_from(21, 30), first=2))


@pytest.mark.parametrize("form", [1, 3])
def test_a_state_of_another_form_is_refused_and_a_replay_gives_what_never_stopping_would(memory, database, form):
    rows = rows_from(1, 95)
    memory.commit(pages_of(rows[:50]))
    memory.commit(pages_of(rows[50:90], first=5))
    before = learned(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE stream_checkpoint SET state_schema = :form"), {"form": form})

    with pytest.raises(
        StreamConflictError, match=f"was saved in form {form}, and this version of the project reads form 2: `replay`"
    ):
        memory.open()
    memory.reset(keep_rows=True)

    assert learned(database) == before
    memory.commit(pages_of(rows[90:], first=9))
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows)
    history = memory.history()
    assert [each["rows"] for each in history] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]
    assert history[4]["coefficients"]["fading"][0]["estimate"] == taught(rows[:50])["level"]
    assert history[4]["scores"] == {"fading": {"rows": 50.0}}


@pytest.mark.parametrize("cut", [{"page_size": 25}, {"page_size": 7}, {"first_page": 1}])
def test_after_a_replay_pages_that_are_cut_otherwise_are_read_from_the_first_one_and_nothing_is_learned_twice(
    memory, database, cut
):
    rows = rows_from(1, 95)
    memory.commit(pages_of(rows[:90]))
    spec = SPEC.model_copy(update=cut)
    size, first = spec.page_size, spec.first_page
    again = Memory(database, spec, make_learners=fading)

    with pytest.raises(StreamConflictError, match="of another configuration"):
        again.open()
    replayed = again.reset(keep_rows=True)
    for start in range(0, 95, size):
        number = first + start // size
        held = rows[start : start + size]
        again.commit([Page(number, tuple(held), (), len(held), number + (len(held) == size))])

    assert (replayed.page, replayed.last_key, replayed.rows) == (first, 90, 90)
    assert (again.checkpoint.page, again.checkpoint.rows) == (first + 95 // size, 95)
    assert learned(database)["checkpoint"][0]["state"]["fading"] == taught(rows)


def test_a_reset_without_the_rows_begins_at_the_first_page_and_never_uses_a_version_twice(memory, database):
    memory.commit([page(0, rows_from(1, 9), [("10", "no")])])
    memory.record_event("start", {"by": "a person"})

    empty = memory.reset(keep_rows=False)

    found = learned(database)
    assert (empty.version, empty.page, empty.last_key, empty.rows, empty.rejected) == (2, 0, None, 0, 0)
    assert (found["rows"], found["rejects"], memory.history(), memory.learners["fading"].rows) == ([], [], [], 0)
    assert [each["kind"] for each in memory.events()] == ["start"]
    assert memory.commit([page(0, rows_from(1, 10))]).checkpoint.version == 3


def test_rows_of_other_columns_cannot_be_replayed_but_dropped(memory, database):
    memory.commit(pages_of(rows_from(1, 10)))
    wider = SPEC.model_copy(update={"columns": SPEC.columns | {"age": SPEC.columns["competence"]}})
    two = Memory(database, wider, make_learners=fading)

    with pytest.raises(StreamConflictError, match="the stored rows of promotions have other columns"):
        two.reset(keep_rows=True)
    two.reset(keep_rows=False)
    two.commit([page(0, [row | {"age": 40.5} for row in rows_from(1, 10)])])

    assert learned(database)["rows"][0]["age"] == 40.5


def test_a_learner_whose_state_cannot_be_saved_is_fed_the_stored_rows(database):
    class Unsaved(Fading):
        needs_replay = True

        def dump(self):
            return {}

    def make(spec):
        return {"fading": Unsaved()}

    memory_of(database, make_learners=make).commit(pages_of(rows_from(1, 40)))

    again = memory_of(database, make_learners=make)

    assert (again.learners["fading"].rows, again.learners["fading"].level) == tuple(taught(rows_from(1, 40)).values())


def test_the_history_keeps_each_of_200_batches_then_one_a_hundredth_more_rows_and_always_the_last(memory):
    rows = rows_from(1, 2600)
    for each in pages_of(rows):
        memory.commit([each])

    kept = [each["rows"] for each in memory.history()]

    assert kept[:200] == list(range(10, 2010, 10))
    assert kept[200:] == [*range(2020, 2600, 30), 2600]
    memory.reset(keep_rows=True)
    assert [each["rows"] for each in memory.history()] == kept


def test_the_history_is_bounded_also_while_no_row_is_learned(engines):
    memory = memory_of(engines())
    for number in range(320):
        memory.commit([page(number, [], [(str(10 * number + each), "no") for each in range(1, 11)])])

    assert memory.checkpoint.rejected == 3200
    assert len(memory.history()) <= 201


def test_memory_stays_flat_and_the_history_short_over_a_million_rows(engines):
    process, total, batch = psutil.Process(), 1_000_000, 500
    memory, seen = memory_of(engines()), []

    for start in range(0, total, batch):
        rows = [invented(key) for key in range(start + 1, start + batch + 1)]
        memory.commit(pages_of(rows, first=start // 10))
        if start >= 100_000:
            seen.append(process.memory_info().rss)

    assert memory.checkpoint.rows == total
    assert max(seen) - seen[0] < 20 * 2**20
    assert len(memory.history()) < 2_000


def invented(key):
    return {"id": key, "competence": key % 97 / 97, "network_ability": key % 89 / 89, "promoted": key % 3 == 0}


def test_a_durable_database_waits_for_the_disk(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"), durable=True)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
