import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.streaming.batch import losses
from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.feeding.generators import PROCESSES, employees
from diamonds.streams.learners import Learner, build
from diamonds.streams.learners.logit import Logit, Params
from diamonds.streams.science.adf import AssumedDensity
from diamonds.streams.science.drift import PageHinkley
from diamonds.streams.science.separation import MOST_ROWS, Separation
from diamonds.streams.science.terms import Terms
from diamonds.streams.spec import FeedSpec, Row

FEATURES = ("competence", "network_ability")
BOUND = ("logistic", "sum", "interaction", "max")


def logit(**params: object) -> Logit:
    return Logit(Params.model_validate({"target": "promoted", "features": FEATURES} | params))


def taught(rows: list[Row], **params: object) -> Logit:
    learner = logit(**params)
    for row in rows:
        learner.learn(row)
    return learner


def row(competence: float, network_ability: float, promoted: bool) -> Row:
    return {"id": 1, "competence": competence, "network_ability": network_ability, "promoted": promoted}


def spec(**entry: object) -> FeedSpec:
    return FeedSpec.model_validate(
        {
            "name": "promotions",
            "url": "http://127.0.0.1:5000",
            "columns": {name: {"type": "number"} for name in FEATURES}
            | {"promoted": {"type": "boolean"}, "team": {"type": "text"}},
            "learners": {"promotion": {"kind": "logit", "target": "promoted", "features": list(FEATURES)} | entry},
        }
    )


def estimates(learner: Learner) -> dict[str, float]:
    return {each["term"]: each["estimate"] for each in learner.report()["coefficients"]}


# What is held is a function of the rows and their order.

values = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 1.0, -1e308, 1.7e308, 1e-308, 5e9, 7e-61]))
rows_of_any_kind = st.lists(st.builds(row, values, values, st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows_of_any_kind, st.sets(st.integers(0, 40)), st.sampled_from([1.0, 0.99]))
def test_saving_and_loading_at_any_rows_changes_no_bit(rows, saves, forget):
    resumed = logit(forget=forget)

    for number, each in enumerate(rows):
        if number in saves:
            document = json.loads(json.dumps(resumed.dump(), allow_nan=False))
            resumed = logit(forget=forget)
            resumed.load(document)
        resumed.learn(each)

    straight = taught(rows, forget=forget)
    assert json.dumps(resumed.dump()) == json.dumps(straight.dump())
    assert json.dumps(resumed.report(), allow_nan=False) == json.dumps(straight.report())


def test_loading_forgets_what_was_held_before():
    rows = employees("sum", 1, 0, 300)
    short, learner = taught(rows[:4]), taught(rows)

    learner.load(short.dump())
    for each in rows[4:200]:
        learner.learn(each)

    assert json.dumps(learner.dump()) == json.dumps(taught(rows[:200]).dump())


def test_another_order_of_the_rows_is_another_state():
    rows = employees("sum", 1, 0, 50)

    assert taught(rows).dump() != taught(rows[::-1]).dump()


def test_the_state_of_ten_thousand_rows_takes_less_than_five_kilobytes():
    assert len(json.dumps(taught(employees("logistic", 1, 0, 10_000)).dump())) < 5_000


# What was learned.


def test_one_row_gives_the_moments_that_integration_gives():
    density = AssumedDensity(np.array([[4.0], [0.25]]))
    grid = np.linspace(-30, 30, 2_000_001)
    sigmoid = 1 / (1 + np.exp(-grid * 1.5))

    chances = density.learn(np.array([1.5]), True)

    for model, variance in enumerate([4.0, 0.25]):
        weights = np.exp(-(grid**2) / (2 * variance))
        chance = (weights * sigmoid).sum() / weights.sum()
        tilted = weights * sigmoid / (weights * sigmoid).sum()
        mean = (tilted * grid).sum()
        assert chances[model] == pytest.approx(chance, abs=1e-12) == 0.5
        assert density.mean[model, 0] == pytest.approx(mean, abs=2e-4)
        assert density.covariance[model, 0, 0] == pytest.approx((tilted * grid**2).sum() - mean**2, abs=5e-4)


@pytest.mark.parametrize(("process", "rms", "most"), [("logistic", 0.25, 0.5), ("sum", 0.5, 1.0)])
def test_after_a_thousand_rows_the_coefficients_are_within_half_a_standard_error_of_the_likeliest(process, rms, most):
    gaps = []
    for seed in range(8):
        rows = employees(process, seed, 0, 1_000)
        audit = taught(rows).audit(iter(rows))
        gaps.append(
            [each["gap"] for each in audit if each["what"].endswith(", standardised") and "(" not in each["what"]]
        )

    assert np.shape(gaps) == (8, 3)
    assert np.sqrt(np.mean(np.square(gaps))) < rms
    assert np.max(gaps) < most


def test_the_coefficients_of_the_logistic_process_are_found_and_lie_within_their_intervals():
    found = taught(employees("logistic", 3, 0, 5_000)).report()["coefficients"]

    assert [each["term"] for each in found] == ["intercept", *FEATURES]
    for each, true in zip(found, [-1, 1.5, 1], strict=True):
        assert each["low"] < true < each["high"]
        assert each["high"] - each["low"] == pytest.approx(2 * 1.959964 * each["se"])
        assert each["odds_ratio"] == math.exp(each["estimate"])
        assert each["se_robust"] == pytest.approx(each["se"], rel=0.1)
    assert found[1]["se"] == pytest.approx(0.048, abs=0.005)


def test_of_40_streams_about_95_in_100_intervals_hold_the_true_coefficients():
    """Were the standard errors right, fewer than 34 of 40 would hold it once in a thousand times."""
    away = []
    for seed in range(40):
        found = taught(employees("logistic", 1_000 + seed, 0, 1_000)).report()["coefficients"]
        away.append([(each["estimate"] - true) / each["se"] for each, true in zip(found, [-1, 1.5, 1], strict=True)])
        held = [each["low"] < true < each["high"] for each, true in zip(found, [-1, 1.5, 1], strict=True)]
        assert held == (np.abs(away[-1]) < 1.959964).tolist()

    assert ((np.abs(away) < 1.959964).sum(axis=0) >= 34).all()
    assert np.sqrt(np.mean(np.square(away))) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("process", "most"), [*((process, 0.005) for process in BOUND), ("hard", 0.03)])
def test_after_a_thousand_rows_no_more_was_lost_than_by_batch_fits_made_again_and_again(process, most):
    """On a stream of each; from one to another it scatters by some thousandths, and the benchmark takes their mean."""
    rows = employees(process, 102, 0, 1_000)
    batch = [losses(rows, FEATURES, "promoted", squares=squares).mean() for squares in (False, True)]

    scores = taught(rows).report()["scores"]

    assert scores["log_loss_linear"] <= batch[0] + most
    assert scores["log_loss_squares"] <= batch[1] + most
    assert scores["log_loss"] <= min(batch) + most


@pytest.mark.parametrize(("process", "low", "high"), [("sum", 0, 0.2), ("interaction", 0.999, 1), ("max", 0.999, 1)])
def test_the_weight_of_the_squares_says_whether_a_straight_line_is_enough(process, low, high):
    report = taught(employees(process, 2, 0, 1_500)).report()

    assert low <= report["statistics"]["squares_weight"] <= high
    assert ("a straight line is not enough" in report["statistics"]["note"]) == (low > 0.5)
    better = "log_loss_squares" if low else "log_loss_linear"
    assert report["scores"]["log_loss"] <= report["scores"][better] + math.log(2) / 1_500 + 1e-9


def test_whether_a_straight_line_is_enough_is_not_known_before_one_model_is_likelier_by_far():
    known = {
        (process, rows): taught(employees(process, 2, 0, rows)).report()["statistics"]["is_straight"]
        for process, rows in (("sum", 5_000), ("interaction", 1_500), ("sum", 50), ("hard", 1_500))
    }

    assert list(known.values()) == [True, False, None, None]


def test_the_model_of_degree_two_is_said_on_the_features_own_scales():
    rows = employees("interaction", 5, 0, 3_000)
    moved = [each | {"competence": 50 + 15 * each["competence"]} for each in rows]

    of_unit, of_raw = (taught(each).report()["statistics"]["squares"] for each in (rows, moved))

    unit = {each["term"]: each["estimate"] for each in of_unit}
    raw = {each["term"]: each["estimate"] for each in of_raw}
    assert list(unit) == ["intercept", *FEATURES, "competence²", "network_ability²", "competence * network_ability"]
    assert unit["competence * network_ability"] == pytest.approx(1.5, abs=0.25)
    assert raw["competence * network_ability"] == pytest.approx(unit["competence * network_ability"] / 15, rel=1e-9)
    assert raw["network_ability"] == pytest.approx(
        unit["network_ability"] - 50 / 15 * unit["competence * network_ability"], rel=1e-9
    )


def test_features_on_other_scales_change_no_prediction():
    rows = employees("sum", 1, 0, 1_000)
    moved = [
        each | {"competence": 50 + 15 * each["competence"], "network_ability": 0.5 + 0.1 * each["network_ability"]}
        for each in rows
    ]

    unit, raw = taught(rows), taught(moved)

    assert raw.report()["scores"]["log_loss"] == pytest.approx(unit.report()["scores"]["log_loss"], rel=1e-9)
    assert estimates(raw)["competence"] == pytest.approx(estimates(unit)["competence"] / 15, rel=1e-9)
    assert raw.answer(moved[7]) == pytest.approx(unit.answer(rows[7]), rel=1e-9)


def test_it_never_learns_from_the_key():
    rows = employees("sum", 1, 0, 200)

    assert taught([each | {"id": 10**6 - each["id"]} for each in rows]).dump() == taught(rows).dump()
    with pytest.raises(ConfigurationError, match="the feed promotions has no column id"):
        build(spec(features=["competence", "id"]))


# Scores are of predictions made before the answer was seen.


class Peeking(Logit):
    """Learns a row first, and then scores what it says of it."""

    def learn(self, row: Row) -> None:
        outcome = bool(row["promoted"])
        self._twins.learn(self._values(row), outcome)
        self._scores.add(self.answer(row)["probability"] if self._scores.rows else 0.5, outcome)


def chances_of_both_outcomes(learner: Logit, rows: list[Row]) -> float:
    """The sum of the probabilities that the scores gave to a yes and to a no of each last row; 1 if it did not peek."""
    sums = []
    for each in rows:
        lost = []
        for outcome in (True, False):
            one = copy.deepcopy(learner)
            before = one.dump()["scores"]["sums"]["all"][3]
            one.learn({**each, "promoted": outcome})
            lost.append(one.dump()["scores"]["sums"]["all"][3] - before)
        sums.append(sum(math.exp(-each) for each in lost))
        learner.learn(each)
    return max(sums)


def test_a_row_is_scored_before_it_is_learned_and_who_peeks_is_caught():
    rows = employees("interaction", 4, 0, 60)
    peeking = Peeking(Params(target="promoted", features=FEATURES))

    assert chances_of_both_outcomes(logit(), rows) == pytest.approx(1, abs=1e-12)
    assert chances_of_both_outcomes(peeking, rows) > 1.01


def test_nothing_is_found_in_shuffled_outcomes():
    rows = employees("hard", 6, 0, 3_000)
    outcomes = [each["promoted"] for each in rows]
    np.random.default_rng(0).shuffle(outcomes)

    scores = taught([each | {"promoted": it} for each, it in zip(rows, outcomes, strict=True)]).report()["scores"]

    rate = scores["base_rate"]
    noise = 3 * math.sqrt(rate * (1 - rate) / 3_000)
    assert scores["accuracy"] <= scores["always_no_accuracy"] + noise
    assert scores["log_loss"] > -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    assert scores["auc"] == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_audit_finds_the_scores_that_were_counted(process):
    rows = employees(process, 9, 0, 2_000)

    audit = {each["what"]: each for each in taught(rows).audit(iter(rows))}

    assert audit["log_loss"]["gap"] < 1e-12
    assert 0 < audit["auc"]["gap"] < 5e-4 or audit["auc"]["streamed"] > 0.9999
    assert audit["auc"]["batch"] > 0.7


# Rows of every kind.


def test_before_any_row_it_says_that_it_knows_nothing():
    learner = logit()

    with pytest.raises(UntaughtError, match="nothing is known of promoted yet: no row was learned"):
        learner.answer(row(0, 0, False))
    assert learner.report()["coefficients"] == []
    assert learner.report()["scores"]["log_loss"] is None
    assert learner.view([]) == {"map": None, "line": None}
    assert learner.audit(iter([])) == []


def test_after_one_row_it_answers_with_all_its_doubt():
    answer = taught([row(3.0, 4.0, True)]).answer(row(3.0, 4.0, False))

    assert answer["rows"] == 1
    assert 0.5 < answer["probability"] < 0.95
    assert answer["low"] < 0.2
    assert answer["high"] > 0.99


def test_the_first_row_is_predicted_at_one_half_and_the_tenth_by_the_nine_before():
    rows = employees("hard", 1, 0, 10)

    scores = [taught(rows[:count]).report()["scores"]["log_loss"] * count for count in range(1, 11)]

    assert scores[0] == pytest.approx(math.log(2))
    of_nine = taught(rows[:9]).answer(rows[9])["probability"]
    assert scores[9] - scores[8] == pytest.approx(-math.log(of_nine if rows[9]["promoted"] else 1 - of_nine))


@pytest.mark.parametrize("outcome", [True, False])
def test_of_one_outcome_alone_it_says_so(outcome):
    learner = taught([each | {"promoted": outcome} for each in employees("sum", 1, 0, 600)])

    report = learner.report()

    assert report["statistics"]["note"] == (
        "promoted was the same in all 600 rows so far: nothing tells one from the other yet"
    )
    assert report["scores"]["auc"] is None
    assert (learner.answer(row(0, 0, False))["probability"] > 0.99) == outcome


def test_a_column_that_does_not_vary_teaches_nothing_and_harms_nothing():
    rows = employees("sum", 1, 0, 400)
    constant = [each | {"network_ability": 7.0} for each in rows]
    alone = taught(rows, features=["competence"])

    learner = taught(constant)

    assert learner.report()["scores"]["log_loss"] == pytest.approx(alone.report()["scores"]["log_loss"], abs=0.01)
    assert abs(learner._twins.density.mean[0, 2]) < 1e-9
    assert {each["unit"] for each in learner.audit(iter(constant))} == {"standard errors", "absolute"}


@settings(max_examples=60, deadline=None)
@given(rows_of_any_kind)
def test_no_row_however_extreme_leaves_a_covariance_that_is_none(rows):
    learner = taught(rows)

    density = learner._twins.density
    for model, size in (0, 3), (1, 6):
        covariance = density.covariance[model, :size, :size]
        assert (covariance == covariance.T).all()
        deviations = np.sqrt(covariance.diagonal())
        assert np.linalg.eigvalsh(covariance / np.outer(deviations, deviations)).min() > -1e-9
    if rows:
        answer = learner.answer(rows[0])
        assert 0 <= answer["low"] <= answer["high"] <= 1
        assert 0 <= answer["probability"] <= 1
        json.dumps(learner.view(rows), allow_nan=False)


def test_a_row_held_impossible_moves_the_belief_towards_it():
    terms = np.array([1.0, 1_000.0])
    density = AssumedDensity(np.array([[1.0, 1.0], [1.0, 1.0]]))
    density.mean[:] = [[0.0, -5.0], [0.0, -5.0]]
    density.covariance *= 1e-6

    chances = density.learn(terms, True)

    assert chances[0] < 1e-290
    assert density.mean[0, 1] == pytest.approx(-5 + 1e-6 * 1_000)


def parted(margin: float, threshold: float, seed: int, rows: int) -> list[Row]:
    """Of those whose qualities add up to more than the threshold all are promoted, and nobody is near it."""
    pairs = np.random.default_rng(seed).standard_normal((40 * rows, 2))
    far = pairs[np.abs(pairs.sum(axis=1) - threshold) >= margin][:rows].tolist()
    return [row(c, w, c + w > threshold) for c, w in far]


APART = "the two groups do not overlap; coefficient size is limited by the prior, not by the data"


@pytest.mark.parametrize(("margin", "threshold"), [(0, 1), (0.5, 1), (1, 1), (2, 1), (0, 3)])
def test_two_groups_that_a_line_parts_are_said_to_be_apart_however_far_and_however_rare(margin, threshold):
    for seed in range(2):
        learner, rows = logit(), parted(margin, threshold, seed, 6_000)
        for number, each in enumerate(rows, 1):
            learner.learn(each)
            if number >= 1_000 and number % 500 == 0:
                said = learner.report()["statistics"]
                assert (said["separated"], said["note"]) == (True, APART)


def test_groups_that_are_apart_are_said_to_be_so_before_500_rows_and_not_of_a_few_rows():
    of_few, of_more = (taught(parted(0.5, 1, 1, count)).report()["statistics"]["separated"] for count in (250, 400))

    assert (of_few, of_more) == (False, True)


@pytest.mark.parametrize("process", BOUND)
def test_groups_that_overlap_are_never_said_to_be_apart(process):
    for seed in range(5):
        learner = logit()
        for number, each in enumerate(employees(process, seed, 0, 2_000), 1):
            learner.learn(each)
            if number >= 300 and number % 20 == 0:
                said = learner.report()["statistics"]
                assert not said["separated"]
                assert "overlap" not in said["note"]


def test_a_rare_outcome_of_chance_is_not_taken_for_groups_that_are_apart():
    random = np.random.default_rng(2)
    rows = [row(c, w, random.random() < 0.01) for c, w in random.standard_normal((3_000, 2)).tolist()]

    report = taught(rows).report()

    assert report["scores"]["accuracy"] > 0.98
    assert (report["statistics"]["separated"], report["statistics"]["note"]) == (False, "")


def test_groups_that_overlap_by_a_tenth_of_a_deviation_are_said_to_hardly_overlap():
    random = np.random.default_rng(1)
    rows = [row(c, w, c + w + 0.1 * noise > 1) for c, w, noise in random.standard_normal((1_000, 3)).tolist()]

    said = taught(rows).report()["statistics"]

    assert (said["separated"], said["note"]) == (False, APART.replace("do not", "hardly"))


def test_rows_that_are_parted_in_many_dimensions_are_known_by_a_few_of_them():
    random = np.random.default_rng(1)
    rows, slopes = random.standard_normal((3_000, 20)), random.standard_normal(20)
    parted_rows, overlapping = Separation(), Separation()

    for place, features in enumerate(np.column_stack([np.ones(3_000), rows])):
        outcome = bool(features[1:] @ slopes > 1)
        parted_rows.see(features, outcome)
        overlapping.see(features, outcome != (place % 50 == 0))

    assert (parted_rows.overlaps, overlapping.overlaps) == (False, True)
    assert len(parted_rows.dump()["rows"]) <= MOST_ROWS
    assert overlapping.dump() == {"overlaps": True, "rows": []}


def test_the_audit_of_groups_that_a_line_parts_says_that_it_needed_the_prior():
    rows = employees("hard", 2, 0, 500)

    audit = taught(rows).audit(iter(rows))

    assert audit[1]["what"] == "competence, standardised, with the prior, without which there is no likeliest"
    assert math.isfinite(audit[1]["batch"])


# A world that changes.


def broken(seed: int = 1) -> list[Row]:
    """The rule turns round after 2,000 rows."""
    after = [each | {"promoted": not each["promoted"]} for each in employees("sum", seed + 100, 0, 1_000)]
    return employees("sum", seed, 0, 2_000) + after


def test_the_alarm_rings_soon_after_a_break_and_not_before():
    drift = taught(broken()).report()["statistics"]["drift"]

    assert drift["alarm"]
    assert drift["alarms"] >= 1
    assert "`forget` below 1" in taught(broken()).report()["statistics"]["note"]
    assert 2_000 < taught(broken()[:2_100]).report()["statistics"]["drift"]["row"] < 2_100
    for process in PROCESSES:
        assert not taught(employees(process, 3, 0, 2_000)).report()["statistics"]["drift"]["alarm"]


def test_the_alarm_adds_up_what_is_beyond_the_mean_and_the_tolerance():
    alarm = PageHinkley()

    for loss in [0.2] * 100:
        alarm.add(loss)
    assert alarm.report() == {"alarm": False, "alarms": 0, "row": None, "level": 0.0}

    for loss in [1.2] * 60:
        alarm.add(loss)
    assert alarm.report()["alarms"] == 1
    assert 130 < alarm.report()["row"] < 160


def test_forgetting_follows_a_break_sooner_and_costs_a_little_without_one():
    steady = employees("logistic", 1, 0, 3_000)

    after_break = [taught(broken(), forget=forget).report()["scores"]["recent_log_loss"] for forget in (1, 0.99)]
    without = [taught(steady, forget=forget).report()["scores"]["log_loss"] for forget in (1, 0.99)]

    assert after_break[1] < after_break[0] - 0.08
    assert without[0] < without[1] < without[0] + 0.03


def test_where_old_rows_fade_the_robust_errors_are_of_the_rows_that_are_left():
    """The two are of one size where the model is right; weights that fade leave √½ of it."""
    found = taught(employees("logistic", 5, 0, 20_000), forget=0.999).report()["coefficients"]

    for each in found:
        assert 0.5 < each["se_robust"] / each["se"] < 1


@pytest.mark.parametrize("forget", [0.9, 0.95, 0.99])
def test_what_remembers_few_rows_does_not_take_the_pull_of_its_prior_for_groups_that_hardly_overlap(forget):
    learner = logit(forget=forget)

    for number, each in enumerate(employees("logistic", 5, 0, 2_000), 1):
        learner.learn(each)
        if number >= 300 and number % 50 == 0:
            said = learner.report()["statistics"]
            assert not said["separated"]
            assert "overlap" not in said["note"]


def test_after_a_break_it_recommends_to_forget_only_where_nothing_is_forgotten():
    remembering, forgetting = (taught(broken(), forget=forget).report()["statistics"] for forget in (1, 0.999))

    assert remembering["drift"]["alarm"]
    assert forgetting["drift"]["alarm"]
    assert remembering["note"].endswith("`forget` below 1 (such as 0.999) follows a world that changes")
    assert forgetting["note"].endswith("with `forget` at 0.999, what was before fades within some 1,000 rows")


def test_however_much_is_forgotten_no_variance_exceeds_its_prior():
    learner = taught(employees("sum", 1, 0, 500), forget=0.9)

    for _ in range(300):
        learner.learn(row(0.1, 0.1, False))

    prior = np.array([[25, 6.25, 6.25, 0, 0, 0], [25, 6.25, 6.25, 1, 1, 1]])
    assert (learner._twins.density.covariance.diagonal(axis1=1, axis2=2) <= prior * (1 + 1e-12)).all()
    assert learner._twins.density.covariance[0, 1, 1] > 1


# What the page shows.


def test_the_map_covers_the_recent_rows_and_says_what_answers_say():
    rows = employees("interaction", 1, 0, 2_000)
    learner = taught(rows)

    drawn = learner.view(rows[-400:])["map"]

    assert drawn["x"]["column"] == "competence"
    assert drawn["x"]["from"] == min(each["competence"] for each in rows[-400:])
    assert drawn["y"]["to"] == max(each["network_ability"] for each in rows[-400:])
    assert np.shape(drawn["probability"]) == (drawn["rows"], drawn["columns"]) == (24, 32)
    corner = row(drawn["x"]["to"], drawn["y"]["from"], False)
    assert drawn["probability"][0][-1] == pytest.approx(learner.answer(corner)["probability"], abs=6e-5)


def test_on_the_line_of_one_half_the_straight_model_says_one_half():
    learner = taught(employees("sum", 1, 0, 2_000))

    line = learner.view([])["line"]

    assert line["slope"] == pytest.approx(-1, abs=0.15)
    assert line["intercept"] == pytest.approx(1, abs=0.1)
    found = estimates(learner)
    at = line["intercept"] + line["slope"] * 0.3
    assert found["intercept"] + found["competence"] * 0.3 + found["network_ability"] * at == pytest.approx(0, abs=1e-9)


def test_with_one_feature_there_is_no_map_and_with_three_the_third_is_at_its_centre():
    rows = [each | {"third": float(each["id"] % 7)} for each in employees("sum", 1, 0, 300)]
    three = taught(rows, features=[*FEATURES, "third"])

    assert taught(rows, features=["competence"]).view(rows) == {"map": None, "line": None}
    assert three.view(rows)["line"] is None
    drawn = three.view(rows)["map"]
    centre = three.report()["statistics"]["scale"]["third"]["centre"]
    corner = row(drawn["x"]["from"], drawn["y"]["from"], False) | {"third": centre}
    assert drawn["probability"][0][0] == pytest.approx(three.answer(corner)["probability"], abs=6e-5)


def test_the_interval_of_an_answer_narrows_as_rows_are_learned():
    rows = employees("logistic", 1, 0, 4_000)
    few, many = (taught(rows[:count]).answer(row(1, 1, False)) for count in (250, 4_000))

    true = 1 / (1 + math.exp(-1.5))
    assert many["low"] < true < many["high"]
    assert (few["high"] - few["low"]) / (many["high"] - many["low"]) == pytest.approx(4, rel=0.35)


def test_terms_are_made_alike_for_one_row_and_for_many():
    terms = Terms.of([[1.0, 10.0, 3.0], [2.0, 30.0, 3.0], [6.0, 20.0, 3.0]])
    rows = np.array([[1.5, 12.0, 3.0], [1e300, -7.0, 5.0]])

    assert (terms.expand_all(rows) == [terms.expand(each) for each in rows.tolist()]).all()
    assert len(terms) == 10


# What the entry may say.


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"target": "wealth"},
            "the feed promotions has no column wealth; it has competence, network_ability, promoted, team",
        ),
        ({"target": "competence"}, "the column competence of the feed promotions is a number; logit needs a boolean"),
        ({"features": ["team"]}, "the column team of the feed promotions is a text; logit needs a number or boolean"),
        ({"features": ["promoted"]}, "the features of promoted must be other columns, each named once"),
        ({"features": ["competence", "competence"]}, "the features of promoted must be other columns, each named once"),
        ({"forget": 1.5}, "the learner promotion of promotions cannot be used: forget"),
        ({"colour": "red"}, "the learner promotion of promotions cannot be used: colour"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_in_plain_words(entry, words):
    with pytest.raises(ConfigurationError, match=words):
        build(spec(**entry))


def test_a_learner_is_built_by_its_entry():
    learner = build(spec(slope_sd=1.0, standardise_rows=20))["promotion"]

    for each in employees("sum", 1, 0, 19):
        learner.learn(each)

    assert len(learner.dump()["twins"]["first"]) == 19
    with pytest.raises(ValidationError):
        Params(target="promoted", features=())
