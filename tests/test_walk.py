import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from diamonds import walk
from diamonds.trees import Tree, Trees
from project import ROOT

compiled_only = pytest.mark.skipif(not walk.LIBRARY.is_file(), reason="nothing is compiled here")
THRESHOLDS = np.array([-np.inf, -1.5, 0.1, 0.3, 2.0, 1e30, np.inf], np.float32)


def grown(random, columns, deepest):
    """A tree whose branches end where chance has it; its children are not side by side."""
    rows = []

    def grow(depth):
        place = len(rows)
        rows.append([-1, -1, 0, 0.0, random.normal()])
        if depth < min(2, deepest) or (depth < deepest and random.random() < 0.8):
            left, right = grow(depth + 1), grow(depth + 1)
            rows[place][:4] = left, right, int(random.integers(columns)), float(random.choice(THRESHOLDS))
        return place

    grow(0)
    left, right, feature, threshold, value = zip(*rows, strict=True)
    return Tree(np.array(left), np.array(right), np.array(feature), np.array(threshold), np.array(value))


def forest(kind, trees, columns=5, deepest=12):
    random = np.random.default_rng(trees)
    return Trees.of([grown(random, columns, deepest) for _ in range(trees)], 7.7, kind)


def rows(kind, columns=5):
    """Thousands of rows, many of them exactly at a threshold, just below, or without end."""
    random, exactly = np.random.default_rng(0), THRESHOLDS.astype(kind)
    below = np.nextafter(exactly[:-1], kind(-np.inf))
    near = random.choice(np.concatenate([exactly, below]), (2000, columns))
    return np.vstack([near, random.normal(0, 2, (2000, columns)).astype(kind)]).tolist()


@pytest.mark.skipif(shutil.which("cc") is None, reason="nothing here compiles")
def test_where_there_is_a_compiler_the_compiled_walk_is_in_use():
    assert walk.LIBRARY.is_file(), "`make setup` compiles it"
    assert forest(np.float32, 3)._compiled is not None


@compiled_only
@pytest.mark.parametrize("trees", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_both_walks_agree_to_the_last_bit(kind, trees):
    walked, asked = forest(kind, trees), rows(kind)

    compiled, by_numpy = (np.array([way(row) for row in asked]) for way in (walked, walked.by_numpy))

    assert compiled.dtype == by_numpy.dtype == kind
    assert np.array_equal(compiled.view(np.uint8), by_numpy.view(np.uint8))
    assert len(np.unique(compiled)) > 3


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_both_walks_agree_on_trees_that_never_ask_anything(kind):
    walked = forest(kind, 40, deepest=0)

    assert walked([1.0]) == walked.by_numpy([1.0])


@compiled_only
def test_a_row_that_lacks_columns_is_refused():
    walked = forest(np.float32, 3)._compiled

    with pytest.raises(ValueError, match=r"^a row of 4 columns, but the trees compare 5: give it all of them$"):
        walked([0.0] * 4)


def test_trees_that_were_pickled_after_a_walk_are_walked_again():
    walked, row = forest(np.float64, 20), [0.1] * 5
    before = walked(row)

    assert pickle.loads(pickle.dumps(walked))(row) == before  # noqa: S301 - our own


ELSEWHERE = """
import logging, numpy as np, test_walk
logging.basicConfig(level="DEBUG", format="%(message)s")
walked = test_walk.forest(np.float32, 50)
print(np.array([walked(row) for row in test_walk.rows(np.float32)[:500]]).tobytes().hex())
"""


@pytest.mark.parametrize("library", [None, b"not for this machine"])
def test_without_a_library_of_use_the_answers_are_the_same(tmp_path, library):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__"))
    if library:
        (tmp_path / "src/diamonds" / walk.LIBRARY.name).write_bytes(library)
    places = os.pathsep.join(map(str, (tmp_path / "src", ROOT / "tests")))

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE],
        env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    walked = forest(np.float32, 50)
    assert done.stdout.strip() == np.array([walked(row) for row in rows(np.float32)[:500]]).tobytes().hex()
    assert done.stderr.startswith("Trees are walked by NumPy, for the compiled walk cannot be loaded: ")
    assert str(tmp_path) in done.stderr
