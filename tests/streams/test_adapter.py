import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.base import Classifier
from river.linear_model import LogisticRegression
from sklearn.linear_model import SGDClassifier

from diamonds.errors import ConfigurationError, UntaughtError
from diamonds.streams.feeding.generators import employees
from diamonds.streams.learners import build
from diamonds.streams.learners.adapter import Adapter
from diamonds.streams.spec import FeedSpec, Row

FEATURES = ("competence", "network_ability")
SGD = {"class": "sklearn.linear_model.SGDClassifier", "params": {"loss": "log_loss", "random_state": 0}}
RIVER = {"class": "river.linear_model.LogisticRegression"}
TREE = {
    "class": "river.tree.HoeffdingTreeRegressor",
    "target": "network_ability",
    "features": ["competence", "promoted"],
}
RIDING = {
    "scikit-learn": SGD,
    "river": RIVER,
    "a yes or no": {"class": "sklearn.linear_model.Perceptron", "params": {"random_state": 0}},
    "numbers by scikit-learn": TREE | {"class": "sklearn.linear_model.SGDRegressor", "params": {"random_state": 0}},
    "numbers by river": TREE,
}


def riding(entry: dict) -> Adapter:
    columns = {name: {"type": "number"} for name in FEATURES} | {
        "promoted": {"type": "boolean"},
        "team": {"type": "text"},
    }
    learner = {"kind": "adapter", "target": "promoted", "features": list(FEATURES)} | entry
    spec = {"name": "promotions", "url": "http://127.0.0.1:5000", "columns": columns, "learners": {"rider": learner}}
    return build(FeedSpec.model_validate(spec))["rider"]


def taught(entry: dict, rows: list[Row]) -> Adapter:
    learner = riding(entry)
    for row in rows:
        learner.learn(row)
    return learner


def mean_loss(chances: list[float], rows: list[Row]) -> float:
    return -float(np.mean([math.log(p if row["promoted"] else 1 - p) for p, row in zip(chances, rows, strict=True)]))


def test_scikit_learns_scores_are_those_of_a_loop_that_predicts_and_then_learns():
    rows, estimator, chances = employees("sum", 1, 0, 300), SGDClassifier(loss="log_loss", random_state=0), [0.5]
    for row in rows:
        values = np.array([[row["competence"], row["network_ability"]]])
        if row is not rows[0]:
            chances.append(estimator.predict_proba(values)[0, 1])
        estimator.partial_fit(values, [int(row["promoted"])], classes=[0, 1])

    learner = taught(SGD, rows)

    chances = np.clip(chances, 1e-15, 1 - 1e-15).tolist()
    assert learner.report()["scores"]["log_loss"] == pytest.approx(mean_loss(chances, rows), rel=1e-9)
    assert (
        learner.answer(rows[5])["probability"]
        == estimator.predict_proba(np.array([[rows[5]["competence"], rows[5]["network_ability"]]]))[0, 1]
    )


def test_rivers_scores_are_those_of_a_loop_that_predicts_and_then_learns():
    rows, estimator, chances = employees("sum", 1, 0, 300), LogisticRegression(), []
    for row in rows:
        values = {name: row[name] for name in FEATURES}
        chances.append(estimator.predict_proba_one(values)[True])
        estimator.learn_one(values, row["promoted"])

    scores = taught(RIVER, rows).report()["scores"]

    assert scores["log_loss"] == pytest.approx(mean_loss(chances, rows), rel=1e-12)
    assert scores["rows"] == 300


@pytest.mark.parametrize("entry", RIDING.values(), ids=RIDING)
def test_learning_the_stored_rows_again_gives_what_never_having_stopped_gives(entry):
    rows = employees("sum", 2, 0, 250)
    straight = taught(entry, rows)

    resumed = riding(entry)
    resumed.load(json.loads(json.dumps(taught(entry, rows[:120]).dump())))
    for row in rows:
        resumed.learn(row)

    assert resumed.needs_replay
    assert json.dumps(resumed.dump()) == json.dumps(straight.dump())
    assert [resumed.answer(row) for row in rows[:20]] == [straight.answer(row) for row in rows[:20]]
    assert {gap["gap"] for gap in straight.audit(iter(rows))} == {0.0}


def test_loading_forgets_what_was_learned():
    rows = employees("sum", 2, 0, 50)
    learner = taught(SGD, rows)

    learner.load(learner.dump())

    assert learner.report()["scores"]["rows"] == 0
    with pytest.raises(UntaughtError, match="nothing is known of promoted yet"):
        learner.answer(rows[0])


def test_an_estimator_that_draws_by_chance_is_found_out_by_the_audit():
    forest = {"class": "river.forest.ARFClassifier", "params": {"n_models": 3}}
    rows = employees("interaction", 2, 0, 150)

    gaps = taught(forest, rows).audit(iter(rows))

    assert max(gap["gap"] for gap in gaps) > 0


def test_a_row_is_scored_before_it_is_learned():
    rows = employees("sum", 3, 0, 40)

    for count in (0, 1, 39):
        before, lost = taught(RIVER, rows[:count]), []
        for outcome in (True, False):
            after = taught(RIVER, [*rows[:count], {**rows[count], "promoted": outcome}])
            sums = [learner.dump()["scores"]["sums"]["all"][3] for learner in (before, after)]
            lost.append(sums[1] - sums[0])
        assert sum(math.exp(-each) for each in lost) == pytest.approx(1, abs=1e-12)


def test_numbers_are_scored_by_their_errors_beside_the_mean():
    rows = employees("chain", 1, 0, 2_000)

    learner = taught(TREE, rows)

    scores = learner.report()["scores"]
    assert scores["rows"] == 2_000
    assert 0 < scores["r2"] < 0.4
    assert 0.9 < scores["rmse"] < 1.2
    assert math.isfinite(learner.answer(rows[0])["estimate"])
    assert "calibration" not in learner.report()["statistics"]


def test_who_says_only_yes_or_no_has_an_accuracy_and_no_log_loss():
    report = taught(RIDING["a yes or no"], employees("hard", 1, 0, 300)).report()

    assert report["scores"]["accuracy"] > 0.9
    assert report["scores"]["log_loss"] is report["scores"]["auc"] is report["scores"]["recent_brier"] is None
    calibration = taught(RIVER, employees("hard", 1, 0, 300)).report()["statistics"]["calibration"]
    assert sum(each["rows"] for each in calibration) == 300


def test_a_row_that_it_cannot_take_is_counted_and_the_others_go_on():
    rows = employees("sum", 1, 0, 50)
    rows[7] = rows[7] | {"competence": 1.7e308}

    report = taught(SGD, rows).report()

    assert report["scores"]["rows"] == 50
    assert report["statistics"]["refused"] >= 1
    assert report["statistics"]["note"].startswith(f"at {report['statistics']['refused']} rows it failed; row 8: ")


class Failing(LogisticRegression):
    """Predicts no row whose network is poor, and learns none whose competence is above 1."""

    def predict_proba_one(self, x):
        if x["network_ability"] < -1:
            raise RuntimeError("too poor\na network")
        return super().predict_proba_one(x)

    def learn_one(self, x, y):
        if x["competence"] > 1:
            raise RuntimeError
        super().learn_one(x, y)


def test_whatever_an_estimator_raises_the_stream_goes_on_and_each_row_is_counted_once():
    rows = employees("sum", 1, 0, 400)

    learner = taught({"class": f"{__name__}.Failing"}, rows)

    report = learner.report()
    failed = [number for number, row in enumerate(rows, 1) if row["competence"] > 1 or row["network_ability"] < -1]
    why = "RuntimeError" if rows[failed[0] - 1]["competence"] > 1 else "too poor a network"
    assert 100 < len(failed) < 150
    assert report["statistics"]["note"] == f"at {len(failed)} rows it failed; row {failed[0]}: {why}"
    assert report["scores"]["rows"] == 400
    assert learner.answer({"competence": 0.0, "network_ability": -2.0})["probability"] == 0.5
    assert learner.report() == report, "being asked changes nothing"


class Deciding(Classifier):
    """Says yes or no, as river's voting does, and has no probabilities of its own."""

    def __init__(self):
        self.yeses = 0

    def learn_one(self, x, y):
        self.yeses += 1 if y else -1

    def predict_one(self, x):
        return self.yeses > 0


def test_a_classifier_of_rivers_without_probabilities_says_yes_or_no():
    rows = employees("sum", 1, 0, 300)

    learner = taught({"class": f"{__name__}.Deciding"}, rows)

    scores = learner.report()["scores"]
    assert scores["log_loss"] is scores["auc"] is None
    assert scores["accuracy"] == pytest.approx(scores["always_no_accuracy"], abs=0.02)
    assert learner.report()["statistics"]["refused"] == 0


def test_rivers_factorisation_machines_learn():
    machine = TREE | {"class": "river.facto.FMRegressor", "params": {"seed": 1}, "features": ["competence"]}

    report = taught(machine, employees("chain", 1, 0, 2_000)).report()

    assert report["statistics"]["refused"] == 0
    assert report["scores"]["r2"] > 0.03, "a line explains 0.06 of it"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1.7e308, 1.7e308), max_size=12))
def test_scores_of_any_numbers_can_be_written_as_json(numbers):
    rows = [{"id": 1, "competence": 1.0, "promoted": True, "network_ability": number} for number in numbers]

    learner = taught(RIDING["numbers by river"], rows)

    json.dumps([learner.dump(), learner.report()], allow_nan=False)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"class": "sklearn.linear_model.Nothing"}, "there is no class sklearn.linear_model.Nothing"),
        ({"class": "Nothing"}, "there is no class Nothing"),
        ({"class": "nowhere.Nothing"}, "its library must be installed"),
        ({"class": "sklearn.linear_model.LogisticRegression"}, "it has neither partial_fit nor learn_one"),
        (
            {"class": "sklearn.preprocessing.StandardScaler"},
            "learns row by row and predicts nothing: it has no predict$",
        ),
        ({"class": "river.preprocessing.StandardScaler"}, "predicts nothing: it has no predict_one$"),
        ({"class": "river.anomaly.HalfSpaceTrees"}, "predicts nothing: it has no predict_one$"),
        ({"class": "json.dumps"}, "json.dumps is no class"),
        ({"class": "river.linear_model.LinearRegression"}, "predicts a column of numbers, and the target is another"),
        (
            TREE | {"class": "sklearn.linear_model.SGDClassifier"},
            "predicts a boolean column, and the target is another",
        ),
        (SGD | {"params": {"colour": 1}}, "cannot be made of the params {'colour': 1}"),
        (SGD | {"features": ["id"]}, "the feed promotions has no column id"),
        (SGD | {"features": ["team"]}, "the adapter takes numbers and booleans; team of promotions is text"),
        (SGD | {"features": ["promoted"]}, "the features of promoted must be other columns"),
        (SGD | {"colour": "red"}, "the learner rider of promotions cannot be used: colour"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_in_plain_words(entry, words):
    with pytest.raises(ConfigurationError, match=words):
        riding(entry)
