import numpy as np
import pandas as pd
import pytest

from diamonds.features import (
    MEASURED,
    PARTLY,
    SHAPE_IS_MADE_OF,
    UNKNOWN,
    Proportions,
    one_hot_shares,
    one_hot_with,
    ranks_and_shape,
    ranks_and_shape_shares,
    shape,
)
from diamonds.schema import FEATURES, GRADES, MEASUREMENTS

ROUND = {
    "carat": 1.0,
    "cut": "Ideal",
    "color": "E",
    "clarity": "VS1",
    "depth": 60.0,
    "table": 56.0,
    "x": 6.0,
    "y": 6.4,
    "z": 3.72,
}


def test_shape_says_how_a_stone_is_built():
    row = shape(pd.DataFrame([ROUND])).iloc[0]

    assert row["volume"] == pytest.approx(6.0 * 6.4 * 3.72)
    assert row["density"] == pytest.approx(1 / (6.0 * 6.4 * 3.72))
    assert row["diameter"] == pytest.approx(6.2)
    assert row["elongation"] == pytest.approx(6.0 / 6.4)
    assert row["depth_gap"] == pytest.approx(0.0)


def test_ranks_rise_from_the_worst_grade_to_the_best(stones):
    transformer = ranks_and_shape().fit(stones[list(FEATURES)])
    worst = pd.DataFrame([ROUND | {"cut": "Fair", "color": "J", "clarity": "I1"}])
    best = pd.DataFrame([ROUND | {"cut": "Ideal", "color": "D", "clarity": "IF"}])

    assert transformer.transform(worst)[0, :3].tolist() == [0, 0, 0]
    assert transformer.transform(best)[0, :3].tolist() == [4, 6, 7]


def test_one_hot_leaves_out_each_factors_worst_grade(stones):
    matrix = (
        one_hot_with(["carat"])
        .fit(stones[list(FEATURES)])
        .transform(pd.DataFrame([ROUND | {"cut": "Fair", "color": "J", "clarity": "I1"}]))
    )

    assert matrix.shape == (1, 4 + 6 + 7 + 1)
    assert matrix[0].tolist() == [0.0] * 17 + [1.0]


@pytest.mark.parametrize("feature", FEATURES)
def test_a_column_changes_with_just_the_features_it_is_said_to_be_made_of(stones, feature):
    other = {"cut": "Fair", "color": "J", "clarity": "I1"}.get(feature) or ROUND[feature] * 1.1
    pair = pd.DataFrame([ROUND, ROUND | {feature: other}])
    place = FEATURES.index(feature)

    ranks = ranks_and_shape().fit_transform(pair)
    one_hot = one_hot_with(["carat", "x"]).fit_transform(pair)

    assert ((ranks[0] != ranks[1]) == (ranks_and_shape_shares()[:, place] > 0)).all()
    assert not (one_hot[0] != one_hot[1])[one_hot_shares(["carat", "x"])[:, place] == 0].any()
    assert (one_hot[0] != one_hot[1]).any() == (feature in {"carat", "x", "cut", "color", "clarity"})


def test_each_column_is_divided_wholly_and_equally():
    shares = ranks_and_shape_shares()

    assert shares.sum(axis=1).tolist() == pytest.approx([1.0] * 14)
    assert dict(zip(FEATURES, shares[10], strict=True)) == dict.fromkeys(FEATURES, 0.0) | dict.fromkeys(
        ("carat", "x", "y", "z"), 0.25
    )
    assert list(SHAPE_IS_MADE_OF) == list(shape(pd.DataFrame([ROUND])).columns)


def test_known_measurements_stay_as_they_are(stones):
    complete = Proportions.of(stones).complete(stones)

    assert complete.equals(stones)


@pytest.mark.parametrize(
    "missing", [[name] for name in MEASUREMENTS] + [["x", "y"], ["x", "y", "z"], ["depth", "z"], list(MEASUREMENTS)]
)
def test_what_is_missing_is_estimated_close_to_what_was_measured(stones, missing):
    proportions = Proportions.of(stones)
    hidden = stones.assign(**dict.fromkeys(missing, np.nan))

    complete = proportions.complete(hidden)

    assert not complete.isna().any().any()
    for column in missing:
        typical_miss = ((complete[column] / stones[column]) - 1).abs().median()
        assert typical_miss < {"table": 0.03, "depth": 0.02}.get(column, 0.012), column


def test_estimates_use_what_is_known_before_what_is_usual():
    proportions = Proportions({cut: {"depth": 61.8, "table": 57.0, "density": 0.0061} for cut in GRADES["cut"]})
    stone = pd.DataFrame([ROUND | {"z": np.nan}])
    without_depth = pd.DataFrame([ROUND | {"depth": np.nan}])

    assert proportions.complete(stone)["z"].iloc[0] == pytest.approx(0.60 * 6.2)
    assert proportions.complete(without_depth)["depth"].iloc[0] == pytest.approx(60.0)
    assert proportions.complete(pd.DataFrame([ROUND | {"y": np.nan, "z": np.nan}]))["y"].iloc[0] == 6.0
    assert proportions.complete(pd.DataFrame([ROUND | {"x": np.nan}]))["x"].iloc[0] == 6.4


def test_a_cut_that_was_never_seen_gets_the_proportions_of_all(stones):
    proportions = Proportions.of(stones[stones["cut"] != "Fair"])

    assert proportions.by_cut["Fair"]["table"] == stones[stones["cut"] != "Fair"]["table"].median()


@pytest.mark.parametrize(
    ("missing", "guessed"),
    [
        ([], MEASURED),
        (["table"], MEASURED),
        (["depth"], MEASURED),
        (["z"], MEASURED),
        (["x"], PARTLY),
        (["y", "z"], PARTLY),
        (["x", "y"], PARTLY),
        (["depth", "z"], PARTLY),
        (["x", "y", "z"], PARTLY),
        (["x", "y", "depth"], PARTLY),
        (["x", "y", "z", "depth"], UNKNOWN),
        (list(MEASUREMENTS), UNKNOWN),
    ],
)
def test_how_much_of_a_size_is_guessed_follows_from_what_was_measured(missing, guessed):
    stone = pd.DataFrame([ROUND]).assign(**dict.fromkeys(missing, np.nan))

    assert Proportions.guesses(stone).tolist() == [guessed]
    assert Proportions.guesses_one({field: ROUND[field] for field in ROUND if field not in missing}) == guessed
