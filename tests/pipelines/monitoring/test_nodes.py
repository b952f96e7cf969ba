"""The nodes of monitoring, without a database or a file."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from diamonds.datasets import SalesWindow, TrafficWindow
from diamonds.datasets.champion import CurrentChampion
from diamonds.datasets.window import Window
from diamonds.drift import Report, Rule
from diamonds.errors import ArtefactError, NoSuchModelError
from diamonds.pipelines.monitoring import nodes
from diamonds.pipelines.monitoring.nodes import plot_report, watch
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones

RULE = Rule(
    psi=0.25, bins=10, false_alarms=0.05, min_stones=100, min_sales=50, error_loss=0.1, coverage_loss=0.02,
    resamples=1000, seed=42,
)  # fmt: skip
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WINDOW = Window(NOON - timedelta(days=7), NOON)
METRICS = {"overall": {"mae": 256.0, "mape": 0.057, "bias": -19.0, "coverage": 0.9}}
SKIPPED = {"refused": 3, "cut": 0, "unreadable": 0, "repeated": 1}


def asked(stones):
    return TrafficWindow(WINDOW, NOON, stones[list(FEATURES)].reset_index(drop=True), 504, SKIPPED, True)


def sold(paid, **changes):
    """Quotes of 1,000 dollars of the champion, on two days, and what was paid."""
    days = [NOON - timedelta(days=number % 2) for number in range(len(paid))]
    frame = pd.DataFrame({"paid": pd.array(paid, "float64"), "price": 1000.0, "low": 900.0, "high": 1100.0})
    frame = frame.assign(measured=True, model="xgboost", version="v1", recorded_at=pd.to_datetime(days, utc=True))
    return SalesWindow(WINDOW, frame.assign(**changes), 2, True)


@pytest.fixture
def champion(stones):
    """A champion of which only what is watched is there."""
    entry = SimpleNamespace(metrics=METRICS)
    return CurrentChampion(
        entry, None, SimpleNamespace(name="xgboost", version="v1", stones=SortedStones.of(stones)), None
    )


def test_a_report_says_what_was_found_out_of_which_window_of_which_champion(champion, classic, caplog):
    caplog.set_level("INFO")

    report = watch(asked(classic.sample(500, random_state=3)), sold([]), champion, RULE)

    reason = "no feature of the 500 stones asked about has moved from the training"
    assert list(report) == [
        *("retrain", "reason", "at", "since", "until", "model", "version", "stones"),
        *("exchanges", "skipped", "whole", "features", "outside", "sales"),
    ]
    assert (report["retrain"], report["reason"]) == ("no", reason)
    assert (report["at"], report["since"]) == ("2026-11-21T12:00:00Z", "2026-11-14T12:00:00Z")
    assert (report["model"], report["version"], report["stones"]) == ("xgboost", "v1", 500)
    assert (report["exchanges"], report["skipped"]) == (504, SKIPPED)
    assert list(report["features"]) == list(FEATURES)
    assert report["sales"]["sold"] == 0
    assert caplog.messages == [f"Retrain: no. {reason}"]


def test_another_kind_of_stone_is_a_reason_to_retrain(champion, classic):
    heavy = classic[classic["carat"] > 1.2].sample(500, random_state=3)

    report = watch(asked(heavy), sold([]), champion, RULE)

    assert report["retrain"] == "yes"
    assert report["features"]["carat"]["moved"]
    assert report["features"]["carat"]["now"] > 1.2 > report["features"]["carat"]["before"]


def test_of_many_training_stones_a_sample_is_compared_and_all_say_what_is_outside(champion, stones, monkeypatch):
    monkeypatch.setattr(nodes, "MOST_COMPARED", 1000)
    extreme = stones.loc[[stones["carat"].idxmin(), stones["carat"].idxmax(), stones["z"].idxmax()]]
    window = asked(pd.concat([stones.sample(497, random_state=3), extreme]))
    monkeypatch.setattr(SortedStones, "frame", lambda _: pytest.fail("all of them are a frame"))

    report = watch(window, sold([]), champion, RULE)

    assert report["outside"] == 0
    assert report["retrain"] == "no"
    assert 0 < report["features"]["carat"]["psi"] < RULE.psi


def test_the_live_error_is_that_of_the_champions_quotes_by_day_too(champion, classic):
    sales = sold([1250.0, 1000.0] * 50 + [9.0])
    sales.sales.loc[100, "version"] = "v0"

    report = watch(asked(classic.head(0)), sales, champion, RULE)

    found = report["sales"]
    assert (found["sold"], found["others"], found["unreadable"]) == (100, 1, 2)
    assert found["live"] == pytest.approx({"mae": 125.0, "mape": 0.1, "bias": -125.0, "coverage": 0.5})
    assert found["holdout"] == METRICS["overall"]
    assert found["days"] == [
        {"day": "2026-11-20", "sold": 50, "mape": 0.0},
        {"day": "2026-11-21", "sold": 50, "mape": pytest.approx(0.2)},
    ]
    assert report["retrain"] == "yes"
    assert report["reason"].endswith("the band held 50.0% of 100 prices paid instead of 90.0%")


def test_inputs_are_left_as_they_are(champion, classic):
    window, sales = asked(classic.head(200)), sold([1000.0] * 60)
    before = window.stones.copy(), sales.sales.copy(), champion.pricer.stones.frame()

    watch(window, sales, champion, RULE)

    for frame, copied in zip((window.stones, sales.sales, champion.pricer.stones.frame()), before, strict=True):
        pd.testing.assert_frame_equal(frame, copied)


def test_without_a_champion_there_is_nothing_to_watch(classic):
    with pytest.raises(NoSuchModelError, match=r"^there is no champion to watch yet: `kedro run` trains one$"):
        watch(asked(classic.head(1)), sold([]), None, RULE)


def test_a_champion_that_cannot_be_loaded_is_an_error_that_says_why(classic):
    lost = CurrentChampion(SimpleNamespace(metrics={}), None, None, "manifest.json is missing")

    with pytest.raises(ArtefactError, match=r"cannot be loaded: manifest.json is missing$"):
        watch(asked(classic.head(1)), sold([]), lost, RULE)


def test_the_figure_has_a_bar_a_feature_and_the_error_day_by_day_where_any_were_sold(champion, classic):
    window = asked(classic[classic["carat"] > 1.2].sample(200, random_state=3))
    quiet, selling = (watch(window, sold(paid), champion, RULE) for paid in ([], [1000.0, 1250.0]))

    bars, limit = plot_report(quiet, RULE).data
    *_, live, holdout = plot_report(selling, RULE).data

    assert (list(bars.x), list(limit.y)) == (list(FEATURES), [0.25] * 9)
    assert list(bars.y) == [its["psi"] for its in quiet["features"].values()]
    assert [color == "#d62728" for color in bars.marker.color] == [its["moved"] for its in quiet["features"].values()]
    assert (list(live.x), list(live.y)) == (["2026-11-20", "2026-11-21"], pytest.approx([0.2, 0.0]))
    assert (list(holdout.x), list(holdout.y)) == (["2026-11-19T12:00:00", "2026-11-21T12:00:00"], [0.057, 0.057])


def test_a_figure_of_nothing_is_drawn_too(champion, classic):
    report = watch(asked(classic.head(0)), sold([]), champion, RULE)

    bars, _ = plot_report(report, RULE).data

    assert list(bars.y) == [None] * 9
    assert Report.model_validate(report).outside is None
