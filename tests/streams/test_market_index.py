"""The market index: how far prices have moved from the champion's, when it is offered, and whose it is."""

import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.streaming.prices import SCATTERED
from diamonds.config import Settings
from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.models import median
from diamonds.pricer import Pricer, TrainingSummary, save
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones
from diamonds.store import history
from diamonds.store.database import migrate, open_database
from diamonds.streams import learners
from diamonds.streams.learners.market_index import MarketIndex, Params
from diamonds.streams.running.champion import LOOK_SECONDS, ChampionWatch
from diamonds.streams.science.inference import watching_factor
from diamonds.streams.science.level import Level
from diamonds.streams.science.pricing import following, look
from diamonds.streams.spec import feed
from project import ROOT, STONE

SCATTER = 0.1


class Priced(NamedTuple):
    price: float


@dataclass(frozen=True)
class Champion:
    """Prices every stone by its weight alone."""

    name: str = "champion"
    version: str = "one"

    def quote(self, stone):
        return Priced(4000.0 * stone["carat"] ** 2)


def market(rows, moved=lambda row: 0.0, seed=1):
    """Stones whose log prices scatter about the champion's, from which the market has moved away."""
    random = np.random.default_rng(seed)
    drawn = zip(random.uniform(0.3, 2, rows).tolist(), random.normal(0, SCATTER, rows).tolist(), strict=True)
    return [
        STONE | {"carat": carat, "price": 4000 * carat**2 * math.exp(noise + moved(place))}
        for place, (carat, noise) in enumerate(drawn)
    ]


def taught(rows, champion=None, **params):
    learner = MarketIndex(Params(**params))
    learner.follow(lambda: champion or Champion())
    for row in rows:
        learner.learn(row)
    return learner


def statistics(learner):
    return learner.report()["statistics"]


def test_where_the_market_has_moved_the_index_says_by_how_much_and_is_offered():
    learner = taught(market(1000, lambda row: math.log(1.06)))

    found = statistics(learner)

    assert found["market_index"] == pytest.approx(1.06, abs=0.02)
    assert 1 < found["low"] < found["market_index"] < found["high"]
    assert (found["offered"], found["retrain"], found["rows"], found["stones"]) == (True, False, 1000, 1000)
    assert set(found["conditions"].values()) == {True}
    assert found["note"].endswith(f"; its prices can be multiplied by {found['market_index']:.3f}.")


def test_where_it_stands_still_the_index_is_1_within_its_interval_and_not_offered():
    found = statistics(taught(market(3000)))

    assert found["low"] < 1 < found["high"]
    assert found["market_index"] == pytest.approx(1, abs=0.03)
    assert (found["offered"], found["retrain"]) == (False, False)
    assert "not enough to say that the market moved" in found["note"]


def test_fewer_than_a_hundred_stones_offer_nothing_however_far_the_market_is():
    rows = market(100, lambda row: 0.5)

    before, then = statistics(taught(rows[:99])), statistics(taught(rows))

    assert (before["offered"], then["offered"]) == (False, True)
    assert [name for name, holds in before["conditions"].items() if not holds] == [
        "at least 100 stones since this champion began"
    ]


def test_an_index_that_does_not_price_the_newest_stones_better_is_not_offered():
    """The market moved, and within a few stones moved back: the level is still on its way."""
    there_and_back = market(840, lambda row: 0.3 if row < 400 else 0.0)

    found = statistics(taught(there_and_back, walk=1e-9))

    assert found["low"] > 1
    assert not found["conditions"]["the newest stones were priced better with it"]
    assert not found["offered"]


@pytest.mark.parametrize(("moved", "retrain"), [(0.07, False), (0.14, True), (-0.14, True)])
def test_beyond_a_tenth_the_champion_should_be_trained_anew(moved, retrain):
    found = statistics(taught(market(1000, lambda row: moved)))

    assert (found["offered"], found["retrain"]) == (True, retrain)
    assert ("train it anew with `kedro run`" in found["note"]) is retrain


def test_prices_that_rise_for_ever_are_followed_and_scored_before_they_are_seen():
    rise = math.log(1.01) / 100

    scores = taught(market(3000, lambda row: rise * row)).report()["scores"]

    assert abs(scores["recent_bias"]) < 0.02
    assert scores["recent_bias_without_index"] < -0.2
    assert (scores["recent_mape"] < 0.1, scores["recent_mape_without_index"] > 0.2) == (True, True)


def test_a_stone_is_scored_before_it_moves_the_index():
    (row,) = market(1, lambda row: 0.5)

    scores = taught([row]).report()["scores"]

    assert scores["mape"] == scores["mape_without_index"] > 0.2


def test_without_a_champion_it_waits_in_plain_words_and_learns_nothing():
    learner = MarketIndex(Params())
    for row in market(5):
        learner.learn(row)

    report = learner.report()

    assert report["coefficients"] == []
    assert report["statistics"]["note"] == (
        "The market index waits for a champion to compare prices with: train one with `kedro run`."
    )
    assert (report["statistics"]["rows"], report["statistics"]["stones"]) == (5, 0)
    assert (report["statistics"]["market_index"], report["statistics"]["offered"]) == (None, False)
    json.dumps(report, allow_nan=False)
    with pytest.raises(UntaughtError, match="waits for a champion"):
        learner.answer(STONE)


def test_with_a_new_champion_the_index_begins_anew_with_the_next_stone():
    rows = market(1500, lambda row: 0.5)
    learner = taught(rows[:1000])
    learner.follow(lambda: Champion(version="two"))
    unchanged = statistics(learner)
    learner.learn(rows[1000])

    changed = statistics(learner)

    assert (unchanged["champion"]["version"], unchanged["offered"]) == ("one", True)
    assert changed["champion"] == {"name": "champion", "version": "two"}
    assert (changed["since_row"], changed["rows"], changed["stones"]) == (1001, 1001, 1)
    assert not changed["offered"]
    for row in rows[1001:]:
        learner.learn(row)
    alone = taught(rows[1000:], Champion(version="two")).dump()
    assert learner.dump() == alone | {"rows": 1500, "since_row": 1001}


def test_learners_of_a_feed_follow_the_champion_and_see_before_each_batch_whether_it_is_another():
    present = [Champion()]
    made = following(lambda: present[0])(feed(ROOT, "diamonds"))
    rows = market(3)
    compared = []
    for row, champion in zip(rows, (Champion(), Champion(version="two"), None), strict=True):
        present[0] = champion
        look(made.values())
        for learner in made.values():
            learner.learn(row)
        compared.append((statistics(made["market"])["champion"]["version"], statistics(made["market"])["stones"]))

    assert compared == [("one", 1), ("two", 1), ("two", 1)]
    assert made["price"].report()["scores"]["rows"] == 3


def test_a_new_champions_price_is_not_moved_by_the_index_of_the_one_before():
    rows = market(500, lambda row: 0.5)
    learner = taught(rows)
    learner.follow(lambda: Champion(version="two"))

    with pytest.raises(UntaughtError, match=r"^no stone was compared with champion two yet$"):
        learner.answer(STONE)
    assert learner.audit(iter(rows)) == []


def test_a_champion_that_is_away_for_some_stones_goes_on_where_it_was():
    rows = market(300)
    learner = taught(rows[:200])
    learner.follow(lambda: None)
    learner.learn(rows[200])
    learner.follow(Champion)
    learner.learn(rows[201])

    found = statistics(learner)

    assert (found["rows"], found["stones"], found["since_row"]) == (202, 201, 1)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 150), max_size=4), st.integers(0, 150))
def test_given_the_same_champions_what_it_holds_is_the_same_to_the_last_bit_wherever_it_was_read_again(cuts, promoted):
    rows = market(150, lambda row: 0.01 * row)
    champions = [Champion(version="one" if place < promoted else "two") for place in range(len(rows))]
    learner, undisturbed = MarketIndex(Params()), MarketIndex(Params())
    for place, (row, champion) in enumerate(zip(rows, champions, strict=True)):
        if place in cuts:
            kept = json.loads(json.dumps(learner.dump()))
            learner = MarketIndex(Params())
            learner.load(kept)
        for each in (learner, undisturbed):
            each.follow(lambda present=champion: present)
            each.learn(row)

    assert learner.dump() == undisturbed.dump()
    assert learner.report() == undisturbed.report()


def test_a_single_blunder_moves_the_index_by_little():
    rows = market(500)
    blunder = rows[-1] | {"price": rows[-1]["price"] * 1000}

    moved = statistics(taught([*rows[:-1], blunder]))["market_index"] / statistics(taught(rows[:-1]))["market_index"]

    assert 1 < moved < 1.006


def test_a_stone_is_answered_with_the_champions_price_in_the_market_of_now():
    learner = taught(market(1000, lambda row: math.log(1.06)))

    answer = learner.answer(STONE)

    assert answer["champion_price"] == 4000.0
    assert answer["price"] == pytest.approx(4000 * answer["market_index"], abs=0.01)
    assert answer["low"] == pytest.approx(answer["price"] * math.exp(-1.96 * SCATTER), rel=0.03)
    assert (answer["low"] < answer["price"] < answer["high"], answer["rows"]) == (True, 1000)
    assert learner.answer({"carat": 1.0, "cut": "Ideal", "color": "G", "clarity": "VS2"}) == answer


def test_the_audit_finds_the_index_near_the_median_of_the_newest_ratios_since_the_champion_began():
    rows = market(1200, lambda row: 0.5 if row < 600 else 0.05)
    learner = taught(rows[:600])
    learner.follow(lambda: Champion(version="two"))
    for row in rows[600:]:
        learner.learn(row)

    (gap,) = learner.audit(iter(rows))

    assert (gap["what"], gap["unit"]) == ("market index, beside the median of the newest 500 ratios", "relative")
    assert gap["batch"] == pytest.approx(math.exp(0.05), abs=0.02)
    assert abs(gap["gap"]) < 0.02
    assert MarketIndex(Params()).audit(iter(rows)) == []


@pytest.mark.parametrize("scattered", SCATTERED)
def test_of_a_market_that_never_moves_few_streams_ever_show_an_interval_without_it_however_prices_scatter(scattered):
    """Looked at after every row; an interval of 1.96 standard errors would be wrong in far more."""
    random, streams = np.random.default_rng(7), 100
    wrong = narrow = 0
    for _ in range(streams):
        level, ever, ever_narrow = Level(Params().walk, Params().spread), False, False
        for value in SCATTERED[scattered](random, 1500).tolist():
            level.see(value)
            low, high = level.interval
            ever |= not low <= 0 <= high
            ever_narrow |= abs(level.level) > 1.96 * (high - low) / 2 / watching_factor(level.rows)
        wrong, narrow = wrong + ever, narrow + ever_narrow

    assert wrong <= 0.05 * streams
    assert narrow > wrong


def test_the_level_of_what_never_moves_is_the_mean():
    random = np.random.default_rng(3)
    values = random.normal(0.02, SCATTER, 500)
    level = Level(walk=1e-15, spread=1.0)
    for value in values.tolist():
        level.see(value)

    assert level.level == pytest.approx(values.mean(), abs=0.002)
    assert level.scatter == pytest.approx(SCATTER, rel=0.05)
    assert math.sqrt(level.variance) == pytest.approx(SCATTER / math.sqrt(500), rel=0.1)


def test_a_blunder_among_the_first_stones_neither_moves_the_level_far_nor_hides_how_they_scatter():
    values = np.random.default_rng(3).normal(0, SCATTER, 200).tolist()
    values[4] = math.log(1000)
    level = Level(Params().walk, Params().spread)

    scatters = []
    for value in values:
        level.see(value)
        scatters.append(level.scatter)

    assert scatters[8] == 1
    assert scatters[-1] == pytest.approx(SCATTER, rel=0.15)
    assert abs(level.level) < 0.02


def test_a_feed_without_measurements_is_refused_and_the_one_of_the_project_is_not():
    spec = feed(ROOT, "diamonds")
    fewer = spec.model_copy(update={"columns": {name: each for name, each in spec.columns.items() if name != "z"}})

    assert set(learners.build(spec)) == {"price", "market"}
    with pytest.raises(ConfigurationError, match=r"cannot teach the learner market_index: .*; see z$"):
        learners.build(fewer)


@pytest.fixture
def site(tmp_path, stones):
    """A database, and a folder with saved pricers that runs made."""
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
    migrate(engine)
    few = stones.head(50)
    fitted = median.build(median.Params()).fit(few[list(FEATURES)], few["price"])
    band = ConformalBand(0.9, {"any": (0.5, 2.0)})
    pricer = Pricer(
        "median", fitted, band, band, Proportions.of(few), TrainingSummary.of(few, {}, "none"), SortedStones.of(few)
    )
    for version in ("one", "two"):
        save(pricer, tmp_path / version, version)
        history.start_run(engine, version, {}, {}, None)
        history.record_model(engine, version, "median", artefact=version)
    yield engine, tmp_path
    engine.dispose()


def test_the_champion_is_looked_up_every_few_seconds_and_a_promotion_is_noticed(site):
    engine, folder = site
    now = [0.0]
    watch = ChampionWatch(engine, folder, clock=lambda: now[0])
    seen = [watch() and watch().version]
    problem = watch.problem
    history.promote(engine, "median", "one", "first", previous_id=0)
    for wait in (LOOK_SECONDS / 2, LOOK_SECONDS):
        now[0] += wait
        seen.append(watch() and watch().version)
    first = watch()
    history.promote(engine, "median", "two", "second", previous_id=1)
    now[0] += LOOK_SECONDS
    seen.append(watch().version)

    assert seen == [None, None, "one", "two"]
    assert problem == "there is no champion yet: train one with `kedro run`"
    assert first.quote(STONE).price > 0


def test_a_champion_that_cannot_be_loaded_is_none_and_said_once_and_one_that_can_takes_its_place(site, caplog):
    engine, folder = site
    now = [0.0]
    (folder / "one" / "manifest.json").rename(folder / "aside")
    history.promote(engine, "median", "one", "first", previous_id=0)
    watch = ChampionWatch(engine, folder, clock=lambda: now[0])
    refused = [watch(), watch()]
    now[0] += LOOK_SECONDS
    refused.append(watch())
    problem = watch.problem
    (folder / "aside").rename(folder / "one" / "manifest.json")
    now[0] += LOOK_SECONDS

    assert refused == [None] * 3
    assert problem.startswith("the champion median one cannot be loaded: ")
    assert caplog.text.count("cannot be loaded") == 1
    assert (watch().version, watch.problem) == ("one", None)


def test_while_the_database_is_away_the_champion_stays_whoever_it_was(site, caplog):
    engine, folder = site
    now = [0.0]
    history.promote(engine, "median", "one", "first", previous_id=0)
    watch = ChampionWatch(engine, folder, clock=lambda: now[0])
    before = watch()
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE promotion RENAME TO elsewhere")
    now[0] += LOOK_SECONDS

    assert watch() is before
    assert "whether the champion is another cannot be told now" in caplog.text
