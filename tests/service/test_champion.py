"""Which entry of a model store serves: what appears, what is refused, what is taken over."""

import asyncio
import shutil

import pytest

from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.models import median
from diamonds.pricer import Pricer, TrainingSummary, save
from diamonds.schema import FEATURES
from diamonds.service import champion as champions
from diamonds.service.champion import Champions
from diamonds.stones import SortedStones


@pytest.fixture(scope="module")
def pricer(stones):
    few = stones.head(50)
    fitted = median.build(median.Params()).fit(few[list(FEATURES)], few["price"])
    band = ConformalBand(0.9, {"any": (0.5, 2.0)})
    return Pricer(
        "median", fitted, band, band, Proportions.of(few), TrainingSummary.of(few, {}, "none"), SortedStones.of(few)
    )


@pytest.fixture
def store(tmp_path):
    (tmp_path / "diamonds").mkdir()
    return tmp_path / "diamonds"


def promote(store, pricer, version, number):
    """Add an entry to the store as a promotion does."""
    save(pricer, store / f"median-{version}-{number}", version)
    point_to(store, f"median-{version}-{number}")


def point_to(store, name):
    (store / ".aside").write_text(name)
    (store / ".aside").rename(store / "latest")


def damage(folder):
    (folder / "numbers.npy").write_bytes(b"damaged")


def followed(store):
    told = []
    found = Champions(store, lambda each: told.append((each.present and each.present.pricer.version, each.refused)))
    found.take()
    return found, told


def test_an_empty_store_has_no_champion_and_says_what_to_do(store):
    found, told = followed(store)

    assert (found.present, found.refused, told) == (None, False, [])
    assert found.problem == f"there is no champion in {store} yet: train one with `kedro run`"


def test_a_store_that_is_not_there_has_none_either(tmp_path):
    found, _ = followed(tmp_path / "nowhere")

    assert (found.present, found.refused) == (None, False)


def test_what_the_store_names_serves_and_a_promotion_takes_its_place(store, pricer):
    promote(store, pricer, "one", 1)
    found, told = followed(store)
    promote(store, pricer, "two", 2)
    found.take()
    found.take()

    assert found.present.pricer.version == "two"
    assert found.present.folder == store / "median-two-2"
    assert found.problem is None
    assert told == [("one", False), ("two", False)], "an entry is loaded once"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage, "numbers.npy was changed after it was saved"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: (folder / "saved_model.pkl").write_bytes(b""), "holds what its manifest does not name"),
        (shutil.rmtree, "there is no saved pricer"),
    ],
)
def test_what_is_damaged_or_foreign_is_refused_and_the_one_before_goes_on_serving(store, pricer, caplog, spoil, reason):
    promote(store, pricer, "one", 1)
    found, told = followed(store)
    save(pricer, store / "median-two-2", "two")
    spoil(store / "median-two-2")
    point_to(store, "median-two-2")
    found.take()

    assert found.present.pricer.version == "one"
    assert told[-1] == ("one", True)
    assert "the champion median-two-2 was refused" in caplog.text
    assert reason in caplog.text

    promote(store, pricer, "three", 3)
    found.take()
    assert (found.present.pricer.version, found.problem, told[-1]) == ("three", None, ("three", False))


def test_an_entry_that_cannot_price_its_own_stones_is_refused(store, pricer):
    promote(store, pricer, "one", 1)
    found, _ = followed(store)
    present = found.present

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Pricer, "quote", lambda self, stone: type("Quoted", (tuple,), {"price": float("nan")})([float("nan")] * 3)
        )
        promote(store, pricer, "two", 2)
        found.take()

    assert found.present is present
    assert "it prices a stone that it has learned from at nan" in found.problem


def test_a_worker_that_starts_on_a_damaged_champion_takes_the_newest_that_can_be_used(store, pricer, caplog):
    for number, version in enumerate(["one", "two", "ten", "eleven"], start=8):
        promote(store, pricer, version, number)
    damage(store / "median-eleven-11")
    damage(store / "median-ten-10")

    found, told = followed(store)

    assert found.present.pricer.version == "two"
    assert told == [("two", True)]
    assert "median-two-9, which was champion before, serves in its place" in caplog.text


def test_a_store_whose_latest_is_damaged_is_refused_and_not_the_end(store, pricer, caplog):
    promote(store, pricer, "one", 1)
    found, _told = followed(store)
    (store / "latest").write_bytes(b"\xff\xfe\x00")
    found.take()
    refused = found.refused
    promote(store, pricer, "two", 2)
    found.take()

    assert refused
    assert (found.present.pricer.version, found.refused) == ("two", False)


def test_without_any_that_can_be_used_nothing_serves_and_the_reason_is_kept(store, pricer):
    promote(store, pricer, "one", 1)
    damage(store / "median-one-1")

    found, _ = followed(store)

    assert (found.present, found.refused) == (None, True)
    assert "the champion median-one-1 was refused" in found.problem


def test_following_takes_over_what_appears_and_tries_what_was_refused_again(store, pricer, monkeypatch):
    monkeypatch.setattr(champions, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(champions, "AGAIN_SECONDS", 0.002)

    async def follow():
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        found = Champions(store, lambda each: loop.call_soon_threadsafe(changed.set))
        task = asyncio.create_task(found.follow())

        async def after(change):
            changed.clear()
            change()
            await asyncio.wait_for(changed.wait(), 30)
            return found.present and found.present.pricer.version, found.refused

        manifest = store / "median-two-2" / "manifest.json"
        seen = [await after(lambda: promote(store, pricer, "one", 1))]
        save(pricer, store / "median-two-2", "two")
        content = manifest.read_bytes()
        manifest.unlink()
        seen.append(await after(lambda: point_to(store, "median-two-2")))
        manifest.write_bytes(content)
        while found.refused:
            changed.clear()
            await asyncio.wait_for(changed.wait(), 30)
        seen.append((found.present.pricer.version, found.refused))
        task.cancel()
        return seen

    assert asyncio.run(follow()) == [("one", False), ("one", True), ("two", False)]
