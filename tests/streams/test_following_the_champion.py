"""The champion of the database, followed by a real memory of the feed of diamonds, and what the price service reads."""

import math

import pytest

from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.models import linear
from diamonds.pricer import Pricer, TrainingSummary, load, save
from diamonds.schema import FEATURES
from diamonds.service.market import UNKNOWN, MarketWatch
from diamonds.stones import SortedStones
from diamonds.store import history, streams
from diamonds.streams.learners.market_index import MarketIndex, Params
from diamonds.streams.memory.memory import Memory
from diamonds.streams.running.champion import ChampionWatch
from diamonds.streams.running.runner import Runner
from diamonds.streams.science.pricing import following
from diamonds.streams.spec import feed
from project import ROOT, STONE
from streamed import Shelf, pages_of, until

SPEC = feed(ROOT, "diamonds")


@pytest.fixture(scope="module")
def saved(stones, tmp_path_factory):
    """A folder with two versions of a linear model."""
    folder, train = tmp_path_factory.mktemp("models"), stones.head(1000)
    fitted = linear.build(linear.Params()).fit(train[list(FEATURES)], train["price"])
    band = ConformalBand(0.9, {"any": (0.8, 1.3)})
    pricer = Pricer(
        "linear",
        fitted,
        band,
        band,
        Proportions.of(train),
        TrainingSummary.of(train, {}, "none"),
        SortedStones.of(train),
    )
    for version in ("one", "two"):
        save(pricer, folder / version, version)
    return folder


@pytest.fixture
def site(database, saved):
    """The database that knows these models, and a clock that the test turns."""
    for version in ("one", "two"):
        history.start_run(database, version, {}, {}, None)
        history.record_model(database, version, "linear", artefact=version)
    now = [0.0]
    return database, ChampionWatch(database, saved, clock=lambda: now[0]), now


@pytest.fixture(scope="module")
def pages(stones):
    """600 stones in a market that is 7 % above that of the training."""
    rows = stones.iloc[1000:1600].to_dict("records")
    rows = [{"id": place} | row | {"price": row["price"] * 1.07} for place, row in enumerate(rows, 1)]
    return pages_of(rows)


def opened(database, watch):
    memory = Memory(database, SPEC, make_learners=following(watch))
    memory.open()
    return memory


def test_what_is_committed_is_what_a_worker_of_the_price_service_reads(site, saved, pages):
    database, watch, _ = site
    history.promote(database, "linear", "one", "first", previous_id=0)
    opened(database, watch).commit(pages)

    service = MarketWatch("diamonds", lambda name: streams.market_index(database, name))
    service.look()

    market = service.of(load(saved / "one"))
    assert market.as_of_rows == 600
    assert market.market_index == pytest.approx(1.07, abs=0.03)
    assert service.of(load(saved / "two")) == UNKNOWN


def test_a_promotion_is_noticed_between_two_batches_and_the_service_no_longer_multiplies(site, saved, pages):
    database, watch, now = site
    history.promote(database, "linear", "one", "first", previous_id=0)
    memory = opened(database, watch)
    memory.commit(pages[:30])
    history.promote(database, "linear", "two", "second", previous_id=1)
    now[0] += 60
    memory.commit(pages[30:35])

    found = streams.market_index(database, "diamonds")

    assert (found.version, found.rows, found.stones, found.offered) == ("two", 350, 50, False)


def test_whoever_learns_on_from_the_checkpoint_holds_the_same_to_the_last_bit(site, saved, pages):
    database, watch, _ = site
    history.promote(database, "linear", "one", "first", previous_id=0)
    for start in range(0, 60, 7):
        memory = opened(database, watch)  # as after a crash
        memory.commit(pages[start : start + 7])

    alone = MarketIndex(Params())
    alone.follow(lambda: load(saved / "one"))
    for page in pages:
        for row in page.rows:
            alone.learn(row)

    assert opened(database, watch).learners["market"].dump() == alone.dump()


def test_a_runner_tells_those_who_watch_of_the_index_audits_it_and_answers_with_it(site, saved, pages):
    database, watch, _ = site
    history.promote(database, "linear", "one", "first", previous_id=0)
    shelf = Shelf([row for page in pages for row in page.rows])
    runner = Runner(SPEC, database, make_source=shelf.source, champion=watch)
    runner.start_thread()
    try:
        seen = until(runner, lambda document: document["rows"] == 600)["learners"]["market"]
        (gap,) = runner.audit()["market"]
        answer = runner.answer(STONE)["market"]
    finally:
        assert runner.stop(30)

    assert seen["statistics"]["market_index"] == pytest.approx(1.07, abs=0.03)
    assert (gap["what"], gap["streamed"]) == (
        "market index, beside the median of the newest 500 ratios",
        seen["statistics"]["market_index"],
    )
    assert abs(gap["gap"]) < 0.02
    assert answer["champion_price"] == load(saved / "one").quote(STONE).price


def test_before_the_first_promotion_rows_are_kept_and_the_index_waits(site, pages):
    database, watch, now = site
    memory = opened(database, watch)
    memory.commit(pages[:10])
    waiting = streams.market_index(database, "diamonds")
    history.promote(database, "linear", "one", "first", previous_id=0)
    now[0] += 60
    memory.commit(pages[10:20])

    found = streams.market_index(database, "diamonds")

    assert waiting is None
    assert memory.checkpoint.statistics["price"]["scores"]["rows"] == 200
    assert (found.rows, found.stones) == (200, 100)
    assert found.index == pytest.approx(math.exp(memory.learners["market"].dump()["level"]["level"]))
