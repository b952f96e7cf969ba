"""What is saved is loaded to the last bit; what was changed, moved, forged or signed by another is refused by name."""

import hashlib
import json
import os
import random
import shutil
from dataclasses import replace

import numpy as np
import psutil
import pytest
import skops.io
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from diamonds import models
from diamonds.config import Settings, read_settings
from diamonds.errors import ArtefactError, ConfigurationError
from diamonds.features import Proportions, on_log_price, ranks_and_shape
from diamonds.intervals import ConformalBand
from diamonds.pricer import Pricer, TrainingSummary, load, save
from diamonds.schema import FEATURES, REQUIRED
from diamonds.stones import SortedStones
from project import STONE

KEY, ANOTHER = "key of the jeweller", "key of somebody else"
MUTATIONS = 300


class Foreign(DecisionTreeRegressor):
    """A type of nobody's list."""


@pytest.fixture(scope="module")
def few(stones):
    return stones.head(300)


def make(few, name, estimator):
    band = ConformalBand(0.9, {"any": (0.5, 2.0)})
    fitted = estimator.fit(few[list(FEATURES)], few["price"])
    return Pricer(name, fitted, band, band, Proportions.of(few), TrainingSummary.of(few, {}, "f"), SortedStones.of(few))


def of_model(few, name, **params):
    module = models.get(name)
    return make(few, name, module.build(module.Params(**params)))


def on_ranks(regressor):
    return on_log_price(make_pipeline(ranks_and_shape(), regressor))


@pytest.fixture(scope="module")
def pricers(few):
    """One of each layout: JSON of its own, skops with XGBoost's trees, skops alone."""
    return {
        "linear": of_model(few, "linear"),
        "xgboost": of_model(few, "xgboost", n_estimators=3, n_jobs=1),
        "tree": make(few, "tree", on_ranks(DecisionTreeRegressor(max_depth=3))),
    }


@pytest.fixture(scope="module")
def saved_once(pricers, tmp_path_factory):
    root = tmp_path_factory.mktemp("saved")
    for name, pricer in pricers.items():
        save(pricer, root / name, version="v1")
    return root


@pytest.fixture
def saved(saved_once, tmp_path):
    """The saved linear model; each test has a copy of its own."""
    return shutil.copytree(saved_once / "linear", tmp_path / "linear")


def write_manifest(folder, content):
    (folder / "manifest.json").write_text(json.dumps(content, indent=1, sort_keys=True))


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def forge(folder, **changes):
    """Change the manifest and make its hashes right again, as anybody can who has no key."""
    content = manifest_of(folder)
    content["parts"] = {part.name: sha256(part.read_bytes()) for part in parts_of(folder)}
    content |= changes
    content.pop("digest")
    write_manifest(folder, content | {"digest": sha256(json.dumps(content, indent=1, sort_keys=True).encode())})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


# What is saved comes back.


def test_the_linear_model_is_saved_as_json_that_a_person_can_read(saved):
    document = json.loads((saved / "estimator.json").read_text())

    assert sorted(path.name for path in saved.iterdir()) == [
        "carats.npy",
        "estimator.json",
        "grades.json",
        "manifest.json",
        "numbers.npy",
        "pricer.json",
    ]
    assert (document["numbers"], document["columns"]) == (["carat", "x"], list(FEATURES))
    assert len(document["coefficients"]) == 4 + 6 + 7 + 2
    assert (
        document["coefficients"]["onehotencoder__clarity_IF"] > document["coefficients"]["onehotencoder__clarity_SI1"]
    )


@pytest.mark.parametrize(
    "regressor",
    [
        HistGradientBoostingRegressor(max_iter=5),
        DecisionTreeRegressor(),
        RandomForestRegressor(3, random_state=1),
        ExtraTreesRegressor(3, random_state=1),
        GradientBoostingRegressor(n_estimators=3),
        KNeighborsRegressor(algorithm="kd_tree"),
        KNeighborsRegressor(algorithm="ball_tree", p=1),
        KNeighborsRegressor(algorithm="kd_tree", p=3, weights="distance"),
        KNeighborsRegressor(algorithm="ball_tree", metric="chebyshev"),
    ],
    ids=str,
)
def test_a_regressor_of_scikit_learn_prices_the_same_to_the_last_bit_after_saving_and_loading(few, regressor, tmp_path):
    pricer = make(few, "of_scikit_learn", on_ranks(regressor))

    save(pricer, tmp_path / "saved", version="v1")

    assert_alike(load(tmp_path / "saved"), pricer, few)


def test_boosted_trees_on_plain_prices_are_saved_too(few, tmp_path):
    pricer = make(few, "plain", make_pipeline(ranks_and_shape(), XGBRegressor(n_estimators=3, n_jobs=1)))

    save(pricer, tmp_path / "saved", version="v1")

    assert (tmp_path / "saved/booster.json").is_file()
    assert_alike(load(tmp_path / "saved"), pricer, few)


def assert_alike(loaded, pricer, stones):
    assert np.array_equal(
        loaded.estimator.predict(stones[list(FEATURES)]), pricer.estimator.predict(stones[list(FEATURES)])
    )


# What is not as it was saved is refused, before it is parsed.


def test_three_hundred_random_mutations_are_refused_by_the_name_of_what_was_changed(saved_once, tmp_path):
    chance = random.Random(42)  # noqa: S311 - the same mutations each time
    layouts = sorted(saved_once.iterdir())
    refused = 0

    for number in range(MUTATIONS):
        folder = shutil.copytree(layouts[number % len(layouts)], tmp_path / "mutated")
        mutate = list(MUTATORS)[number % len(MUTATORS)]
        named = mutate(chance, folder, chance.choice(sorted(folder.iterdir())))
        with pytest.raises(ArtefactError) as refusal:
            load(folder)
        assert any(name in str(refusal.value) for name in named), (mutate.__name__, named, str(refusal.value))
        refused += 1
        shutil.rmtree(folder)

    assert refused == MUTATIONS


def flip_a_bit(chance, folder, path):
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return [path.name]


def truncate(chance, folder, path):
    os.truncate(path, chance.randrange(path.stat().st_size))
    return [path.name]


def empty(chance, folder, path):
    path.write_bytes(b"")
    return [path.name]


def remove(chance, folder, path):
    path.unlink()
    return [path.name]


def add(chance, folder, path):
    name = f"{chance.randrange(1000)}.json"
    (folder / name).write_bytes(path.read_bytes())
    return [name]


def swap(chance, folder, path):
    other = chance.choice([other for other in sorted(folder.iterdir()) if other != path])
    mine, others = path.read_bytes(), other.read_bytes()
    path.write_bytes(others)
    other.write_bytes(mine)
    return [path.name, other.name]


def rename(chance, folder, path):
    path.rename(folder / f"{path.stem}.bak")
    return [path.name]


def replace_by_a_folder(chance, folder, path):
    path.unlink()
    path.mkdir()
    return [path.name]


def replace_by_a_link(chance, folder, path):
    """To a file of the very same content."""
    path.rename(folder.with_name(path.name))
    path.symlink_to(folder.with_name(path.name))
    return [path.name]


def append(chance, folder, path):
    with path.open("ab") as file:
        file.write(chance.choice([b" ", b"\n", b"\0"]))
    return [path.name]


MUTATORS = (
    flip_a_bit,
    truncate,
    empty,
    remove,
    add,
    swap,
    rename,
    replace_by_a_folder,
    replace_by_a_link,
    append,
    flip_a_bit,
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace('"v1"', '"v2"'), "its digest does not match"),
        (lambda text: text.replace(" ", "  ", 1), "its content would be written differently"),
        (lambda text: text.replace('"linear"', r'"\u006cinear"'), "its content would be written differently"),
        (lambda text: text.replace('"name"', '"name": "other",\n "name"'), "its content would be written differently"),
        (lambda text: text.replace('"format": 3', '"format": 1'), "format 1 has no digest"),
    ],
    ids=["a word", "a space", "an escape", "a name twice", "an older format"],
)
def test_a_manifest_that_was_changed_is_refused(saved, change, problem):
    manifest = saved / "manifest.json"
    manifest.write_text(change(manifest.read_text()))

    with pytest.raises(ArtefactError, match=rf"manifest.json was changed after it was saved: .*{problem}"):
        load(saved)


@pytest.mark.parametrize("number", [1, 2])
def test_what_the_versions_before_saved_is_still_loaded(saved_once, pricers, few, number, tmp_path):
    old = shutil.copytree(saved_once / "tree", tmp_path / "old")
    few.to_parquet(with_parquet(old) / "stones.parquet")
    forge(old, format=number)
    if number == 1:
        write_manifest(old, {key: value for key, value in manifest_of(old).items() if key != "digest"})

    loaded = load(old)

    assert_alike(loaded, pricers["tree"], few)
    assert loaded.stones.frame().equals(pricers["tree"].stones.frame())
    assert loaded.explain(few.head(3)) == pricers["tree"].explain(few.head(3))


def with_parquet(folder):
    """Make room for the stones as they were saved before they were sorted."""
    for part in ("grades.json", "carats.npy", "numbers.npy"):
        (folder / part).unlink()
    return folder


def parts_of(folder):
    return [path for path in folder.iterdir() if path.name != "manifest.json"]


def test_the_stones_of_a_loaded_pricer_are_mapped_and_stay_when_its_folder_goes(pricers, classic, tmp_path):
    saved, stones = tmp_path / "linear", SortedStones.of(classic)
    save(replace(pricers["linear"], stones=stones), saved, version="v1")

    loaded = load(saved)
    resident = {entry.path: entry.rss for entry in psutil.Process().memory_maps()}
    shutil.rmtree(saved)

    assert f"{saved}/carats.npy" in resident
    assert resident[f"{saved}/numbers.npy"] < stones.numbers.nbytes / 2, "its hash is of what was read, not of the map"
    assert not loaded.stones.numbers.flags.writeable
    assert loaded.stones.frame().equals(stones.frame())


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda numbers: numbers.astype("<f4"), "holds float32 of shape"),
        (lambda numbers: numbers.astype(">f8"), "holds >f8 of shape"),
        (lambda numbers: numbers[:-1], r"holds float64 of shape \(299, 6\), and not float64 of shape \(300, 6\)"),
        (lambda numbers: numbers.T.copy(), r"holds float64 of shape \(6, 300\)"),
        (np.asfortranarray, "row by row"),
        (lambda numbers: numbers.astype(object), "holds object of shape"),
    ],
    ids=["float32", "big-endian", "a stone fewer", "transposed", "by columns", "pickled objects"],
)
def test_an_array_that_is_another_than_the_manifest_of_grades_says_is_refused(saved, changed, problem):
    """Even under hashes that are right: no parser of NumPy's unpickles anything."""
    np.save(saved / "numbers.npy", changed(np.load(saved / "numbers.npy")), allow_pickle=True)
    forge(saved)

    with pytest.raises(ArtefactError, match=rf"numbers.npy does not hold what it should: ValueError: .*{problem}"):
        load(saved)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda counted: counted[::-1], "not in the order"),
        (lambda counted: [counted[0], *counted], "not in the order"),
        (lambda counted: [[*counted[0][:3], 0], *counted[1:]], "greater than 0"),
        (lambda counted: [["Odd", *counted[0][1:]], *counted[1:]], "Input should be 'Fair'"),
    ],
    ids=["backwards", "twice", "of no stone", "a grade that there is not"],
)
def test_grades_that_no_sorted_stones_have_are_refused(saved, changed, problem):
    counted = json.loads((saved / "grades.json").read_text())
    (saved / "grades.json").write_text(json.dumps(changed(counted)))
    forge(saved)

    with pytest.raises(ArtefactError, match=rf"(?s)grades.json does not hold what it should: .*{problem}"):
        load(saved)


def test_a_pricer_that_was_saved_before_it_learned_what_agrees_goes_by_gross_contradictions(saved, pricers):
    facts = json.loads((saved / "pricer.json").read_text())
    del facts["partly_band"], facts["summary"]["agreeing"]
    (saved / "pricer.json").write_text(json.dumps(facts))
    forge(saved)
    small = {field: STONE[field] for field in REQUIRED} | {"carat": 0.4}

    old = load(saved)

    assert (old.outside(small | {"x": 7.0}), pricers["linear"].outside(small | {"x": 7.0})) == ([], ["x"])
    assert old.outside(small | {"x": 9.6}) == ["x"]
    assert old.quote(STONE) == pricers["linear"].quote(STONE)


# What a stranger may write.


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "sub/x", "", "estimator.pickle", "manifest.json"])
def test_a_part_of_another_name_is_refused_by_it(saved, name):
    content = manifest_of(saved)

    forge(saved, parts=content["parts"] | {name: "0" * 64})

    with pytest.raises(ArtefactError, match=rf"manifest.json names parts that make no pricer: .*'{name}'"):
        load(saved)


def test_a_manifest_without_parts_is_refused(saved):
    forge(saved, parts={})

    with pytest.raises(ArtefactError, match=r"manifest.json names parts that make no pricer: none"):
        load(saved)


def test_a_part_that_never_ends_is_refused(saved):
    (saved / "pricer.json").unlink()
    os.mkfifo(saved / "pricer.json")

    with pytest.raises(ArtefactError, match=r"pricer.json is no plain file"):
        load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":' * 100_000,
        b'{"format": true}',
        b'{"format": 2.0}',
        b'{"format": 2, "parts": {"pricer.json": 7}}',
        b'{"format": NaN}',
        b"\xff\xfe{\x00}\x00",
        b'{"format": ' + b"9" * 10_000 + b"}",
    ],
    ids=["deep", "true", "a fraction", "a number for a hash", "NaN", "UTF-16", "a huge number"],
)
def test_odd_json_is_no_manifest(saved, content):
    (saved / "manifest.json").write_bytes(content)

    with pytest.raises(ArtefactError, match=r"manifest.json is (damaged|of format 9{10})"):
        load(saved)


def test_a_type_that_is_not_trusted_is_refused_by_its_name(saved_once, tmp_path):
    """Even under hashes that are right: skops builds only the types that are listed."""
    forged = shutil.copytree(saved_once / "tree", tmp_path / "forged")
    (forged / "estimator.skops").write_bytes(skops.io.dumps(Foreign()))
    forge(forged)

    with pytest.raises(ArtefactError, match=r"estimator.skops holds a type that is not trusted: .*Foreign"):
        load(forged)


def test_what_is_no_regressor_is_refused(saved_once, tmp_path):
    forged = shutil.copytree(saved_once / "tree", tmp_path / "forged")
    (forged / "estimator.skops").write_bytes(skops.io.dumps({"price": 1}))
    forge(forged)

    with pytest.raises(ArtefactError, match=r"forged cannot be loaded: estimator.skops holds a dict, which is no reg"):
        load(forged)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("linear", "pricer.json"),
        ("linear", "grades.json"),
        ("linear", "carats.npy"),
        ("linear", "numbers.npy"),
        ("linear", "estimator.json"),
        ("tree", "estimator.skops"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000], ids=["empty", "an object", "deep"])
def test_a_part_that_holds_something_else_is_refused_by_its_name(saved_once, name, part, content, tmp_path):
    forged = shutil.copytree(saved_once / name, tmp_path / "forged")
    (forged / part).write_bytes(content)
    forge(forged)

    with pytest.raises(ArtefactError, match=rf"forged cannot be loaded: {part} does not hold what it should"):
        load(forged)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"numbers": ["x", "carat"]}, "its coefficients are not those of onehotencoder__cut_Good"),
        ({"intercept": float("nan")}, "intercept"),
        ({"coefficients": {}}, "its coefficients are not those of"),
        ({"code": "print()"}, "code"),
    ],
)
def test_a_linear_model_that_is_not_whole_is_refused(saved, change, problem):
    document = json.loads((saved / "estimator.json").read_text())
    (saved / "estimator.json").write_text(json.dumps(document | change))
    forge(saved)

    with pytest.raises(ArtefactError, match=rf"(?s)estimator.json does not hold what it should: .*{problem}"):
        load(saved)


def test_the_json_of_a_model_that_is_gone_says_so(saved):
    forge(saved, name="forest")

    with pytest.raises(ArtefactError, match=r"estimator.json was written by the model 'forest', and .* no such model"):
        load(saved)


# Who signed it.


@pytest.fixture
def signed(pricers, tmp_path, monkeypatch):
    monkeypatch.setenv("DIAMONDS_SIGNING_KEY", KEY)
    save(pricers["linear"], tmp_path / "signed", version="v1")
    return tmp_path / "signed"


def test_a_signed_pricer_is_loaded_with_its_key_and_without_any(signed, monkeypatch):
    with_the_key = load(signed)
    monkeypatch.delenv("DIAMONDS_SIGNING_KEY")
    without_a_key = load(signed)

    assert (with_the_key.version, without_a_key.version) == ("v1", "v1")


def test_a_pricer_signed_by_another_key_is_refused(signed, monkeypatch):
    monkeypatch.setenv("DIAMONDS_SIGNING_KEY", ANOTHER)

    with pytest.raises(ArtefactError, match=r"signed/manifest.json is signed by another key") as refusal:
        load(signed)

    assert not {KEY, ANOTHER} & set(str(refusal.value).split("'"))


def test_an_unsigned_pricer_is_refused_where_there_is_a_key(saved, monkeypatch):
    old = shutil.copytree(saved, saved.with_name("old"))
    content = manifest_of(old) | {"format": 1}
    del content["digest"]
    write_manifest(old, content)
    monkeypatch.setenv("DIAMONDS_SIGNING_KEY", KEY)

    for folder in (saved, old):
        with pytest.raises(ArtefactError, match=rf"{folder.name}/manifest.json is not signed"):
            load(folder)


@pytest.mark.parametrize(
    "change",
    [{"name": "xgboost"}, {"version": "v2"}, {"libraries": {}}, {"signature": "0" * 64}, {"signature": "ü"}, {}],
    ids=lambda change: " ".join(change) or "a part",
)
def test_a_signed_pricer_that_was_forged_is_refused_by_the_key_alone(signed, change):
    """Its hashes are right, so that only the signature tells."""
    if not change:
        (signed / "pricer.json").write_text((signed / "pricer.json").read_text().replace("0.5", "0.9"))
    forge(signed, **change)

    with pytest.raises(ArtefactError, match=r"manifest.json is signed by another key"):
        load(signed)


def test_a_changed_signature_is_refused_without_a_key_too(signed, monkeypatch):
    monkeypatch.delenv("DIAMONDS_SIGNING_KEY")
    write_manifest(signed, manifest_of(signed) | {"signature": "0" * 64})

    with pytest.raises(ArtefactError, match=r"manifest.json was changed after it was saved"):
        load(signed)


def test_the_key_is_in_no_file_and_in_no_text_of_the_settings(signed):
    settings = Settings()

    assert all(KEY.encode() not in path.read_bytes() for path in signed.iterdir())
    assert KEY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.as_environment()["DIAMONDS_SIGNING_KEY"] == KEY


def test_without_a_key_no_variable_is_handed_on():
    assert "DIAMONDS_SIGNING_KEY" not in Settings().as_environment()


def test_an_empty_key_is_refused_and_does_not_mean_none(monkeypatch):
    monkeypatch.setenv("DIAMONDS_SIGNING_KEY", "")

    with pytest.raises(ConfigurationError, match=r"^DIAMONDS_SIGNING_KEY is empty: give it a key, or unset it$"):
        read_settings()
