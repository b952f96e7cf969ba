"""What is read of the traffic and of the sales of a window, on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from kedro.io import DatasetError

from diamonds.datasets import SalesWindowDataset, TrafficWindowDataset
from diamonds.errors import ConfigurationError, DatabaseError
from diamonds.schema import FEATURES
from diamonds.service.bodies import keep
from diamonds.store import partitions, sales, traffic

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
FOUR_CS = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}
QUOTE = {"price": 5000.0, "low": 4500.0, "high": 5500.0, "assumed": ["x"]}


@pytest.fixture
def log(database, monkeypatch):
    """Records exchanges in the database that datasets read: minutes ago, and what it has that others have not."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))
    usual = {
        "duration_ms": 1.5, "method": "POST", "path": "/predict", "status": 200, "request_body": FOUR_CS,
        "response_body": {"price": 1}, "model": "xgboost", "version": "v1", "client": "127.0.0.1",
    }  # fmt: skip

    def record(*exchanges):
        records = []
        for number, (minutes_ago, changes) in enumerate(exchanges):
            moment = NOW - minutes_ago * MINUTE
            named = {"request_id": f"{partitions.least_id(moment)}-7000-8000-{number:012x}"}
            records.append(named | {"received_at": moment.isoformat(timespec="microseconds")} | usual | changes)
        traffic.record(database, [json.dumps(each, separators=(",", ":")) for each in records])

    return record


def weighing(carat):
    return {"request_body": FOUR_CS | {"carat": carat}}


def carats(window):
    return window.stones["carat"].tolist()


def test_each_route_that_quotes_gives_its_stones_the_newest_first_and_no_other_route_does(log):
    log(
        (5, weighing(0.5)),
        (4, {"path": "/predict/batch", "request_body": [FOUR_CS | {"carat": 0.6, "x": 5.1}, FOUR_CS | {"carat": 0.6}]}),
        (3, {"path": "/explain"} | weighing(0.7)),
        (2, {"path": "/similar"} | weighing(0.8)),
    )

    window = TrafficWindowDataset().load()

    assert (carats(window), window.exchanges, window.whole) == ([0.7, 0.6, 0.6, 0.5], 3, True)
    assert tuple(window.stones.columns) == FEATURES
    assert window.stones["x"].fillna(0).tolist() == [0, 5.1, 0, 0]
    assert set(window.skipped.values()) == {0}


def test_what_was_refused_cut_or_masked_is_counted_and_no_stone_of_it_counts(log):
    long = keep(json.dumps([FOUR_CS] * 2000).encode())
    log(
        (9, {"status": 422}),
        (8, {"path": "/predict/batch", "request_body": json.loads(long.json), "request_sha256": long.sha256}),
        (7, {"request_body": FOUR_CS | {"carat": "***"}}),
        (6, {"path": "/predict/batch", "request_body": [FOUR_CS, FOUR_CS | {"color": "***"}]}),
        (5, {"request_body": None}),
        (4, weighing(0.9)),
    )

    window = TrafficWindowDataset().load()

    assert carats(window) == [0.9]
    assert window.skipped == {"refused": 1, "cut": 1, "unreadable": 3, "repeated": 0}
    assert window.exchanges == 6


def test_a_caller_who_asks_the_same_again_within_an_hour_asks_once(log):
    log(
        (200, {"client": "a"}),
        (90, {"client": "a"}),
        (40, {"client": "a", "path": "/explain", "request_body": FOUR_CS | {"cut": "ideal"}}),
        (39, {"client": "a"}),
        (38, {"client": "b"}),
        (37, {"client": "a"} | weighing(2.0)),
    )

    window = TrafficWindowDataset().load()

    assert carats(window) == [2.0, 1.1, 1.1, 1.1]
    assert window.skipped["repeated"] == 2


def test_a_window_holds_what_came_from_its_beginning_on_and_before_its_end(log):
    log(*((minutes, weighing(minutes / 10)) for minutes in (40, 30, 20, 10)))
    since, until = ((NOW - minutes * MINUTE).isoformat() for minutes in (30, 10))

    window = TrafficWindowDataset(since=since, until=until).load()

    assert carats(window) == [2.0, 3.0]
    assert window.window == (NOW - 30 * MINUTE, NOW - 10 * MINUTE)
    passed = (datetime.now(UTC) - NOW) // MINUTE
    assert carats(TrafficWindowDataset(since=f"{25 + passed}m").load()) == [1.0, 2.0]


def test_only_so_many_exchanges_and_stones_are_read_the_newest(log):
    log(*((minutes, weighing(minutes / 10)) for minutes in (40, 30, 20, 10)))

    few = TrafficWindowDataset(most_exchanges=3).load()
    stones = TrafficWindowDataset(most_stones=2).load()
    all_of_them = TrafficWindowDataset(most_exchanges=4).load()

    assert (carats(few), few.exchanges, few.whole) == ([1.0, 2.0, 3.0], 3, False)
    assert (carats(stones), stones.exchanges, stones.whole) == ([1.0, 2.0], 2, False)
    assert (all_of_them.exchanges, all_of_them.whole) == (4, True)


def test_an_empty_log_has_no_stone(log):
    window = TrafficWindowDataset().load()

    assert (len(window.stones), window.exchanges, window.whole) == (0, 0, True)
    assert tuple(window.stones.columns) == FEATURES


@pytest.mark.parametrize("dataset", [TrafficWindowDataset, SalesWindowDataset])
def test_a_window_that_is_none_is_refused_in_plain_words(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{tmp_path}/d.db")

    with pytest.raises(DatasetError, match="since=yesterday must be a moment such as") as unreadable:
        dataset(since="yesterday").load()
    with pytest.raises(DatasetError, match="the window from 1h until 2h ends before it begins"):
        dataset(since="1h", until="2h").load()

    assert isinstance(unreadable.value.__cause__, ConfigurationError)


@pytest.mark.parametrize("dataset", [TrafficWindowDataset, SalesWindowDataset])
def test_a_database_that_is_away_is_said_in_plain_words(dataset, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")

    with pytest.raises(DatasetError, match=r"127\.0\.0\.1:1/none cannot be reached") as away:
        dataset().load()

    assert isinstance(away.value.__cause__, DatabaseError)


@pytest.mark.parametrize("dataset", [TrafficWindowDataset, SalesWindowDataset])
def test_a_window_is_only_read(dataset):
    with pytest.raises(DatasetError, match="only read"):
        dataset().save({})


def sell(database, place, price, **changes):
    sold = {"stone": FOUR_CS, "quote": QUOTE, "model": "xgboost", "version": "v1"} | changes
    return sales.record(database, "01a1fe29-1393-7e73-ba41-cec47f42b9d1", place, price, **sold)


@pytest.mark.usefixtures("log")
def test_each_sale_stands_beside_its_quote_and_its_stone(database):
    sell(database, 0, 5100.0)
    sell(database, 1, 900.0, model="linear", quote=QUOTE | {"assumed": []})

    window = SalesWindowDataset().load()

    assert window.sales[["paid", "price", "low", "high"]].to_numpy().tolist() == [
        [900.0, 5000.0, 4500.0, 5500.0],
        [5100.0, 5000.0, 4500.0, 5500.0],
    ]
    assert window.sales["measured"].tolist() == [True, False]
    assert window.sales["model"].tolist() == ["linear", "xgboost"]
    assert window.sales["carat"].tolist() == [1.1, 1.1]
    assert (window.unreadable, window.whole) == (0, True)


@pytest.mark.usefixtures("log")
def test_a_sale_of_which_a_part_is_masked_is_counted(database):
    sell(database, 0, 5100.0, stone=FOUR_CS | {"carat": "***"})
    sell(database, 1, 5200.0, quote=QUOTE | {"price": "***"})
    sell(database, 2, 5300.0)

    window = SalesWindowDataset().load()

    assert (window.sales["paid"].tolist(), window.unreadable) == ([5300.0], 2)


@pytest.mark.usefixtures("log")
def test_only_so_many_sales_are_read_the_newest_and_none_is_an_empty_frame(database):
    empty = SalesWindowDataset().load()
    for place in range(3):
        sell(database, place, 100.0 + place)

    window = SalesWindowDataset(most=2).load()

    assert (len(empty.sales), empty.whole) == (0, True)
    assert (window.sales["paid"].tolist(), window.whole) == ([102.0, 101.0], False)
