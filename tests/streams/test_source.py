"""Reading a feed: no row is lost, none is told twice as another, whatever the feed does."""

import asyncio
import random

import pytest
from starlette.responses import PlainTextResponse, Response

from diamonds.errors import ConfigurationError, FeedError
from diamonds.streams.feeding.faults import KINDS
from diamonds.streams.reading.client import PageClient
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.reading.source import Source
from feeds import SPEC, Scripted, Told, drawn_feed, ids, paged, read, row, serving

ROWS = [row(number) for number in range(1, 101)]
ROWS_AND_MORE = [row(number) for number in range(1, 131)]


def limited(rows, most=500):
    """A feed that refuses whoever asks for ever."""
    feed = Scripted(lambda number: paged(rows, number) if len(feed.asked) < most else Response(status_code=403))
    return feed


@pytest.mark.parametrize("in_flight", [1, 4, 16])
def test_a_feed_at_rest_is_read_in_order_without_reading_any_page_twice_before_its_end(in_flight):
    feed = Scripted(lambda number: paged(ROWS, number))
    with serving(feed.app) as url:
        pages = read(url, in_flight=in_flight)

    assert ids(pages) == list(range(1, 101))
    assert [page.number for page in pages] == list(range(10))
    assert all(feed.asked.count(number) == 1 for number in range(10))


def test_a_page_that_is_not_full_is_given_once_and_does_not_advance():
    feed = Scripted(lambda number: paged(ROWS[:37], number))
    with serving(feed.app) as url:
        pages = read(url)

    assert [(page.number, page.size, page.next_page) for page in pages[-2:]] == [(2, 10, 3), (3, 7, 3)]


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("step", [1, 3, 7, 10, 13])
def test_a_feed_that_grows_with_every_request_loses_no_row(in_flight, step):
    there = [5]

    def grown(number):
        shown = paged(ROWS[: there[0]], number)
        there[0] = min(there[0] + step, 100)
        return shown

    feed = Scripted(grown)
    with serving(feed.app) as url:
        pages = read(url, in_flight=in_flight, until=lambda pages: len(ids(pages)) == 100)

    assert ids(pages) == list(range(1, 101))
    assert min(feed.asked) == 0


@pytest.mark.parametrize("length", range(10))
@pytest.mark.parametrize("step", [1, 9, 10, 11])
def test_a_page_that_is_seen_at_any_length_grows_without_losing_a_row(length, step):
    there, ends = list(ROWS[: 20 + length]), []

    def enough(pages):
        ends.append(len(ids(pages)))
        there.extend(ROWS[len(there) : len(there) + step])
        return len(ends) == 4

    feed = Scripted(lambda number: paged(there, number))
    with serving(feed.app) as url:
        pages = read(url, until=enough)

    assert ends == [20 + length + step * each for each in range(4)]
    assert ids(pages) == list(range(1, ends[-1] + 1))
    assert all(page.next_page == page.number + (page.size == 10) for page in pages)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hang"])
def test_each_fault_alone_heals_and_costs_no_row(kind):
    told = Told()
    with serving(drawn_feed(300, rate=0.3, seed=3, kinds=(kind,))) as url:
        pages = read(url, told=told)

    assert ids(pages) == list(range(1, 301))
    assert [page.rejects for page in pages if page.rejects] == []
    healed_by = {"shuffled": set()}.get(kind, {"retry", "reread"})  # the order within a page means nothing
    assert bool(healed_by) == bool(healed_by & set(told.kinds()))


def test_a_feed_that_hangs_is_asked_again():
    hasty = SPEC.model_copy(update={"connect_seconds": 0.05, "read_seconds": 0.05})
    told = Told()
    with serving(drawn_feed(60, rate=0.3, seed=2, kinds=("hang",))) as url:
        assert ids(read(url, told=told, spec=hasty)) == list(range(1, 61))

    assert {detail["why"].partition(": ")[2] for kind, detail in told if kind == "retry"} == {
        "it did not answer in time"
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_faults_together_and_rows_that_are_wrong_for_good(seed):
    kinds = tuple(kind for kind in KINDS if kind != "hang")
    with serving(drawn_feed(500, rate=0.3, seed=seed, kinds=kinds, bad_every=97)) as url:
        pages = read(url, in_flight=4)

    rejected = {reject.key for page in pages for reject in page.rejects}
    assert rejected == {"97", "194", "291", "388", "485"}
    assert sorted(ids(pages)) == [number for number in range(1, 501) if number % 97]
    assert len(ids(pages)) + len(rejected) == 500


def test_a_gap_in_the_ids_is_believed_after_three_readings():
    rows = [each for each in ROWS if each["id"] not in {15, 31}]
    feed = Scripted(lambda number: paged(rows, number))
    with serving(feed.app) as url:
        pages = read(url, in_flight=1)

    assert ids(pages) == [each["id"] for each in rows]
    assert feed.asked.count(1) == 3
    assert feed.asked.count(0) == 1


def test_a_page_that_keeps_changing_is_left_some_time():
    told, turn = Told(), [0]

    def changing(number):
        if number == 0 and turn[0] < 9:
            turn[0] += 1
            return [row(1, competence=turn[0] / 100), row(1)]
        return paged(ROWS[:20], number)

    with serving(Scripted(changing).app) as url:
        assert ids(read(url, told=told, in_flight=1)) == list(range(1, 21))

    assert told.pauses[:4] == [0.25, 0.5, 1.0, 2.0]


def test_a_page_that_is_never_the_same_stalls_the_stream_until_it_is():
    told, turn = Told(), [0]

    def changing(number):
        if number == 0 and turn[0] < 25:
            turn[0] += 1
            return [row(1, competence=turn[0] / 100), row(1)]
        return paged(ROWS[:20], number)

    with serving(Scripted(changing).app) as url:
        assert ids(read(url, told=told, in_flight=1)) == list(range(1, 21))

    assert [(kind, detail.get("why")) for kind, detail in told if kind in {"stall", "recover"}] == [
        ("stall", "page 0 reads differently each time"),
        ("recover", None),
    ]
    assert told.kinds().index("stall") == 9


def test_a_row_that_does_not_hold_is_believed_beside_fields_that_change_with_each_request():
    served = iter(range(10_000))

    def answer(number):
        return [each | {"served": next(served)} for each in paged(bad({5}, ROWS[:30]), number)]

    told = Told()
    with serving(Scripted(answer).app) as url:
        pages = read(url, told=told)

    (reject,) = pages[0].rejects
    assert (reject.key, reject.raw) == ("5", '{"id": 5, "competence": "x", "network_ability": -1.0, "promoted": false}')
    assert len(ids(pages)) == 29
    assert "stall" not in told.kinds()


def test_rows_that_are_removed_behind_the_cursor_while_it_reads_cost_none():
    there = list(ROWS)

    def shrinking(number):
        if number == 5:
            there[:] = [each for each in ROWS if each["id"] != 3]
        return paged(there, number)

    feed, told = Scripted(shrinking), Told()
    with serving(feed.app) as url:
        pages = read(url, in_flight=1, told=told)

    assert ids(pages) == list(range(1, 101))
    assert "anchor" in told.kinds()


def test_after_rows_were_removed_the_page_to_go_on_with_is_searched_by_key():
    feed = Scripted(lambda number: paged([each for each in ROWS if not 11 <= each["id"] <= 25], number))
    told = Told()
    with serving(feed.app) as url:
        pages = read(url, cursor=Cursor(5, 50), told=told)

    assert pages[0].number == 3
    assert [each for each in ids(pages) if each > 50] == list(range(51, 101))
    (anchor,) = [detail for kind, detail in told if kind == "anchor"]
    assert (anchor["page"], anchor["found"]) == (5, 3)
    assert anchor["why"].startswith("rows before the cursor were removed from the feed")


def test_where_nothing_was_removed_it_goes_on_where_it_was():
    feed = Scripted(lambda number: paged(ROWS, number))
    with serving(feed.app) as url:
        pages = read(url, cursor=Cursor(9, 90), in_flight=1)
        again = read(url, cursor=Cursor(10, 100))

    assert (ids(pages), again) == (list(range(91, 101)), [])
    assert min(feed.asked) == 8


def bad(keys, rows=ROWS_AND_MORE):
    return [each | {"competence": "x"} if each["id"] in keys else each for each in rows]


def test_a_page_without_a_key_that_holds_stops_nothing():
    rows = [each | {"id": str(each["id"])} if 51 <= each["id"] <= 60 else each for each in ROWS_AND_MORE]
    feed, told = limited(rows), Told()
    with serving(feed.app) as url:
        pages = read(url, told=told)

    assert ids(pages) == [*range(1, 51), *range(61, 131)]
    assert sum(len(page.rejects) for page in pages) == 10
    assert "anchor" not in told.kinds()


def test_a_key_far_beyond_the_others_stops_nothing():
    keys = [each if each != 15 else 1000 for each in range(1, 61)] + list(range(1061, 1131))
    feed, told = limited([row(key) for key in keys]), Told()
    with serving(feed.app) as url:
        pages = read(url, told=told)

    assert sorted(ids(pages)) == sorted(keys)
    assert "anchor" not in told.kinds()


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [({99, 100}, Cursor(10, 98)), (set(range(91, 101)), Cursor(10, 90)), ({130}, Cursor(13, 129))],
)
def test_rows_that_do_not_hold_before_the_cursor_are_not_taken_for_removed(keys, cursor):
    told = Told()
    with serving(limited(bad(keys)).app) as url:
        pages = read(url, cursor=cursor, told=told)

    assert [page.number for page in pages] == list(range(cursor.page, 13))
    assert "anchor" not in told.kinds()


@pytest.mark.parametrize("keys", [{99, 100}, set(range(91, 101))])
def test_removed_rows_are_found_among_rows_that_do_not_hold(keys):
    told = Told()
    with serving(limited([each for each in bad(keys) if not 11 <= each["id"] <= 25]).app) as url:
        pages = read(url, cursor=Cursor(10, 101 - len(keys) - 1), told=told)

    assert [each for each in ids(pages) if each > 100] == list(range(101, 131))
    assert told.kinds().count("anchor") == 1


@pytest.mark.parametrize(
    "once",
    [ROWS[90:93], ROWS[80:90], [], [*ROWS[90:99], ROWS[99] | {"id": "x"}]],
    ids=["short", "swapped", "empty", "garbled"],
)
def test_a_fault_that_passes_is_not_taken_for_rows_that_were_removed(once):
    answers, told = {9: [once]}, Told()

    def answer(number):
        return answers[number].pop() if answers.get(number) else paged(ROWS_AND_MORE, number)

    with serving(Scripted(answer).app) as url:
        pages = read(url, cursor=Cursor(10, 100), told=told)

    assert [page.number for page in pages] == [10, 11, 12]
    assert "anchor" not in told.kinds()
    assert answers == {9: []}


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("asked", [4, 5])
def test_a_row_that_appears_late_is_read_and_its_gap_told(in_flight, asked):
    there, told = [each for each in ROWS[:60] if each["id"] != 8], Told()

    def appearing(number):
        if number == asked:
            there[:] = ROWS[:60]
        return paged(there, number)

    with serving(Scripted(appearing).app) as url:
        pages = read(url, told=told, in_flight=in_flight, until=lambda pages: 8 in ids(pages))

    assert sorted(ids(pages)) == list(range(1, 61))
    (gap,) = [detail for kind, detail in told if kind == "gap"]
    assert gap == {
        "page": 0,
        "missing": ["8"],
        "why": "page 0 came without the keys 8: should they appear, they are learned",
    }
    (anchor,) = [detail for kind, detail in told if kind == "anchor"]
    assert anchor["why"].startswith("rows were inserted before the cursor: reading goes back to the first page")
    assert anchor["found"] == 0


def test_rows_that_appear_one_after_the_other_are_all_read_where_the_end_was_reached():
    hidden, looks = [24, 19], []

    def enough(pages):
        looks.append(1)
        if len(looks) in {3, 6}:
            hidden.pop(0)
        return len(ids(pages)) == 57 or len(looks) > 12

    with serving(
        Scripted(lambda number: paged([each for each in ROWS[:57] if each["id"] not in hidden], number)).app
    ) as url:
        assert sorted(ids(read(url, until=enough))) == list(range(1, 58))


def test_a_row_that_appears_late_is_read_also_where_the_rows_after_it_do_not_hold():
    there = [each for each in bad({40, 41}, ROWS[:60]) if each["id"] != 8]

    def appearing(number):
        if number == 4:
            there[:] = bad({40, 41}, ROWS[:60])
        return paged(there, number)

    with serving(Scripted(appearing).app) as url:
        pages = read(url, in_flight=1)

    assert 8 in ids(pages)


@pytest.mark.parametrize("hidden", [{8}, set(range(5, 30))])
@pytest.mark.parametrize("rows", [57, 60, 61])
def test_rows_that_appear_late_are_read_also_where_the_end_was_reached(rows, hidden):
    there, looks, told = [each for each in ROWS[:rows] if each["id"] not in hidden], [], Told()

    def enough(pages):
        looks.append(1)
        if len(looks) == 3:
            there[:] = ROWS[:rows]
        return len(ids(pages)) == rows or len(looks) > 10

    with serving(Scripted(lambda number: paged(there, number)).app) as url:
        pages = read(url, told=told, until=enough)

    assert sorted(ids(pages)) == list(range(1, rows + 1))
    assert "anchor" in told.kinds()


def test_rows_that_were_inserted_while_nobody_read_are_read_where_the_last_page_is_known():
    told = Told()
    with serving(limited(ROWS_AND_MORE).app) as url:
        pages = read(url, cursor=Cursor(4, 41, 3), told=told)
        unmoved = read(url, cursor=Cursor(4, 43, 4), told=told)

    assert ids(pages) == list(range(1, 131))
    assert [page.number for page in unmoved] == list(range(4, 13))
    assert told.kinds().count("anchor") == 1


def test_of_many_gaps_so_many_are_told_and_of_a_long_one_its_ends():
    rows = [row(10**6)] + [row(10**6 + 1000 + 2 * number) for number in range(1200)]
    told = Told()
    with serving(limited(rows, 10**6).app) as url:
        assert len(ids(read(url, told=told))) == 1201

    gaps = [detail for kind, detail in told if kind == "gap"]
    assert gaps[0]["missing"][:2] == ["1000001 to 1000999", "1001001"]
    assert [len(gaps), gaps[99]["why"].endswith("; further gaps are not told")] == [100, True]


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("seed", range(10))
def test_whenever_rows_come_and_go_each_row_that_stays_is_read(in_flight, seed):
    """Growth and removals at requests drawn by chance, of rows that hold and of rows that do not."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    last, gone, wrong = [chance.randint(5, 70)], set(), set(chance.sample(range(1, 70), 6))
    changes = sorted((chance.randint(1, 40) for _ in range(4)), reverse=True)

    def visible():
        return bad(wrong, [row(each) for each in range(1, last[0] + 1) if each not in gone])

    def answer(number):
        while changes and len(feed.asked) >= changes[-1]:
            changes.pop()
            if chance.random() < 0.5:
                last[0] += chance.randint(1, 25)
            else:
                start = chance.randint(1, last[0])
                gone.update(range(start, start + chance.randint(1, 12)))
        return paged(visible(), number)

    def enough(pages):
        quiet.append(len(pages))
        return not changes and quiet[-5:].count(len(pages)) == 5

    feed, quiet = Scripted(answer), []
    with serving(feed.app) as url:
        pages = read(url, in_flight=in_flight, until=enough)

    rejected = {int(reject.key) for page in pages for reject in page.rejects}
    assert {each["id"] for each in visible()} <= rejected | set(ids(pages))
    assert min(feed.asked) == 0


def test_no_page_before_the_first_is_ever_asked_for():
    feed = Scripted(lambda number: paged(ROWS[5:], number))
    with serving(feed.app) as url:
        for cursor in (Cursor(0, None), Cursor(0, 4), Cursor(1, 3), Cursor(2, 1)):
            read(url, cursor=cursor)

    assert min(feed.asked) == 0


def test_the_end_may_be_a_status():
    def ending(number):
        return paged(ROWS[:20], number) or Response(status_code=404)

    with serving(Scripted(ending).app) as url:
        assert ids(read(url)) == list(range(1, 21))


def test_a_first_page_that_is_not_found_is_a_wrong_address():
    with (
        serving(Scripted(lambda number: Response(status_code=404)).app) as url,
        pytest.raises(FeedError, match=r"answers 404 for its first page: is the address right\?"),
    ):
        read(url)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (PlainTextResponse("no key", 403), "answers 403: no key"),
        (Response(status_code=400), "answers 400: nothing more"),
        (PlainTextResponse("\x1b]0;X\x07\x1b[31mno\u202e key", 403), r"answers 403: \]0;X\[31mno key$"),
        (Response(status_code=307, headers={"Location": "http://else.where/"}), r"leads on to http://else.where/: give that address"),
    ],
)  # fmt: skip
def test_what_will_not_change_stops_it_in_plain_words(answer, why):
    with serving(Scripted(lambda number: answer).app) as url, pytest.raises(FeedError, match=why):
        read(url)


def test_what_is_no_address_is_said():
    with pytest.raises(ConfigurationError, match=r"ftp://x is no address of a feed: it begins with http"):
        PageClient(SPEC, "ftp://x")


def paused(answers, draw=lambda least, most: most):
    """The pauses of a client that is given these answers, then a page."""
    told, turns = Told(), iter(answers)

    async def asking():
        async with PageClient(SPEC, url, tell=told, sleep=told.sleep, draw=draw) as client:
            return await client.fetch(0)

    with serving(Scripted(lambda number: next(turns, paged(ROWS[:10], number))).app) as url:
        assert asyncio.run(asking()).size == 10
    return told.pauses


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7), ("9999999", 30), ("0", 0.25), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.25), ("soon", 0.25)],
)
def test_it_waits_as_long_as_the_feed_asks_for_and_never_less_than_it_would_anyway(header, pause):
    assert paused([Response(status_code=503, headers={"Retry-After": header})]) == [pause]


def test_each_pause_is_drawn_from_nothing_to_a_bound_that_doubles():
    drawn = []

    def draw(least, most):
        drawn.append((least, most))
        return most / 3

    pauses = paused([Response(status_code=500)] * 9, draw)

    bounds = [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert drawn == [(0, bound) for bound in bounds]
    assert pauses == [bound / 3 for bound in bounds]


def test_pauses_are_spread():
    told, turns = Told(), iter([Response(status_code=500)] * 12)
    with serving(Scripted(lambda number: next(turns, paged(ROWS[:10], number))).app) as url:
        read(url, told=told, in_flight=1)
    pauses = told.pauses

    assert len(set(pauses)) == 12
    assert all(0 <= pause <= 30 for pause in pauses)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 599, 204])
def test_what_may_pass_is_asked_for_again(status):
    assert len(paused([Response(status_code=status)] * 2)) == 2


def test_it_is_stalled_after_five_failures_in_a_row_and_says_when_it_recovers():
    turns = iter([Response(status_code=500)] * 7)
    told = Told()
    with serving(Scripted(lambda number: next(turns, paged(ROWS[:10], number))).app) as url:
        assert ids(read(url, told=told, in_flight=1)) == list(range(1, 11))

    assert told.kinds()[:8] == ["retry"] * 5 + ["stall"] + ["retry"] * 2
    assert told.kinds()[8] == "recover"
    assert dict(told)["stall"]["why"] == "page 0: it answered 500"
    bounds = [0.25 * 2**number for number in range(7)]
    assert all(pause <= bound for pause, bound in zip(told.pauses, bounds, strict=True))
    assert max(told.pauses) > 0.25


def test_a_feed_that_is_not_there_is_tried_again():
    async def trying(*, quietly):
        told = Told()
        enough = asyncio.Event()

        async def sleep(seconds):
            if len(told) >= 6:
                enough.set()
            await asyncio.sleep(0)

        async with PageClient(SPEC, "http://127.0.0.1:9", tell=told, sleep=sleep) as client:
            task = asyncio.create_task(client.fetch(0, quietly=quietly))
            await enough.wait()
            task.cancel()
        return told

    told = asyncio.run(trying(quietly=False))
    assert "stall" not in asyncio.run(trying(quietly=True)).kinds()
    assert "stall" in told.kinds()
    assert told[0][1]["why"] == "page 0: nothing answers at http://127.0.0.1:9"


def test_an_answer_beyond_a_mebibyte_is_no_page():
    turns = iter([PlainTextResponse("[" + " " * 1024 * 1024 + "]"), None])
    told = Told()
    with serving(Scripted(lambda number: next(turns, None) or paged(ROWS[:10], number)).app) as url:
        assert ids(read(url, told=told, in_flight=1)) == list(range(1, 11))

    assert told[0][1]["why"] == "page 0: it answered more than 1 MiB"


def test_the_end_is_looked_at_less_and_less_often_and_at_once_when_asked():
    async def looking():
        waits = []
        async with Source(SPEC, url) as source:
            async for item in source.pages(Cursor(0, None), follow=True):
                if not isinstance(item, Page):
                    waits.append(source.next_look_seconds)
                    if len(waits) == 12:
                        break
                    source.look_now()
        return waits

    with serving(Scripted(lambda number: paged(ROWS[:15], number)).app) as url:
        waits = asyncio.run(looking())

    assert waits[:4] == [1.0, 1.5, 2.25, 3.375]
    assert waits[-1] == 30.0


def test_at_an_end_that_is_empty_it_is_checked_that_the_feed_is_what_it_was():
    """Nothing shows at the end itself: a row was removed, and one came in its place."""
    feed = Scripted(lambda number: paged(there, number))
    there = list(ROWS[:20])
    looks = []

    def enough(pages):
        looks.append(1)
        if len(looks) == 5:
            there[:] = [*ROWS[:2], *ROWS[3:21]]  # 3 is gone, 21 has come: 20 rows as before
        return 21 in ids(pages) or len(looks) > 20

    with serving(feed.app) as url:
        pages = read(url, until=enough)

    assert ids(pages) == list(range(1, 22))
    assert len(looks) == 6


@pytest.mark.parametrize(("rows", "removed"), [(37, 10), (40, 5), (40, 12)])
def test_rows_that_come_after_others_were_removed_are_seen_within_a_few_looks(rows, removed):
    there, looks = list(ROWS[:rows]), []

    def enough(pages):
        looks.append(1)
        if len(looks) == 3:
            there[:] = ROWS[removed:rows]
        if len(looks) == 5:
            there[:] = ROWS[removed : rows + 2]
        return rows + 2 in ids(pages) or len(looks) > 20

    with serving(Scripted(lambda number: paged(there, number)).app) as url:
        pages = read(url, until=enough)

    assert ids(pages) == list(range(1, rows + 3))
    assert len(looks) < 10


def test_a_page_can_be_read_again():
    async def again():
        async with Source(SPEC, url) as source:
            return await source.read_again(2)

    with serving(Scripted(lambda number: paged(ROWS, number)).app) as url:
        assert [each["id"] for each in asyncio.run(again()).rows] == list(range(21, 31))
