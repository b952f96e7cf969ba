"""The real service: `bentoml serve` with the champion of the classic stones."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing

import aiohttp
import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from diamonds.pricer import load
from diamonds.schema import FEATURES
from project import make_project, serve, status_of, stop

STONE = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}
MEASURED = STONE | {"depth": 62.0, "table": 55.0, "x": 6.61, "y": 6.65, "z": 4.11}


def post(served, path, body, headers=None):
    """The status and the JSON of an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        served.url + path, content, {"Content-Type": "application/json"} | (headers or {}), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            content_type = answer.headers["Content-Type"]
            return answer.code, json.load(answer) if content_type == "application/problem+json" else content_type


def traffic(project, **where):
    """The rows of the log with these values, as soon as they are shipped."""
    condition = " AND ".join(f"{column} = :{column}" for column in where)
    deadline = time.monotonic() + 30
    while True:
        with closing(sqlite3.connect(project.folder / "data/diamonds.db")) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(f"SELECT * FROM traffic WHERE {condition} ORDER BY request_id", where).fetchall()  # noqa: S608
        if rows or time.monotonic() > deadline:
            return [dict(row) for row in rows]
        time.sleep(0.05)  # rows come from another process, which has no event for us


def test_a_diamond_gets_a_quote_with_all_that_the_contract_names(served):
    status, quote = post(served, "/predict", MEASURED)

    assert status == 200
    assert set(quote) == {
        "price",
        "currency",
        "low",
        "high",
        "confidence",
        "model",
        "version",
        "assumed",
        "outside",
        "request_id",
    }
    assert quote["low"] <= quote["price"] <= quote["high"]
    assert 3500 < quote["price"] < 6000
    assert (quote["currency"], quote["confidence"], quote["model"]) == ("USD", 0.9, "xgboost")
    assert (quote["assumed"], quote["outside"]) == ([], [])


def test_missing_measurements_are_estimated_and_named(served):
    _, measured = post(served, "/predict", MEASURED)
    _, estimated = post(served, "/predict", STONE)

    assert estimated["assumed"] == ["depth", "table", "x", "y", "z"]
    assert estimated["price"] == pytest.approx(measured["price"], rel=0.15)


def test_grades_in_any_case_get_the_same_quote(served):
    _, plain = post(served, "/predict", MEASURED)
    _, shouted = post(served, "/predict", MEASURED | {"cut": " iDEAL ", "color": "h", "clarity": "si2"})

    assert shouted["price"] == plain["price"]


def test_a_stone_beyond_the_training_data_is_priced_and_named(served):
    status, quote = post(served, "/predict", STONE | {"carat": 7.5, "table": 20.0})

    assert status == 200
    assert quote["outside"] == ["carat", "table"]


def test_what_is_served_is_what_was_trained(served, trained):
    pricer = load(next(path for path in (trained.folder / "bentoml/models/diamonds").iterdir() if path.is_dir()))
    holdout = pd.read_parquet(trained.newest("03_primary/holdout.parquet")).sample(20, random_state=1)

    quoted = [post(served, "/predict", stone)[1] for stone in holdout[list(FEATURES)].to_dict("records")]

    expected = pricer.price(holdout)
    assert [quote["price"] for quote in quoted] == expected["price"].tolist()
    assert [quote["low"] for quote in quoted] == expected["low"].tolist()
    assert {quote["version"] for quote in quoted} == {pricer.version}


def test_similar_stones_equal_a_plain_filter_and_sort_of_the_training_set_on_500_random_stones(served, trained):
    train = pd.read_parquet(trained.newest("03_primary/train.parquet"))
    asked = train.sample(500, random_state=6)[["carat", "cut", "color", "clarity"]].to_dict("records")
    queries = [
        stone | {"carat": round(stone["carat"] + place % 7 / 100, 2), "n": place % 100 + 1}
        for place, stone in enumerate(asked)
    ]

    answers = asyncio.run(_ask_all(served, "/similar", queries))

    for query, (status, answer) in zip(queries, answers, strict=True):
        assert status == 200
        assert answer["samples"] == _filtered_and_sorted(train, **query)


def _filtered_and_sorted(train, carat, cut, color, clarity, n):
    same = train[(train["cut"] == cut) & (train["color"] == color) & (train["clarity"] == clarity)]
    nearest = same.assign(carat_difference=(same["carat"] - carat).abs().round(6))
    order = ["carat_difference", "carat", "depth", "table", "x", "y", "z", "price"]
    return nearest.sort_values(order).head(n).to_dict("records")


async def _ask_all(served, path, bodies, clients=16):
    """Ask from several clients at once; the statuses and answers in the order of the bodies."""
    answers = [None] * len(bodies)
    waiting = iter(enumerate(bodies))

    async def client(session):
        for place, body in waiting:
            async with session.post(served.url + path, json=body) as answer:
                answers[place] = (answer.status, await answer.json(content_type=None))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return answers


def test_five_similar_stones_are_shown_where_no_number_is_asked_for(served):
    assert len(post(served, "/similar", STONE)[1]["samples"]) == 5


def test_fewer_stones_are_shown_where_there_are_fewer(served, trained):
    train = pd.read_parquet(trained.newest("03_primary/train.parquet"))
    (cut, color, clarity), count = next(iter(train.groupby(["cut", "color", "clarity"]).size().sort_values().items()))

    _, answer = post(served, "/similar", {"carat": 1.0, "cut": cut, "color": color, "clarity": clarity, "n": 100})

    assert len(answer["samples"]) == count < 100


@pytest.mark.parametrize("n", [0, 101, 2.5, "3", None])
def test_a_number_of_stones_beyond_reason_is_refused(served, n):
    status, answer = post(served, "/similar", STONE | {"n": n})

    assert status == 422
    assert answer["title"] == "No stones can be looked up for this"
    assert [error["field"] for error in answer["errors"]] == ["n"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("/predict", b"{", {}, 400),
        ("/predict", STONE | {"color": "Z"}, {}, 422),
        ("/predict", b'{"carat": NaN, "cut": "Ideal", "color": "H", "clarity": "SI2"}', {}, 422),
        ("/predict", STONE, {"Content-Type": "text/plain"}, 415),
        ("/predict", b" " * (4 * 1024 * 1024 + 1), {}, 413),
        ("/predikt", STONE, {}, 404),
    ],
)
def test_what_does_not_hold_is_a_problem_in_plain_words_and_one_row_of_traffic(
    served, trained, path, body, headers, expected
):
    status, answer = post(served, path, body, headers)

    assert status == answer["status"] == expected
    assert answer["type"] == "about:blank"
    (row,) = traffic(trained, request_id=answer["request_id"])
    assert (row["status"], row["path"], row["method"]) == (expected, path, "POST")
    assert json.loads(row["response_body"]) == answer


def test_an_exchange_is_one_row_with_both_bodies_and_the_model(served, trained):
    _, quote = post(served, "/predict", MEASURED)

    (row,) = traffic(trained, request_id=quote["request_id"])

    assert json.loads(row["request_body"]) == MEASURED
    assert json.loads(row["response_body"]) == quote
    assert (row["model"], row["version"], row["client"]) == (quote["model"], quote["version"], "127.0.0.1")
    assert row["duration_ms"] > 0


def test_similar_stones_are_logged_with_the_model_whose_stones_they_are(served, trained):
    _, quote = post(served, "/predict", STONE)
    _, answer = post(served, "/similar", STONE)

    (row,) = traffic(trained, request_id=answer["request_id"])

    assert (row["model"], row["version"]) == (quote["model"], quote["version"])


def test_a_thousand_requests_from_sixteen_clients_are_a_thousand_rows_with_the_right_status(served, trained):
    bodies = [
        STONE | {"carat": round(0.2 + number / 500, 3)} | ({"color": "Z"} if number % 10 == 0 else {})
        for number in range(1000)
    ]

    answers = asyncio.run(_ask_all(served, "/predict", bodies))

    statuses = {answer["request_id"]: status for status, answer in answers}
    assert [status for status, _ in answers] == [422 if number % 10 == 0 else 200 for number in range(1000)]
    last = max(statuses)
    assert traffic(trained, request_id=last)
    deadline = time.monotonic() + 30
    logged = {}
    while len(logged) < 1000 and time.monotonic() < deadline:
        with closing(sqlite3.connect(trained.folder / "data/diamonds.db")) as connection:
            logged = {
                key: status
                for key, status in connection.execute("SELECT request_id, status FROM traffic")
                if key in statuses
            }
    assert logged == statuses


def test_bentomls_own_clients_work(served):
    script = f"""
import asyncio, json
from bentoml import AsyncHTTPClient, SyncHTTPClient

stone, sought = {MEASURED!r}, {STONE | {"n": 2}!r}
with SyncHTTPClient({served.url!r}) as client:
    quote = client.predict(stone)
    told = [quote, client.predict_batch([stone, stone]), client.similar(sought), client.explain(stone)]
    told.append(client.sales({{"request_id": quote["request_id"], "price": 5100}}))

async def ask():
    async with AsyncHTTPClient({served.url!r}) as client:
        return [await client.predict(stone), await client.similar(sought)]

print(json.dumps([told, asyncio.run(ask())], default=str))
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=served.project.environment
    )

    (quote, batch, samples, reasons, sale), (quoted_again, samples_again) = json.loads(done.stdout)
    price = post(served, "/predict", MEASURED)[1]["price"]
    assert [quote["price"], quoted_again["price"], reasons["quote"]["price"], sale["quoted"]] == [price] * 4
    assert [each["price"] for each in batch["quotes"]] == [price, price]
    assert len(samples["samples"]) == 2
    assert samples["samples"] == samples_again["samples"]


def told(served):
    """The metrics by their names and labels."""
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_metrics_tell_what_was_asked_and_answered(served):
    before = told(served)
    post(served, "/predict", STONE)
    post(served, "/predict", STONE | {"color": "Z"})
    post(served, "/predict/batch", [STONE] * 5)
    post(served, "/made-up", STONE)
    after = told(served)

    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown['diamonds_requests_total{route="/predict",status="200"}'] == 1
    assert grown['diamonds_requests_total{route="/predict",status="422"}'] == 1
    assert grown['diamonds_requests_total{route="/predict/batch",status="200"}'] == 1
    assert grown['diamonds_requests_total{route="other",status="404"}'] == 1
    assert grown['diamonds_request_seconds_count{route="/predict"}'] == 2
    assert grown['diamonds_prices_total{model="xgboost"}'] == 6
    assert not any("made-up" in name for name in after)


def test_health_leaves_no_traffic(served, trained):
    assert [status_of(served.url + path) for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
    _, quote = post(served, "/predict", STONE)  # what came before it is shipped when it is

    assert traffic(trained, request_id=quote["request_id"])
    with closing(sqlite3.connect(trained.folder / "data/diamonds.db")) as connection:
        paths = {path for (path,) in connection.execute("SELECT DISTINCT path FROM traffic")}
    assert paths.isdisjoint({"/livez", "/readyz", "/metrics", "/docs.json"})


def test_without_a_champion_it_starts_says_so_and_is_not_ready(tmp_path):
    project = make_project(tmp_path / "project", {})
    running = serve(project, until=503)

    status, answer = post(running, "/predict", STONE)
    stop(running)

    assert status == 503
    assert answer["title"] == "No champion is loaded yet: train one with `kedro run`"
    assert "there is no champion in" in running.errors.read_text()
    assert len(traffic(project, status=503)) == 1


def test_sigterm_ships_what_is_logged_and_leaves_an_empty_outbox(trained, tmp_path):
    running = serve(
        trained, DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db", DIAMONDS_OUTBOX=str(tmp_path / "outbox")
    )
    ids = {post(running, "/predict", STONE)[1]["request_id"] for _ in range(20)}

    running.process.send_signal(signal.SIGTERM)

    assert running.process.wait(30) == 0
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        assert {key for (key,) in connection.execute("SELECT request_id FROM traffic")} == ids
    assert list((tmp_path / "outbox").iterdir()) == []


def test_traffic_goes_to_postgresql_where_the_url_says_so(trained, postgresql_url, tmp_path):
    environment = {"DIAMONDS_DATABASE_URL": postgresql_url, "DIAMONDS_OUTBOX": str(tmp_path / "outbox")}
    refused = trained.run("bentoml", "serve", "--port", "1", **environment)
    assert refused.returncode != 0
    assert "run `diamonds migrate`" in refused.stderr + refused.stdout
    assert trained.succeed("diamonds", "migrate", **environment) == "Migrated from nothing to 0007.\n"

    running = serve(trained, **environment)
    _, quote = post(running, "/predict", MEASURED)
    _, refusal = post(running, "/predict", STONE | {"color": "Z"})
    stop(running)

    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT request_id, status, request_body, response_body FROM traffic ORDER BY request_id")
        ).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [
        (quote["request_id"], 200, MEASURED, quote),
        (refusal["request_id"], 422, STONE | {"color": "Z"}, refusal),
    ]


def test_a_database_that_is_away_costs_the_caller_nothing_and_loses_no_row(trained, tmp_path):
    environment = {"DIAMONDS_OUTBOX": str(tmp_path / "outbox")}
    away = serve(trained, DIAMONDS_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/nothing", **environment)
    _, quote = post(away, "/predict", STONE)
    deadline = time.monotonic() + 30
    while told(away)["diamonds_outbox_exchanges"] != 1:
        assert time.monotonic() < deadline, "one exchange waits, and the metrics do not say so"
    stop(away)
    assert "cannot be reached" in away.errors.read_text()

    back = serve(trained, DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db", **environment)
    _, later = post(back, "/predict", STONE)
    stop(back)

    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        assert [key for (key,) in connection.execute("SELECT request_id FROM traffic ORDER BY 1")] == [
            quote["request_id"],
            later["request_id"],
        ]
