import dataclasses
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest

from diamonds import models
from diamonds.errors import ArtefactError
from diamonds.features import NUMBERS, Proportions, only_four_cs
from diamonds.intervals import ConformalBand
from diamonds.pricer import Pricer, TrainingSummary, load, save
from diamonds.schema import FEATURES, MEASUREMENTS, REQUIRED
from diamonds.stones import SortedStones
from project import STONE


def make(stones, estimator=None):
    module = models.get("linear")
    estimator = estimator or module.build(module.Params()).fit(stones[list(FEATURES)], stones["price"])
    band, guessed_band = ConformalBand(0.9, {"any": (0.5, 2.0)}), ConformalBand(0.9, {"any": (0.25, 4.0)})
    return Pricer(
        "linear",
        estimator,
        band,
        guessed_band,
        Proportions.of(stones),
        TrainingSummary.of(stones, {}, "f"),
        SortedStones.of(stones),
    )


@pytest.fixture(scope="module")
def pricer(stones):
    return make(stones)


@pytest.fixture
def saved(pricer, tmp_path):
    save(pricer, tmp_path / "saved", version="v1")
    return tmp_path / "saved"


def test_a_price_lies_in_its_band_in_whole_cents(pricer, stones):
    priced = pricer.price(stones)

    assert (priced["low"] <= priced["price"]).all()
    assert (priced["price"] <= priced["high"]).all()
    assert priced.equals(priced.round(2))


def test_prices_with_estimated_measurements_are_close_to_those_with_measured_ones(pricer, stones):
    four_cs = stones.assign(**dict.fromkeys(MEASUREMENTS, np.nan))

    ratio = pricer.price(four_cs)["price"] / pricer.price(stones)["price"]

    assert ratio.sub(1).abs().median() < 0.05


def test_a_guessed_size_has_the_wider_band_and_a_measured_one_the_narrower(pricer):
    four_cs = STONE | dict.fromkeys(MEASUREMENTS, np.nan)
    asked = pd.DataFrame([STONE, four_cs, STONE | {"table": np.nan}])

    priced = pricer.price(asked)

    assert (priced["high"] / priced["price"]).round(3).tolist() == [2.0, 4.0, 2.0]
    assert (priced["low"] / priced["price"]).round(3).tolist() == [0.5, 0.25, 0.5]


def test_a_stone_of_which_a_side_is_missing_has_the_band_that_was_learned_for_such(pricer):
    asked = pd.DataFrame([STONE | {"x": np.nan}])

    learned = dataclasses.replace(pricer, partly_band=ConformalBand(0.9, {"any": (0.4, 3.0)}))

    assert (learned.price(asked)["high"] / learned.price(asked)["price"]).round(3).item() == 3.0
    assert (learned.price(asked)["low"] / learned.price(asked)["price"]).round(3).item() == 0.4
    assert (pricer.price(asked)["high"] / pricer.price(asked)["price"]).round(3).item() == 4.0
    assert learned.quote(STONE | {"x": None}) == tuple(learned.price(asked).iloc[0])


def test_cents_are_rounded_alike_for_one_stone_and_for_many(stones):
    """Python's own `round(…, 2)` would make other cents of many a half one."""
    thousand = models.get("median").build(None).fit([[0.0]], [1000.0])
    pricer = dataclasses.replace(make(stones, thousand), name="median")

    for half in np.arange(0.205, 3.0, 0.01).tolist():
        wide = dataclasses.replace(pricer, band=ConformalBand(0.9, {"any": (half / 1000, 1.0)}))
        assert wide.quote(STONE) == tuple(wide.price(pd.DataFrame([STONE])).iloc[0])


class Negative:
    """Computes less than nothing."""

    def predict(self, stones):
        return np.full(len(stones), -500.0)


class PerCarat:
    """Prices a stone by its weight alone."""

    def predict(self, stones):
        return stones["carat"].to_numpy() * 5000


def test_no_price_is_below_a_dollar(stones):
    priced = make(stones, Negative()).price(stones.head(3))

    assert priced["price"].tolist() == [1.0, 1.0, 1.0]
    assert (priced["low"] > 0).all()


def test_an_explanation_names_the_effects_on_what_is_quoted(pricer, stones):
    asked = pd.DataFrame([STONE, STONE | {"color": "J"}])

    first, second = pricer.explain(asked)

    assert [first.price, second.price] == pricer.price(asked)["price"].tolist()
    assert first.base_price == second.base_price == round(np.exp(np.log(stones["price"]).mean()), 2)
    assert {effect.feature: effect.value for effect in first.effects} == STONE
    assert next(effect for effect in first.effects if effect.feature == "depth").factor == 1.0


def test_an_explanation_shows_estimates_where_nothing_was_measured(pricer):
    (explained,) = pricer.explain(only_four_cs(pd.DataFrame([STONE])))

    x = next(effect.value for effect in explained.effects if effect.feature == "x")
    assert x == pytest.approx(6.4, rel=0.02)


def test_explaining_no_stones_gives_no_explanations(pricer, stones):
    assert pricer.explain(stones.head(0)) == []


def test_what_only_depends_on_the_pricer_is_computed_once(pricer, stones):
    fresh = dataclasses.replace(pricer)
    fresh.explain(stones.head(1))
    explainer = fresh._explainer

    fresh.explain(stones.head(2))

    assert fresh._explainer is explainer


@pytest.mark.parametrize("name", ["linear", "forest"])
def test_a_pricer_whose_model_is_no_longer_there_is_explained_all_the_same(stones, name):
    """Its module may be gone, or make other estimators by now."""
    pricer = dataclasses.replace(make(stones, PerCarat()), name=name)

    (explained,) = pricer.explain(pd.DataFrame([STONE]))

    assert explained.price == 5000.0
    assert explained.effects[0].feature == "carat"
    assert explained.effects[0].usd == round(5000.0 - explained.base_price, 2)


def test_a_price_that_is_raised_to_a_dollar_is_explained(stones):
    (explained,) = make(stones, Negative()).explain(stones.head(1))

    assert (explained.base_price, explained.price) == (1.0, 1.0)
    assert {(effect.factor, effect.usd) for effect in explained.effects} == {(1.0, 0.0)}


class Endless:
    """Computes more than a number can hold."""

    def predict(self, stones):
        return np.full(len(stones), np.inf)


def test_no_price_is_above_what_can_be_a_price(stones):
    priced = make(stones, Endless()).price(stones.head(3))

    assert priced["price"].tolist() == [100_000_000.0] * 3
    assert np.isfinite(priced.to_numpy()).all()


@pytest.mark.parametrize("odd", [{"x": 60.0}, {"x": 1000.0}, {"z": 100.0, "depth": 0.01, "x": np.nan, "y": np.nan}])
def test_stones_of_impossible_measures_are_explained_to_the_cent(pricer, odd):
    asked = pd.DataFrame([STONE | odd])

    (why,) = pricer.explain(asked)

    assert why.price == pricer.price(asked)["price"].item() == 100_000_000
    assert round(sum(round(100 * effect.usd) for effect in why.effects)) == round(100 * (why.price - why.base_price))
    assert math.prod(effect.factor for effect in why.effects) * why.base_price == pytest.approx(why.price)


def test_no_band_begins_at_nothing(stones):
    """Its width would be endless, which JSON cannot hold."""
    wide = dataclasses.replace(make(stones), band=ConformalBand(0.9, {"any": (1e-9, 2.0)}))

    assert wide.price(stones)["low"].min() == 0.01


def test_what_was_not_given_is_named(pricer):
    assert pricer.assumed({"carat": 1.0, "x": 6.4, "depth": None}) == ["depth", "table", "y", "z"]
    assert pricer.assumed(STONE) == []


def test_what_lies_beyond_the_training_data_is_named(pricer, stones):
    assert pricer.outside(STONE) == []
    assert pricer.outside({"carat": stones["carat"].max() + 0.01, "table": 20.0}) == ["carat", "table"]


def test_a_size_that_contradicts_the_weight_is_named(pricer):
    """It may lie inside the range of the training data all the same."""
    four_cs = {field: STONE[field] for field in REQUIRED}

    assert pricer.outside(four_cs | {"carat": 1.1, "x": 4.0}) == ["x"]
    assert pricer.outside(four_cs | {"carat": 1.1, "x": 6.6}) == []
    assert pricer.outside(four_cs | {"carat": 0.3, "x": 9.0, "z": 2.7}) == ["x"]


def test_a_depth_that_contradicts_the_sizes_is_named(pricer):
    assert pricer.outside(STONE | {"depth": 68.0}) == ["depth"]
    assert pricer.outside(STONE | {"depth": 62.0}) == []


def test_without_anything_learned_about_agreement_a_gross_contradiction_is_named():
    summary = TrainingSummary("f", 1, {}, dict.fromkeys(NUMBERS, (0.0, 100.0)))

    assert summary.outside({"carat": 0.3, "x": 8.5, "y": 1.1, "z": 5.2, "depth": 10.0}) == []
    assert summary.outside({"carat": 0.3, "x": 8.7, "y": 1.0, "z": 5.4, "depth": 10.0}) == ["x", "y", "z"]


def test_hardly_any_stone_that_was_not_learned_from_contradicts_itself(classic):
    train, honest = classic.iloc[::5], classic.drop(classic.index[::5])
    summary = TrainingSummary.of(train, {}, "f")
    everything = dict.fromkeys(summary.ranges, (0.0, np.inf))

    named = dataclasses.replace(summary, ranges=everything).outside_many(honest)

    assert 0 < sum(map(bool, named)) / len(named) < 0.002


def test_what_is_outside_is_the_same_for_one_stone_and_for_many(pricer, classic):
    strange = classic.sample(2000, random_state=7).assign(carat=lambda stones: stones["carat"] * 2)
    rng = np.random.default_rng(7)
    for measurement in MEASUREMENTS:
        strange.loc[rng.random(len(strange)) < 0.3, measurement] = np.nan

    many = pricer.outside_many(strange)

    described = [_without_gaps(stone) for stone in strange.to_dict("records")]
    assert many == [pricer.outside(stone) for stone in described]
    assert {"carat", "depth", "x", "y", "z"} <= {field for fields in many for field in fields}


def _without_gaps(stone):
    return {field: value for field, value in stone.items() if pd.notna(value)}


def test_saving_never_overwrites(pricer, saved):
    with pytest.raises(ArtefactError, match="a saved pricer is never changed"):
        save(pricer, saved, version="v2")


def test_a_save_that_fails_leaves_nothing_behind(pricer, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ArtefactError, match="could not be written"):
        save(pricer, tmp_path / "file" / "saved", version="v1")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_pricer_is_said_to_be_missing(tmp_path):
    with pytest.raises(ArtefactError, match=r"there is no saved pricer at .*nowhere: manifest.json is missing"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["pricer.json", "grades.json", "carats.npy", "numbers.npy", "estimator.json"])
def test_a_changed_byte_is_refused_by_the_name_of_its_part(saved, part):
    content = bytearray((saved / part).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / part).write_bytes(content)

    with pytest.raises(ArtefactError, match=f"{part} was changed after it was saved"):
        load(saved)


def test_a_missing_or_an_extra_part_is_refused_by_its_name(saved, tmp_path):
    extra = tmp_path / "extra"
    shutil.copytree(saved, extra)
    (extra / "more.json").write_text("{}")
    (saved / "pricer.json").unlink()

    with pytest.raises(ArtefactError, match=r"incomplete: 'pricer.json' missing"):
        load(saved)
    with pytest.raises(ArtefactError, match=r"does not name: 'more.json'"):
        load(extra)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 1, "parts": []}',
        b'{"format": 1, "parts": {}}',
        b'{"format": 99, "parts": {}}',
    ],
)
def test_a_damaged_or_foreign_manifest_is_refused(saved, manifest):
    (saved / "manifest.json").write_bytes(manifest)

    with pytest.raises(ArtefactError, match=r"manifest.json is (damaged|of format)"):
        load(saved)


def test_the_manifest_says_what_it_was_saved_with(saved):
    manifest = json.loads((saved / "manifest.json").read_text())

    assert (manifest["name"], manifest["version"]) == ("linear", "v1")
    assert manifest["libraries"]["pandas"] == pd.__version__
