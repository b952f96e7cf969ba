"""The streaming model of the log price: least squares to the last digits, and a market that may walk."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.schema import FEATURES, GRADES, MEASURES
from diamonds.streams import learners
from diamonds.streams.learners.price import PriceModel
from diamonds.streams.science.stones import TERMS, features_of
from diamonds.streams.spec import FeedSpec, feed
from project import ROOT

WALK = 1e-6
#: What prices gain in log dollars with each stone where they rise by 1 % per 100.
RISE = math.log(1.01) / 100


@pytest.fixture(scope="module")
def rows(stones):
    """3,000 stones in the order in which they come, as a feed gives them."""
    return stones.to_dict("records")


def taught(rows, walk=0.0):
    model = PriceModel(walk)
    for row in rows:
        model.learn(row)
    return model


def rising(rows, start):
    return [row | {"price": row["price"] * math.exp(RISE * max(place - start, 0))} for place, row in enumerate(rows)]


def estimates(model):
    return {each["term"]: each["estimate"] for each in model.report()["coefficients"]}


def spec_of(**columns):
    entry = {"name": "s", "url": "http://127.0.0.1", "columns": columns, "learners": {"price": {"kind": "price"}}}
    return FeedSpec.model_validate(entry)


def test_without_a_walk_the_coefficients_are_those_of_a_batch_fit_to_all_rows(rows):
    described = np.array([features_of(row) for row in rows])
    batch, *_ = np.linalg.lstsq(described, np.log([row["price"] for row in rows]))

    assert estimates(taught(rows)) == pytest.approx(dict(zip(TERMS, batch.tolist(), strict=True)), rel=0, abs=1e-9)


def test_their_standard_errors_and_the_scatter_are_those_of_a_batch_fit(rows):
    described = np.array([features_of(row) for row in rows])
    log_prices = np.log([row["price"] for row in rows])
    _, (unexplained,), *_ = np.linalg.lstsq(described, log_prices)
    variance = unexplained / (len(rows) - len(TERMS))
    errors = np.sqrt(variance * np.diag(np.linalg.inv(described.T @ described)))

    report = taught(rows).report()

    assert [each["se"] for each in report["coefficients"]] == pytest.approx(errors.tolist(), rel=1e-9)
    assert report["statistics"]["scatter"] == pytest.approx(math.sqrt(variance), rel=0.02), "as of the stone before"


def test_a_price_is_predicted_before_it_is_seen(rows):
    """Were it seen first, all of the first twenty stones would fit: there are as many coefficients."""
    few = taught(rows[:20]).report()["scores"]

    assert few["rows"] == 20
    assert few["mape"] > 0.2
    assert taught(rows[:1]).report()["scores"]["mape"] is None


def test_after_a_thousand_stones_prices_are_off_by_about_a_tenth(rows):
    scores = taught(rows, WALK).report()["scores"]

    assert 0.09 < scores["recent_mape"] < 0.11
    assert abs(scores["recent_bias"]) < 0.02


def test_a_market_that_rises_is_followed_by_the_intercept_alone(rows):
    drifting = rising(rows, start=1000)

    walking, standing = (taught(drifting, walk).report()["scores"] for walk in (WALK, 0.0))

    assert abs(walking["recent_bias"]) < 0.025
    assert standing["recent_bias"] < -0.09
    assert walking["recent_mape"] < standing["recent_mape"] - 0.02


def test_a_walk_costs_next_to_nothing_where_the_market_stands_still(rows):
    walking, standing = (taught(rows, walk).report()["scores"]["mape"] for walk in (WALK, 0.0))

    assert walking < standing + 0.001


def test_coefficients_of_grades_are_factors_on_the_price_and_each_is_below_the_best(rows):
    told = taught(rows, WALK).report()
    factors = {each["term"]: each["factor"] for each in told["coefficients"] if each["factor"]}

    assert len(factors) == sum(len(grades) - 1 for grades in GRADES.values()) == 17
    assert factors["color: J"] == pytest.approx(0.6, abs=0.05)
    assert factors["clarity: I1"] == pytest.approx(0.32, abs=0.05)
    assert all(factor < 1 for factor in factors.values())
    assert told["statistics"]["twice_the_weight"] == pytest.approx(3.5, abs=0.3)


def test_before_the_coefficients_can_be_told_there_are_none_and_a_grade_that_did_not_come_is_left_out(rows):
    without = [row for row in rows if row["clarity"] != "I1"]

    assert taught(rows[:30]).report()["coefficients"] == []
    assert taught(rows[:30]).report()["statistics"]["note"] == "30 stones do not tell weight and grades apart yet"
    assert set(TERMS) - set(estimates(taught(without))) == {"clarity: I1"}


def test_a_stone_is_priced_with_an_interval_that_holds_about_95_of_100(rows):
    model = taught(rows[:2000], WALK)

    answers = [(model.answer(row), row["price"]) for row in rows[2000:]]

    inside = [answer["low"] <= price <= answer["high"] for answer, price in answers]
    assert 0.93 < np.mean(inside) < 0.97
    assert answers[0][0]["rows"] == 2000


def test_whoever_asks_too_early_is_told_how_many_stones_it_takes(rows):
    with pytest.raises(UntaughtError, match=r"^3 stones were seen, and a price takes 42: let more come first$"):
        taught(rows[:3]).answer(rows[0])


@settings(max_examples=10)
@given(st.lists(st.integers(0, 400), max_size=4), st.sampled_from([0.0, WALK, 1e-4]))
def test_what_it_holds_is_the_same_to_the_last_bit_wherever_it_was_written_down_and_read_again(stones, cuts, walk):
    rows = stones.head(400).to_dict("records")
    model = PriceModel(walk)
    for place, row in enumerate(rows):
        if place in cuts:
            kept = json.loads(json.dumps(model.dump()))
            model = PriceModel(walk)
            model.load(kept)
        model.learn(row)

    assert model.dump() == taught(rows, walk).dump()


def test_the_audit_finds_the_batch_fit_and_what_was_left_out_of_it(rows):
    model = taught(rows)

    gaps = model.audit(iter(rows))
    of_fewer_rows = model.audit(iter(rows[:-500]))

    assert [gap["what"] for gap in gaps] == list(TERMS)
    assert max(abs(gap["gap"]) for gap in gaps) < 1e-8
    assert max(abs(gap["gap"]) for gap in of_fewer_rows) > 0.1


def test_where_the_intercept_walks_the_audit_leaves_it_out_and_the_rest_is_near(rows):
    gaps = taught(rows, WALK).audit(iter(rows))

    assert [gap["what"] for gap in gaps] == list(TERMS[1:])
    assert max(abs(gap["gap"]) for gap in gaps) < 0.5


def test_a_prediction_is_never_beyond_what_a_price_can_be(rows):
    heavy = rows[0] | {"carat": 100.0, "price": 1.0}

    scores = taught([*rows[:100], heavy]).report()["scores"]

    assert scores["mape"] < MEASURES["price"].most


def test_stones_that_hardly_differ_and_are_like_no_other_do_not_stop_it(rows):
    """The greatest weight and price that hold, a thousand times over, tell nothing of the powers of weight."""
    same = [rows[0] | {"carat": 100.0 - place * 1e-7, "price": 1e8} for place in range(1000)]

    model = taught([*same, *rows[:200]], WALK)

    assert math.isfinite(model.report()["scores"]["mape"])
    assert math.isfinite(model.answer(rows[0])["price"])


def of_about_a_third_of_a_carat(stones):
    few = stones[stones["carat"].between(0.30, 0.33)]
    return few.sample(frac=1, random_state=0).to_dict("records")


def test_stones_of_nearly_one_weight_are_learned_and_priced_and_nothing_is_said_of_weights_that_never_came(stones):
    rows = of_about_a_third_of_a_carat(stones)
    model = taught(rows[:41], WALK)

    assert len(rows) > 300
    for row in rows[41:300]:
        model.learn(row)
        report = model.report()
        json.dumps(report, allow_nan=False)
        assert report["statistics"]["usual_price"] is report["statistics"]["twice_the_weight"] is None
        for carat in (0.01, 100.0):
            answer = model.answer(row | {"carat": carat})
            assert 0.01 <= answer["low"] <= answer["price"] <= answer["high"] <= MEASURES["price"].most

    assert 0.05 < model.report()["scores"]["recent_mape"] < 0.2


def test_twice_the_weight_is_said_once_two_carats_came(rows):
    lighter = [row for row in rows if row["carat"] < 2]

    below, both = (taught(each, WALK).report()["statistics"] for each in (lighter, rows))

    assert below["usual_price"] == pytest.approx(both["usual_price"], rel=0.05)
    assert (below["twice_the_weight"], both["twice_the_weight"] > 3) == (None, True)


def test_the_page_sees_the_newest_prices_beside_what_is_computed_for_them(rows):
    drawn = taught(rows, WALK).view(rows[-3:])["prices"]

    assert [price for price, _ in drawn] == [row["price"] for row in rows[-3:]]
    assert all(0.5 < computed / price < 2 for price, computed in drawn)
    assert PriceModel(WALK).view([]) == {"prices": []}


def test_a_feed_without_weight_or_with_grades_of_its_own_is_refused_by_name():
    grades = {name: {"type": "text", "one_of": grades} for name, grades in GRADES.items()}
    measures = {name: {"type": "number", "least": 0.01} for name in ("carat", "price")}
    sloppy = measures | {"carat": {"type": "number", "least": 0}} | grades | {"cut": {"type": "text"}}

    assert set(learners.build(spec_of(**measures, **grades))) == {"price"}
    with pytest.raises(ConfigurationError, match=r"cannot teach the learner price: .*; see carat, cut$"):
        learners.build(spec_of(**sloppy))


def test_the_limits_of_the_feed_that_comes_with_the_project_are_those_of_every_door():
    columns = feed(ROOT, "diamonds").columns

    assert list(columns) == [*FEATURES, "price"]
    assert {name: columns[name].one_of for name in GRADES} == GRADES
    assert {name: columns[name].most for name in MEASURES} == {name: each.most for name, each in MEASURES.items()}
    assert {columns[name].least for name in MEASURES} == {0.01}
