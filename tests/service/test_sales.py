"""What was really paid, as it is reported over HTTP."""

import json
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest

STONE = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}
UNKNOWN = "01a1fe8d-5b7c-7e4a-9d3e-2f6a8c1b0d4e"


def post(served, path, body):
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        served.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)


def kept(served, request_id):
    with closing(sqlite3.connect(served.project.folder / "data/diamonds.db")) as connection:
        return connection.execute(
            "SELECT position, price, stone, quote, model FROM sale WHERE request_id = ? ORDER BY position", [request_id]
        ).fetchall()


def test_a_sale_is_known_by_its_quote_at_once_and_twice_is_once(served):
    """The quote may still be on its way to the log when its sale is reported."""
    _, quote = post(served, "/predict", STONE)
    sale = {"request_id": quote["request_id"], "price": 5100}

    first, second = post(served, "/sales", sale), post(served, "/sales", sale)

    assert first[0] == 200
    assert first == second
    assert first[1] == {
        "request_id": quote["request_id"],
        "position": None,
        "price": 5100.0,
        "quoted": quote["price"],
        "recorded_at": first[1]["recorded_at"],
    }
    ((position, price, stone, quoted, model),) = kept(served, quote["request_id"])
    assert (position, price, json.loads(stone), json.loads(quoted), model) == (-1, 5100.0, STONE, quote, quote["model"])


def test_the_quote_inside_an_explanation_can_be_sold(served):
    _, reasons = post(served, "/explain", STONE)

    status, sale = post(served, "/sales", {"request_id": reasons["quote"]["request_id"], "price": 1})

    assert (status, sale["quoted"]) == (200, reasons["quote"]["price"])


def test_of_a_batch_the_position_says_which_stone_was_sold(served):
    _, batch = post(served, "/predict/batch", [STONE, STONE | {"carat": 0.5}])
    sale = {"request_id": batch["request_id"], "price": 1500}

    status, sold = post(served, "/sales", sale | {"position": 1})
    refused = [post(served, "/sales", sale), post(served, "/sales", sale | {"position": 2})]

    assert (status, sold["quoted"], sold["position"]) == (200, batch["quotes"][1]["price"], 1)
    assert [(status, answer["errors"][0]["field"], answer["errors"][0]["problem"]) for status, answer in refused] == [
        (422, "position", "must say which of the 2 stones of this batch was sold, from 0 to 1")
    ] * 2
    assert len(kept(served, batch["request_id"])) == 1


def test_all_stones_of_a_batch_can_be_reported_one_after_the_other(served):
    """The record of one sale holds the id of the quote too, and may still be on its way to the log."""
    _, batch = post(served, "/predict/batch", [STONE] * 4)

    reported = [
        post(served, "/sales", {"request_id": batch["request_id"], "price": 1500, "position": position})[0]
        for position in (0, 1, 2, 3, 3, 0)
    ]

    assert reported == [200] * 6
    assert len(kept(served, batch["request_id"])) == 4


def test_any_stone_of_a_batch_can_be_sold_though_the_log_keeps_its_bodies_cut(served):
    stones = [STONE | {"carat": 0.5 + number / 1000} for number in range(1000)]
    _, batch = post(served, "/predict/batch", stones)
    sale = {"request_id": batch["request_id"], "price": 1500, "position": 999}

    while_on_its_way = post(served, "/sales", sale)
    wait_for_row(served, batch["request_id"])
    from_the_log = post(served, "/sales", sale | {"position": 998})

    assert [answer["quoted"] for _, answer in (while_on_its_way, from_the_log)] == [
        batch["quotes"][999]["price"],
        batch["quotes"][998]["price"],
    ]
    assert [json.loads(stone) for _, _, stone, _, _ in kept(served, batch["request_id"])] == stones[998:]


def wait_for_row(served, request_id):
    """The log has no event to wait for; what it is asked for is there in a moment."""
    deadline = time.monotonic() + 30
    with closing(sqlite3.connect(served.project.folder / "data/diamonds.db")) as connection:
        while not connection.execute("SELECT 1 FROM traffic WHERE request_id = ?", [request_id]).fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_stone_is_sold_for_one_price(served):
    _, quote = post(served, "/predict", STONE)
    post(served, "/sales", {"request_id": quote["request_id"], "price": 5100})

    status, answer = post(served, "/sales", {"request_id": quote["request_id"], "price": 5200})

    assert status == 422
    assert answer["errors"] == [
        {"field": "price", "got": 5200, "problem": "this stone is recorded as sold for 5,100.00 USD already"}
    ]


@pytest.mark.parametrize("path", ["/similar", "/sales", "/nothing"])
def test_only_quotes_can_be_sold(served, path):
    _, answer = post(served, path, STONE)

    status, problem = post(served, "/sales", {"request_id": answer["request_id"], "price": 1})

    assert (status, problem["title"]) == (404, "No quote has this request_id")


def test_an_unknown_id_and_a_refused_quote_are_404(served):
    _, refused = post(served, "/predict", STONE | {"color": "Z"})

    answers = [post(served, "/sales", {"request_id": key, "price": 1})[0] for key in (UNKNOWN, refused["request_id"])]

    assert answers == [404, 404]


def test_a_position_for_a_single_quote_is_refused(served):
    _, quote = post(served, "/predict", STONE)

    status, answer = post(served, "/sales", {"request_id": quote["request_id"], "price": 1, "position": 0})

    assert (status, answer["errors"][0]["problem"]) == (422, "is only for batches: leave it out")
