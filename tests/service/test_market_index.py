"""Prices that follow a market: whose index they are multiplied by, when, and what is said of it."""

import asyncio
import json
import math
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update
from sqlalchemy.exc import OperationalError

from diamonds.config import Settings, read_settings
from diamonds.errors import ConfigurationError
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.models import linear
from diamonds.pricer import Pricer, Quoted, TrainingSummary, load, save
from diamonds.pricer.parts import BENTO_DESCRIPTION
from diamonds.schema import FEATURES
from diamonds.service import cards
from diamonds.service.champion import LoadedChampion
from diamonds.service.doors import DOORS
from diamonds.service.market import KEPT_SECONDS, UNKNOWN, Market, MarketWatch
from diamonds.service.messages import Quote, Quotes, Reasons
from diamonds.stones import SortedStones
from diamonds.store import history, streams
from diamonds.store.database import migrate, open_database
from diamonds.store.tables import StreamCheckpoint
from diamonds.streams.learners.market_index import MarketIndex, Params
from hooked import JSON, Recording, ask, problem
from project import STONE, serve, stop

FOUR_CS = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}


@pytest.fixture(scope="module")
def champion(stones, tmp_path_factory):
    """A linear model, saved as version `one`, and loaded as a worker does."""
    train = stones.head(1000)
    fitted = linear.build(linear.Params()).fit(train[list(FEATURES)], train["price"])
    band = ConformalBand(0.9, {"any": (0.8, 1.3)})
    made = Pricer(
        "linear",
        fitted,
        band,
        band,
        Proportions.of(train),
        TrainingSummary.of(train, {}, "none"),
        SortedStones.of(train),
    )
    folder = tmp_path_factory.mktemp("store") / "linear-one-1"
    save(made, folder, "one")
    label = {"promoted_at": datetime.now(UTC), "trained_at": datetime.now(UTC), "reason": "first", "metrics": {}}
    (folder / BENTO_DESCRIPTION).write_text(yaml.safe_dump({"metadata": label}))
    return LoadedChampion.of(folder)


@pytest.fixture
def database(tmp_path):
    engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
    migrate(engine)
    yield engine
    engine.dispose()


def learned(pricer, moved, stones=1000):
    """What is learned of a market whose prices are the model's times `moved`, give or take."""
    random = np.random.default_rng(1)
    learner = MarketIndex(Params())
    learner.follow(lambda: pricer)
    for _ in range(stones):
        stone = STONE | {"carat": float(random.uniform(0.3, 2))}
        price = pricer.quote(stone).price * moved * math.exp(random.normal(0, 0.05))
        learner.learn(stone | {"price": price})
    report = learner.report()
    return report["statistics"] | {"scores": report["scores"]}


def commit(engine, **market):
    """Write the checkpoint of a feed that has a learner of prices too."""
    row = {
        "feed": "diamonds", "version": 1, "page": 1, "rows": 1000, "rejected": 0, "status": "running", "state": {},
        "state_schema": 1, "coefficients": {}, "updated_at": datetime.now(UTC),
        "statistics": {"price": {"walk": 1e-6}, "market": market},
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(StreamCheckpoint).values(**row))


class Worker(Recording):
    """A worker that serves a champion, and follows a market if there is one."""

    def __init__(self, champion, market=None):
        super().__init__()
        self.champion, self.market = champion, market

    def require_champion(self):
        return self.champion


def watching(engine, clock=lambda: 0.0):
    watch = MarketWatch("diamonds", partial(streams.market_index, engine), clock)
    watch.look()
    return watch


def post(worker, path, body):
    sent, _ = ask(worker, DOORS, path=path, body=json.dumps(body).encode(), headers=JSON)
    assert sent[0]["status"] == 200, problem(sent)
    return json.loads(b"".join(message.get("body", b"") for message in sent))


@pytest.fixture
def moved(champion, database):
    """Workers on a market that has risen by about 5 %: one that follows it, and one that does not."""
    commit(database, **learned(champion.pricer, 1.05))
    return Worker(champion, watching(database)), Worker(champion)


def test_without_a_market_a_quote_is_byte_for_byte_what_it_was(champion):
    worker = Worker(champion)

    sent, _ = ask(worker, DOORS, path="/predict", body=json.dumps(FOUR_CS).encode())

    (record,) = worker.records
    quoted = champion.pricer.quote(FOUR_CS)
    assert sent[1]["body"].decode() == (
        f'{{"price":{quoted.price},"currency":"USD","low":{quoted.low},"high":{quoted.high},"confidence":0.9,'
        '"assumed":["depth","table","x","y","z"],"outside":[],"model":"linear","version":"one",'
        f'"request_id":"{record["request_id"]}"}}'
    )


@pytest.mark.parametrize(("path", "body"), [("/predict/batch", [FOUR_CS, STONE]), ("/explain", STONE)])
def test_without_a_market_nothing_names_one(champion, path, body):
    assert "market" not in json.dumps(post(Worker(champion), path, body))


def test_price_and_band_are_the_models_times_the_index_in_whole_cents(moved):
    with_index, without = (post(worker, "/predict", STONE) for worker in moved)

    index = with_index["market_index"]
    assert index == pytest.approx(1.05, abs=0.02)
    assert index == round(index, 4) != 1
    for name in ("price", "low", "high"):
        assert with_index[name] == pytest.approx(without[name] * index, abs=0.011)
        assert with_index[name] == round(with_index[name], 2)
    assert with_index["as_of_rows"] == 1000
    assert set(with_index) - set(without) == {"market_index", "as_of_rows"}
    assert Quote.model_validate(with_index).model_dump() == with_index


def test_a_batch_says_it_once_and_prices_each_stone_as_alone(moved):
    worker, _ = moved
    stones = [STONE, FOUR_CS, STONE | {"carat": 0.31}]

    batch = post(worker, "/predict/batch", stones)

    alone = [post(worker, "/predict", stone) for stone in stones]
    assert [quote["price"] for quote in batch["quotes"]] == [quote["price"] for quote in alone]
    assert [quote["low"] for quote in batch["quotes"]] == [quote["low"] for quote in alone]
    assert (batch["market_index"], batch["as_of_rows"]) == (alone[0]["market_index"], 1000)
    assert not any("market_index" in quote for quote in batch["quotes"])
    assert Quotes.model_validate(batch).model_dump() == batch


def test_explained_factors_still_multiply_to_the_price_and_dollars_add_up_to_it(moved):
    with_index, without = (post(worker, "/explain", STONE) for worker in moved)

    effects = with_index["effects"]
    its = next(effect for effect in effects if effect["feature"] == "market_index")
    price = with_index["quote"]["price"]
    assert with_index["base_price"] == without["base_price"]
    assert with_index["base_price"] * math.prod(effect["factor"] for effect in effects) == pytest.approx(
        price, rel=1e-9
    )
    assert with_index["base_price"] + sum(effect["usd"] for effect in effects) == pytest.approx(price, abs=0.001)
    assert (its["value"], its["usd"]) == (
        with_index["quote"]["market_index"],
        round(price - without["quote"]["price"], 2),
    )
    assert [effect for effect in effects if effect is not its] == without["effects"]
    sizes = [abs(effect["usd"]) for effect in effects]
    assert sizes == sorted(sizes, reverse=True)
    assert Reasons.model_validate(with_index).model_dump()["effects"] == effects


def test_an_index_that_is_not_offered_leaves_prices_and_says_as_of_how_many_rows(champion, database):
    commit(database, **learned(champion.pricer, 1.0))

    quote, plain = (
        post(worker, "/predict", STONE) for worker in (Worker(champion, watching(database)), Worker(champion))
    )

    assert (quote["market_index"], quote["as_of_rows"]) == (1.0, 1000)
    assert [quote[name] for name in ("price", "low", "high")] == [plain[name] for name in ("price", "low", "high")]


@pytest.mark.parametrize("other", [{"name": "linear", "version": "two"}, {"name": "xgboost", "version": "one"}])
def test_an_index_that_was_learned_beside_another_champion_is_none(champion, database, other):
    commit(database, **learned(champion.pricer, 1.05) | {"champion": other})

    quote = post(Worker(champion, watching(database)), "/predict", STONE)

    assert (quote["market_index"], quote["as_of_rows"]) == (1.0, 0)
    assert quote["price"] == champion.pricer.quote(STONE).price


def test_of_a_feed_that_was_never_learned_nothing_is_known_and_that_is_said_once(champion, database, caplog):
    watch = watching(database)
    watch.look()

    assert watch.of(champion.pricer) == UNKNOWN == Market(1.0, 0)
    assert caplog.messages == ["the market index of diamonds is not known: learn it with `diamonds stream diamonds`"]


def test_what_is_committed_later_is_taken_at_the_next_look(champion, database):
    watch = watching(database)
    commit(database, **learned(champion.pricer, 1.05))
    watch.look()
    rose = watch.of(champion.pricer).market_index
    with database.begin() as connection:
        fell = {"market": learned(champion.pricer, 0.9)}
        connection.execute(update(StreamCheckpoint).values(statistics=fell))
    watch.look()

    assert (rose, watch.of(champion.pricer).market_index) == (
        pytest.approx(1.05, abs=0.02),
        pytest.approx(0.9, abs=0.02),
    )


def test_while_the_database_is_away_what_it_said_last_holds_for_ten_minutes_which_is_said_once(
    champion, database, caplog
):
    now = [0.0]
    commit(database, **learned(champion.pricer, 1.05))
    watch = watching(database, lambda: now[0])
    known = watch.of(champion.pricer)
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE stream_checkpoint RENAME TO away")
    seen = []
    for now[0] in (2.0, KEPT_SECONDS - 1, KEPT_SECONDS, KEPT_SECONDS + 1):
        watch.look()
        seen.append(watch.of(champion.pricer))
    told = list(caplog.messages)
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO stream_checkpoint")
    watch.look()

    assert seen == [known, known, UNKNOWN, UNKNOWN]
    assert known.market_index > 1
    (line,) = told
    assert line.startswith(
        "the market index of diamonds cannot be read, and what is known holds for 10 minutes: (sqlite3.OperationalError)"
    )
    assert watch.of(champion.pricer) == known


def test_following_looks_in_a_thread_and_goes_on_whatever_goes_wrong(champion, database, monkeypatch, caplog):
    monkeypatch.setattr("diamonds.service.market.LOOK_SECONDS", 0.001)
    commit(database, **learned(champion.pricer, 1.05))

    async def follow():
        known, loop = asyncio.Event(), asyncio.get_running_loop()
        wrong = [ValueError("no number"), OperationalError("SELECT", {}, Exception("away"))]

        def read(feed):
            if wrong:
                raise wrong.pop()
            loop.call_soon_threadsafe(known.set)
            return streams.market_index(database, feed)

        watch = MarketWatch("diamonds", read)
        with ThreadPoolExecutor(1) as threads:
            task = asyncio.create_task(watch.follow(threads))
            await asyncio.wait_for(known.wait(), 30)
            task.cancel()
        return watch.of(champion.pricer)

    assert asyncio.run(follow()).market_index == pytest.approx(1.05, abs=0.02)
    assert "could not be taken" in caplog.text


def test_the_champions_card_tells_all_that_is_known_of_its_market(champion, database):
    commit(database, **learned(champion.pricer, 1.2))
    known = watching(database).known_of(champion.pricer)

    card = cards.champion_card(champion.pricer, champion.folder, "id", known).model_dump()["market"]

    assert card["index"] == pytest.approx(1.2, abs=0.02)
    assert card["low"] < card["index"] < card["high"]
    assert (card["offered"], card["retrain"], card["stones"], card["as_of_rows"]) == (True, True, 1000, 1000)
    assert "market" not in cards.champion_card(champion.pricer, champion.folder, "id").model_dump_json()


def test_no_price_is_beyond_what_one_can_be_and_the_band_goes_along():
    assert Quoted(100.0, 80.0, 130.0).times(1.05) == (105.0, 84.0, 136.5)
    assert Quoted(1.0, 0.01, 1.3).times(0.9) == (1.0, 0.01, 1.3)
    assert Quoted(99_000_000.0, 90_000_000.0, 110_000_000.0).times(1.1)[0] == 100_000_000.0
    assert Quoted(2.0, 0.01, 3.0).times(0.5) == (1.0, 0.01, 1.5)


CENTS = st.integers(100, 10_000_000_000)


@given(CENTS, st.floats(0.01, 1), st.floats(1, 100), st.floats(0.1, 10))
def test_whatever_the_index_a_price_is_whole_cents_within_its_band(cents, low, high, index):
    price = cents / 100
    quoted = Quoted(price, max(round(price * low, 2), 0.01), round(price * high, 2))

    moved = quoted.times(index)

    assert quoted.times(1.0) == quoted
    assert moved == tuple(round(dollars, 2) for dollars in moved)
    assert 1 <= moved.price <= 100_000_000
    assert 0.01 <= moved.low <= moved.price <= moved.high


def test_the_feed_is_named_in_the_environment_and_reaches_the_workers(monkeypatch):
    monkeypatch.setenv("DIAMONDS_MARKET_INDEX", "diamonds")

    assert read_settings().market_index == "diamonds"
    assert read_settings().as_environment()["DIAMONDS_MARKET_INDEX"] == "diamonds"
    monkeypatch.delenv("DIAMONDS_MARKET_INDEX")
    assert read_settings().market_index is None
    assert "DIAMONDS_MARKET_INDEX" not in read_settings().as_environment()


@pytest.mark.parametrize("name", ["", "Diamonds!", "1"])
def test_what_can_be_no_feed_is_refused_in_plain_words(monkeypatch, name):
    monkeypatch.setenv("DIAMONDS_MARKET_INDEX", name)

    with pytest.raises(ConfigurationError) as refused:
        read_settings()

    assert str(refused.value) == (
        f"DIAMONDS_MARKET_INDEX must be the name of a feed, as diamonds is in conf/base/streams.yml, not {name!r}"
    )


def test_a_real_service_takes_the_index_that_is_committed_and_a_sale_keeps_what_was_quoted(small_trained):
    served = serve(small_trained, DIAMONDS_MARKET_INDEX="diamonds")
    engine = open_database(small_trained.settings)
    try:
        before = over_http(served, "/predict", FOUR_CS)
        pricer = load(small_trained.folder / history.champion(engine).artefact)
        commit(engine, **learned(pricer, 1.2, stones=300))
        deadline = time.monotonic() + 30
        while (quote := over_http(served, "/predict", FOUR_CS))["as_of_rows"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)  # it looks by itself, in another process, which has no event for us
        sale = over_http(served, "/sales", {"request_id": quote["request_id"], "price": 5000})
        with urllib.request.urlopen(f"{served.url}/champion", timeout=30) as answer:  # noqa: S310 - our own loopback
            card = json.load(answer)
    finally:
        engine.dispose()
        stop(served)

    assert (before["market_index"], before["as_of_rows"], quote["as_of_rows"]) == (1.0, 0, 300)
    assert quote["market_index"] == pytest.approx(1.2, abs=0.03)
    assert quote["price"] == pytest.approx(before["price"] * quote["market_index"], abs=0.01)
    assert sale["quoted"] == quote["price"]
    assert (card["market"]["stones"], card["market"]["retrain"]) == (300, True)
    assert "Traceback" not in served.errors.read_text()


def over_http(served, path, body):
    request = urllib.request.Request(served.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
