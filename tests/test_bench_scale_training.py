"""What the benchmark of growing stones says of its runs, and what it lets pass."""

import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.scale.training import Memory, Run, broken, lines, watched, write_stones

MIB = 2**20
PLAIN = Run(
    54_000,
    "in memory",
    20.0,
    Memory(500 * MIB, 400 * MIB, 500 * MIB),
    {"xgboost": 250.0, "hist_gradient_boosting": 260.0, "linear": 500.0, "median": 2700.0},
    "xgboost is the first champion",
    [1.0, -2.0],
    {"holdout": "a"},
)
EXTERNAL = replace(PLAIN, engine="external memory", seconds=25.0)


def test_runs_that_agree_break_no_promise():
    assert broken([PLAIN, EXTERNAL]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mae": PLAIN.mae | {"xgboost": 252.6}}, "the error of xgboost differs by +1.04%"),
        ({"coefficients": [1.0, -2.0 - 1e-8]}, "coefficients differ by 5.0e-09"),
        ({"report": {"holdout": "b"}}, "what became of the data differs from in memory"),
    ],
)
def test_a_run_that_differs_breaks_its_promise(change, said):
    assert broken([PLAIN, replace(EXTERNAL, **change)]) == [f"54,000 stones, external memory: {said}"]


def test_growth_is_told_as_a_factor_and_in_bytes():
    more = [
        replace(PLAIN, stones=5_400_000, memory=Memory(8500 * MIB, 8000 * MIB, 8500 * MIB)),
        replace(EXTERNAL, stones=5_400_000, memory=Memory(600 * MIB, 450 * MIB, 600 * MIB)),
    ]

    told = lines([PLAIN, EXTERNAL, *more])[-1]

    assert told.startswith("external memory: stones x100, peak of one process x1.20, 0.002 of that growth; in bytes")
    assert told.endswith("0.01 of what it grows by in memory; its own alone by 50 MiB")


@pytest.mark.parametrize(("peak", "said"), [(12_800, []), (13_100, ["0.25"])])
def test_a_peak_that_grows_by_more_than_a_quarter_of_what_the_stones_do_breaks_a_promise(peak, said):
    more = [replace(run, stones=5_400_000) for run in (PLAIN, EXTERNAL)]
    more[1].memory = Memory(peak * MIB, 450 * MIB, peak * MIB)

    found = broken([PLAIN, EXTERNAL, *more])

    grown = "external memory: the peak of one process grows by {} of what the stones grow by"
    assert found == [grown.format(share) for share in said]


def test_stones_are_those_of_the_project_and_perturbed_copies(tmp_path):
    write_stones(tmp_path / "few.csv", 100)
    write_stones(tmp_path / "many.csv", 60_000)

    few, many = (pd.read_csv(tmp_path / name) for name in ("few.csv", "many.csv"))

    assert (len(few), len(many)) == (100, 60_000)
    assert few.astype({"price": float}).equals(many.head(100))
    assert many.tail(6_000).duplicated().sum() < 10


def test_the_memory_of_a_process_and_its_children_is_watched():
    grown = "import sys; x = bytearray(200 << 20); sys.stdin.read()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grown!r}])"
    started = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)

    with watched(started.pid) as memory:
        while memory.anonymous < 200 * MIB:
            time.sleep(0.01)
        started.communicate()

    assert memory.anonymous <= memory.process <= memory.together < 300 * MIB
