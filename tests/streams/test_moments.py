import json
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.feeding.generators import employees
from diamonds.streams.learners import Learner, build
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.live.asking import in_words
from diamonds.streams.science.regressions import Names
from diamonds.streams.science.sums import POWERS, Sums
from diamonds.streams.spec import FeedSpec, feed

PROJECT = Path(__file__).parents[2]
numbers = st.one_of(
    st.floats(-1e3, 1e3),
    st.floats(1e8 - 1, 1e8 + 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e-28, 1e-28),
    st.floats(-1e30, 1e30),
    st.integers(-2, 2).map(float),
)
rows = st.lists(st.fixed_dictionaries({"x": numbers, "y": numbers, "g": st.booleans()}), max_size=60)
OTHERS = [{"x": 1.5, "y": -2.0, "g": True}, {"x": 0.5, "y": 3.0, "g": False}]


def learner() -> MomentsLearner:
    return MomentsLearner(Names("y", "x", "g"))


def taught(learned, rows):
    for row in rows:
        learned.learn(row)
    return learned


def written(learned: Learner) -> str:
    return json.dumps(learned.dump(), allow_nan=False)


def test_the_feed_of_promotions_configures_it():
    spec = feed(PROJECT, "promotions")

    networking = build(spec.model_copy(update={"learners": {"networking": spec.learners["networking"]}}))["networking"]
    taught(networking, employees("sum", 1, 0, 100))

    assert [c["term"] for c in networking.report()["coefficients"]][:2] == [
        "~ competence: competence",
        "~ promoted: promoted",
    ]


def test_a_slope_that_is_watched_has_the_interval_that_holds_while_it_is():
    spec = feed(PROJECT, "promotions")
    networking = build(spec)["networking"]

    report = taught(networking, employees("sum", 1, 0, 500)).report()

    tables = report["statistics"]["regressions"]
    watched = {f"{table['name']}: {term['term']}": term for table in tables for term in table["terms"]}
    assert {c["term"]: (c["low"], c["high"]) for c in report["coefficients"]} == {
        name: (term["watching_low"], term["watching_high"]) for name, term in watched.items()
    }
    assert all(term["watching_low"] < term["low"] < term["high"] < term["watching_high"] for term in watched.values())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"target": "wage"}, "target: the feed f has no column wage of type number"),
        ({"group": "x"}, "group: the feed f has no column x of type boolean"),
        ({"feature": "y"}, "the target and the feature are both y; they must be two columns"),
        ({"lasso": 1}, "lasso: Extra inputs are not permitted"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(said, message):
    entry = {"kind": "moments", "target": "y", "feature": "x", "group": "g"} | said
    columns = {"x": {"type": "number"}, "y": {"type": "number"}, "g": {"type": "boolean"}}
    spec = FeedSpec.model_validate({"name": "f", "url": "http://h", "columns": columns, "learners": {"it": entry}})

    with pytest.raises(ConfigurationError, match=message):
        build(spec)


@settings(max_examples=150, deadline=None)
@given(rows, st.lists(st.integers(0, 60), max_size=5))
def test_wherever_it_is_written_down_and_read_back_it_holds_the_same_bits(rows, cuts):
    uninterrupted = taught(learner(), rows)

    resumed = learner()
    for start, stop in pairwise([0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]):
        document = json.loads(written(resumed))
        resumed = taught(learner(), OTHERS)
        resumed.load(document)
        taught(resumed, rows[start:stop])

    assert written(resumed) == written(uninterrupted)


@settings(max_examples=100, deadline=None)
@given(rows)
@example([{"x": 0.0, "y": y, "g": g} for y, g in ((-7e-29, True), (0.0, False), (1.0, False), (1.0, True))])
@example([{"x": x, "y": 0.0, "g": g} for x, g in ((4e-122, True), (0.0, False), (1e-122, True))])
def test_whatever_the_rows_are_what_it_says_is_json_without_a_nan(rows):
    learned = taught(learner(), rows)

    json.dumps([learned.report(), learned.view([])], allow_nan=False)
    assert learned.report()["statistics"]["rows"] == len(rows)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e8])
def test_the_sums_hold_thirty_digits(offset):
    pairs = [(row["competence"] + offset, row["network_ability"]) for row in employees("sum", 5, 0, 300)]
    learned = taught(learner(), [{"x": x, "y": y, "g": True} for x, y in pairs])
    away = [(Fraction(x) - Fraction(pairs[0][0]), Fraction(y) - Fraction(pairs[0][1])) for x, y in pairs]
    group = learned.dump()["groups"][1]
    sums = Sums(group["rows"], group["halves"])

    for j, k in POWERS:
        found, addends = sums.of(j, k), [x**j * y**k for x, y in away]
        gap = abs(Fraction(found.high) + Fraction(found.low) - sum(addends))
        assert gap <= sum(map(abs, addends)) * Fraction(10) ** -30


def test_an_order_of_the_same_rows_is_seen_only_in_the_last_digits():
    rows = employees("sum", 2, 0, 500)
    forth, back = (
        taught(MomentsLearner(Names("network_ability", "competence", "promoted")), order)
        for order in (rows, rows[::-1])
    )

    pairs = zip(forth.report()["coefficients"], back.report()["coefficients"], strict=True)
    assert all(math.isclose(one["se"], other["se"], rel_tol=1e-15) for one, other in pairs)
    assert written(forth) != written(back)


def test_a_row_too_far_away_to_be_squared_is_counted_and_not_learned():
    rows = [{"x": float(i), "y": float(i % 3), "g": i % 2 == 0} for i in range(20)]
    learned = taught(learner(), rows)
    before = learned.report()

    learned.learn({"x": 1e200, "y": 0.0, "g": True})

    after = learned.report()
    assert after["statistics"]["beyond"] == 1
    assert after["statistics"]["rows"] == 21
    assert after["coefficients"] == before["coefficients"]
    assert max(gap["gap"] for gap in learned.audit(iter([*rows, {"x": 1e200, "y": 0.0, "g": True}]))[:-1]) < 1e-13


def test_before_the_first_row_it_answers_nothing():
    with pytest.raises(UntaughtError, match="no rows have been learned yet, so nothing is known of y"):
        learner().answer({"x": 1.0})


def test_of_too_little_it_answers_that_it_does_not_know():
    unknown = {"estimate": None, "low": None, "high": None}
    learned = taught(learner(), OTHERS)

    assert learned.answer({"x": 1.0}) == unknown | {"rows": 2}
    assert learned.answer({"x": 1.0, "g": True}) == unknown | {"rows": 1}
    assert taught(learned, OTHERS * 3).answer({"g": None}) == unknown | {"rows": 8}


def test_of_a_feature_that_never_varied_it_answers_that_it_was_the_same_in_all_rows():
    spec = feed(PROJECT, "promotions")
    networking = build(spec)["networking"]
    taught(networking, [row | {"competence": 5.0} for row in employees("sum", 1, 0, 100)])

    answer = networking.answer({"competence": 1.0})

    assert (answer["estimate"], answer["rows"]) == (None, 100)
    assert in_words(spec, {"networking": answer}) == ["networking cannot say: competence was the same in all rows"]


@pytest.mark.parametrize("x", [1e100, 1e154, 1e200, 1e300, 1.7e308, -1.7e308])
def test_of_a_feature_beyond_all_rows_it_answers_with_numbers_or_that_it_cannot_say(x):
    spec = feed(PROJECT, "promotions")
    networking = build(spec)["networking"]
    taught(networking, employees("sum", 1, 0, 100))

    answers = [networking.answer({"competence": x, "promoted": group}) for group in (True, False, None)]

    json.dumps(answers, allow_nan=False)
    said = in_words(spec, {"networking": answers[0]})
    if abs(x) > 1e200:
        assert {answer["estimate"] for answer in answers} == {None}
        assert said == ["networking cannot say: this is too far from all rows that were learned"]
    if x == 1e100:
        assert said[0].startswith("network ability: −")


def test_it_answers_with_the_line_of_the_group_that_is_named():
    rows = [{"x": float(i), "y": (2.0 if i % 2 else -1.0) * i + (i // 2 % 2), "g": i % 2 == 1} for i in range(40)]
    learned = taught(learner(), rows)

    inside, outside, overall = (learned.answer({"x": 10.0, "g": group}) for group in (True, False, None))

    assert inside["estimate"] == pytest.approx(20.5, abs=0.05)
    assert outside["estimate"] == pytest.approx(-9.5, abs=0.05)
    assert [inside["rows"], outside["rows"], overall["rows"]] == [20, 20, 40]
    assert overall["high"] - overall["low"] > 20 * (inside["high"] - inside["low"]) > 0


def test_of_new_rows_95_in_100_lie_in_the_interval_of_the_answer():
    learned = taught(MomentsLearner(Names("network_ability", "competence", "promoted")), employees("chain", 4, 0, 2000))
    new = employees("chain", 4, 2000, 6000)

    answers = [(learned.answer(row), row["network_ability"]) for row in new]

    assert sum(a["low"] < y < a["high"] for a, y in answers) / len(new) == pytest.approx(0.95, abs=0.012)


def test_the_lines_to_draw_are_those_of_the_table():
    learned = taught(MomentsLearner(Names("network_ability", "competence", "promoted")), employees("sum", 1, 0, 3000))
    tables = {table["name"]: table for table in learned.report()["statistics"]["regressions"]}

    lines = {line["name"]: line for line in learned.view([])["lines"]}

    assert list(lines) == ["overall", "promoted", "not promoted"]
    assert lines["promoted"]["slope"] == tables["~ competence, promoted only"]["terms"][0]["estimate"]
    assert lines["overall"]["intercept"] == tables["~ competence"]["intercept"]["estimate"]
    assert lines["not promoted"]["group"] is False


def test_an_audit_refits_all_rows_and_finds_the_same():
    rows = employees("interaction", 1, 0, 3000)
    learned = taught(MomentsLearner(Names("network_ability", "competence", "promoted")), rows)

    gaps = learned.audit(iter(rows))

    fits, ranks = gaps[:-1], gaps[-1]
    assert len(fits) == 3 + 3 + 4 + 3 + 3 + 5
    assert max(gap["gap"] for gap in fits) < 1e-13
    assert ranks["what"] == "correlation of competence and network_ability (streamed) beside that of their ranks"
    assert ranks["batch"] == pytest.approx(ranks["streamed"], abs=0.03)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e8])
@pytest.mark.parametrize("is_a_line", [False, True])
def test_an_audit_finds_no_gap_however_far_the_rows_are_from_zero_and_though_they_lie_on_a_line(offset, is_a_line):
    drawn = [(row["competence"] + offset, row) for row in employees("interaction", 1, 0, 2000)]
    rows = [
        {"x": x, "y": 2 * x + 1 if is_a_line else row["network_ability"] + offset, "g": row["promoted"]}
        for x, row in drawn
    ]

    gaps = taught(learner(), rows).audit(iter(rows))[:-1]

    assert len(gaps) == 21
    assert max(gap["gap"] for gap in gaps) < 1e-9


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e8])
def test_an_audit_tells_of_a_row_that_was_not_learned_however_far_the_rows_are_from_zero(offset):
    rows = [
        {"x": row["competence"] + offset, "y": row["network_ability"] + offset, "g": row["promoted"]}
        for row in employees("interaction", 1, 0, 300)
    ]

    gaps = taught(learner(), rows[:-1]).audit(iter(rows))[:-1]

    assert sum(gap["gap"] > 1e-5 for gap in gaps) > 10


def test_an_audit_tells_of_a_row_that_was_not_learned():
    rows = employees("interaction", 1, 0, 300)
    learned = taught(MomentsLearner(Names("network_ability", "competence", "promoted")), rows[:-1])

    assert max(gap["gap"] for gap in learned.audit(iter(rows))) > 1e-4


def test_an_audit_of_no_rows_has_nothing_to_say():
    assert learner().audit(iter([])) == []
