"""Champions that change while the service runs: nobody notices but by the version that answers."""

import asyncio
import itertools
import json

import aiohttp
import pandas as pd
import pytest

from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.metrics import errors
from diamonds.models import linear
from diamonds.pricer import Pricer, TrainingSummary, save
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones
from project import STONE, Project, make_project, serve, stop

PROMOTIONS, CLIENTS = 200, 16


def linear_pricer(stones):
    fitted = linear.build(linear.Params()).fit(stones[list(FEATURES)], stones["price"])
    band = ConformalBand(0.9, {"any": (0.5, 2.0)})
    summary = TrainingSummary.of(stones, {}, "none")
    return Pricer("linear", fitted, band, band, Proportions.of(stones), summary, SortedStones.of(stones))


def promote(store, pricer, number):
    """Add the pricer to the model store as its next champion, with a version of its own; answers that."""
    version = f"v{number}"
    save(pricer, store / f"linear-{version}-{number}", version)
    point_to(store, f"linear-{version}-{number}")
    return version


def point_to(store, entry):
    (store / ".aside").write_text(entry)
    (store / ".aside").rename(store / "latest")


@pytest.fixture
def store(tmp_path):
    """The model store of a project of its own, empty."""
    folder = make_project(tmp_path / "project", {}).folder / "bentoml/models/diamonds"
    folder.mkdir(parents=True)
    return folder


def test_two_hundred_promotions_under_load_fail_no_request_and_mix_no_answer(store, stones):
    """Each of 16 clients asks on and on, one stone or a batch; each price is that of the version that it names."""
    pricers = [linear_pricer(stones.iloc[start : start + 300]) for start in (0, 300, 600)]
    prices = [pricer.quote(STONE).price for pricer in pricers]
    running = serve(Project(store.parents[2]), until=503)
    assert len(set(prices)) == 3

    async def session():
        made, over = {}, asyncio.Event()
        async with aiohttp.ClientSession(running.url) as caller:
            first = promote(store, pricers[0], 1)
            made[first] = prices[0]
            await answered_by(caller, first)
            clients = [
                asyncio.create_task(ask_on(caller, batch=number % 4 == 0, over=over)) for number in range(CLIENTS)
            ]
            for number in range(2, PROMOTIONS + 2):
                version = promote(store, pricers[number % 3], number)
                made[version] = prices[number % 3]
                if number % 5 == 1:  # those between come as fast as they can be written
                    await answered_by(caller, version)
            over.set()
            answers = itertools.chain.from_iterable(await asyncio.gather(*clients))
        return made, list(answers)

    made, answers = asyncio.run(session())
    stop(running)

    assert len(made) == PROMOTIONS + 1
    assert {status for status, _, _ in answers} == {200}
    assert [(version, price) for _, version, price in answers if made[version] != price] == []
    assert len({version for _, version, _ in answers}) > PROMOTIONS / 5, "the clients saw many of them"


async def answered_by(caller, version):
    """Ask until a version answers."""
    async with asyncio.timeout(30):
        while (await quote(caller, STONE))[1] != version:
            pass


async def ask_on(caller, *, batch, over):
    """Ask until it is over: status, version and price of each answer."""
    answers = []
    while not over.is_set():
        if not batch:
            answers.append(await quote(caller, STONE))
            continue
        async with caller.post("/predict/batch", json=[STONE] * 20) as answer:
            body = await answer.json()
            quotes = {each["price"] for each in body.get("quotes", [])}
            answers.append((answer.status, body.get("version"), quotes.pop() if len(quotes) == 1 else quotes))
    return answers


async def quote(caller, stone):
    async with caller.post("/predict", json=stone) as answer:
        body = await answer.json()
        return answer.status, body.get("version"), body.get("price")


def test_a_damaged_champion_is_refused_while_the_one_before_serves_and_a_good_one_takes_over(store, stones):
    pricer = linear_pricer(stones.head(300))
    running = serve(Project(store.parents[2]), until=503)

    async def session():
        async with aiohttp.ClientSession(running.url) as caller:
            await answered_by(caller, promote(store, pricer, 1))
            (store / "linear-foreign-2").mkdir()
            (store / "linear-foreign-2" / "saved_model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
            point_to(store, "linear-foreign-2")
            metrics = await metrics_with(caller, "diamonds_champion_refused 1.0")
            meanwhile = await quote(caller, STONE), await text(caller, "/readyz")
            promote(store, pricer, 3)
            return metrics, meanwhile, await metrics_with(caller, 'version="v3"} 1.0')

    metrics, (answer, ready), after = asyncio.run(session())
    stop(running)

    assert (answer, ready) == ((200, "v1", pricer.quote(STONE).price), "linear v1 serves")
    assert 'diamonds_champion{model="linear",version="v1"} 1.0' in metrics
    assert 'diamonds_champion{model="linear",version="v3"} 1.0' in after
    assert 'diamonds_champion{model="linear",version="v1"} 0.0' in after
    assert "diamonds_champion_refused 0.0" in after
    assert "the champion linear-foreign-2 was refused" in running.errors.read_text()


async def metrics_with(caller, line):
    """The metrics as soon as they say this: they are told a moment after a champion serves."""
    async with asyncio.timeout(30):
        while line not in (metrics := await text(caller, "/metrics")):
            pass
    return metrics


async def text(caller, path):
    async with caller.get(path) as answer:
        return await answer.text()


def test_what_is_served_is_what_was_judged_for_every_model(small_trained):
    """The holdout's stones, sent through the API, give the metrics in the history to the last digit."""
    holdout = pd.read_parquet(small_trained.newest("03_primary/holdout.parquet"))
    bodies = holdout[list(FEATURES)].to_dict("records")
    (run,) = json.loads(small_trained.succeed("diamonds", "history", "--json"))
    judged = {model["name"]: model["metrics"]["overall"] for model in run["models"]}
    champion = json.loads(small_trained.succeed("diamonds", "champion", "--json"))["name"]
    running = serve(small_trained)

    async def session():
        async with aiohttp.ClientSession(running.url) as caller:
            served = {}
            for name in sorted(judged, key=lambda name: name != champion):
                if name != champion:
                    small_trained.succeed("diamonds", "champion", "set", name, run["id"], "--reason", "to be asked")
                while await named(caller) != name:
                    pass
                async with caller.post("/predict/batch", json=bodies) as answer:
                    many = (await answer.json())["quotes"]
                single = [await one(caller, body) for body in bodies[:200]]
                served[name] = many, single
            return served

    served = asyncio.run(session())
    stop(running)

    assert set(served) == {"median", "linear", "hist_gradient_boosting", "xgboost"}
    for name, (many, single) in served.items():
        quoted = pd.DataFrame(many, index=holdout.index)
        inside = (holdout["price"] >= quoted["low"]) & (holdout["price"] <= quoted["high"])
        assert errors(holdout["price"], quoted["price"]) == {
            metric: judged[name][metric] for metric in errors(holdout["price"], quoted["price"])
        }, name
        assert float(inside.mean()) == judged[name]["coverage"], name
        assert [each | {"request_id": "", "model": "", "version": ""} for each in single] == [
            each | {"request_id": "", "model": "", "version": ""} for each in many[:200]
        ], name


async def one(caller, body):
    async with caller.post("/predict", json=body) as answer:
        return await answer.json()


async def named(caller):
    return (await one(caller, STONE))["model"]


def test_the_native_routes_answer_as_the_hook_does(small_trained):
    """Without doors in the hook BentoML itself answers; the answers are the same, but for their ids."""
    (small_trained.folder / "native.py").write_text(
        "from diamonds.service.api import Diamonds\n\n"
        "middleware, options = Diamonds.middlewares[0]\n"
        "Diamonds.middlewares[0] = (middleware, options | {'doors': {}})\n"
    )
    asked = {
        "/predict": STONE,
        "/predict/batch": [STONE, STONE | {"carat": 0.5}],
        "/similar": STONE | {"n": 3},
        "/explain": STONE,
    }
    given = {}
    for name, words in (("hook", []), ("native", ["native:Diamonds"])):
        running = serve(small_trained, words=words)
        given[name] = asyncio.run(call_all(running.url, asked))
        stop(running)

    assert given["native"] == given["hook"]


async def call_all(url, asked):
    async with aiohttp.ClientSession(url) as caller:
        answers = {}
        for path, body in asked.items():
            async with caller.post(path, json=body) as answer:
                answers[path] = answer.status, answer.content_type, without_ids(await answer.json())
        return answers


def without_ids(answer):
    if isinstance(answer, dict):
        return {key: without_ids(value) for key, value in answer.items() if key != "request_id"}
    return [without_ids(each) for each in answer] if isinstance(answer, list) else answer
