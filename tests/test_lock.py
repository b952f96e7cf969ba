"""A lock that one holds at a time."""

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from diamonds.errors import BusyError
from diamonds.lock import held


def test_who_holds_it_is_told_to_the_next_with_the_moment_since_when(tmp_path):
    place = tmp_path / "data/retrain.lock"

    with held(place, "a retraining"), pytest.raises(BusyError) as busy, held(place, "a retraining"):
        pass

    said = rf"a retraining is running since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(process {os.getpid()}\)"
    assert re.fullmatch(said, str(busy.value))
    with held(place, "a retraining"):
        assert place.read_text().count("since") == 1


def test_one_that_waits_is_told_of_the_other_and_gets_it_only_after_that(tmp_path):
    told, inside = [], threading.Event()

    def wait_for_it():
        with held(tmp_path / "lock", "a retraining", wait=told.append):
            inside.set()

    with ThreadPoolExecutor() as pool:
        with held(tmp_path / "lock", "a retraining"):
            waiting = pool.submit(wait_for_it)
            entered_before = inside.wait(0.5)
        waiting.result(30)

    assert (entered_before, inside.is_set()) == (False, True)
    assert [words.partition(" since")[0] for words in told] == ["a retraining is running"]
