"""Stones as one sorted table: in memory, and sorted on the disk where there are more than fit into it."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from diamonds.schema import COLUMNS, GRADES
from diamonds.stones import ALL_GRADES, SortedStones


def sorted_by_pandas(stones):
    """The plain way: grades as ordered categories, all columns as keys."""
    ranked = stones.assign(**{field: pd.Categorical(stones[field], GRADES[field], ordered=True) for field in GRADES})
    order = ranked.sort_values([*GRADES, "carat", "depth", "table", "x", "y", "z", "price"]).index
    return stones.loc[order, list(COLUMNS)].reset_index(drop=True)


def in_blocks(stones, *ends):
    return (stones.iloc[first:end] for first, end in zip((0, *ends), (*ends, len(stones)), strict=True))


def test_stones_lie_by_grades_from_the_worst_then_by_weight_and_the_other_numbers(classic):
    known = SortedStones.of(classic)

    assert known.frame().equals(sorted_by_pandas(classic))
    assert (len(known), known.nbytes) == (len(classic), 56 * len(classic))


def test_where_stones_of_equal_grades_lie_is_known(stones):
    known = SortedStones.of(stones)

    for grades, (first, end) in known.spans().items():
        theirs = stones[(stones[list(GRADES)].to_numpy() == np.array(grades, dtype=object)).all(axis=1)]
        assert known.carats[first:end].tolist() == sorted(theirs["carat"])
    assert sum(known.counts.values()) == len(stones)
    assert list(known.counts) == [grades for grades in ALL_GRADES if grades in known.counts]


def test_many_blocks_are_sorted_on_the_disk_as_one_frame_is_in_memory(classic, tmp_path):
    shuffled = classic.sample(frac=1, random_state=7)

    known = SortedStones.from_blocks(in_blocks(shuffled, 1, 17_000, 17_000, 40_000), tmp_path / "stones")

    in_memory = SortedStones.of(classic)
    assert np.array_equal(known.carats, in_memory.carats)
    assert np.array_equal(known.numbers, in_memory.numbers)
    assert known.counts == in_memory.counts
    assert sorted(path.name for path in (tmp_path / "stones").iterdir()) == ["carats.npy", "numbers.npy"]


def test_no_more_of_them_lie_in_memory_than_a_block_and_those_of_some_grades(classic, tmp_path):
    some = classic.sample(20_000, random_state=1)
    blocks = (some.assign(carat=some["carat"] + number / 1000) for number in range(40))

    tracemalloc.start()
    known = SortedStones.from_blocks(blocks, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(known) == 800_000
    assert peak < known.nbytes / 4, f"{peak:,} bytes of {known.nbytes:,}"


@pytest.mark.parametrize("name", ["carats.npy", "numbers.npy"])
def test_what_is_written_block_by_block_is_what_numpy_itself_writes(stones, name, tmp_path):
    known = SortedStones.from_blocks(in_blocks(stones, 1000), tmp_path)

    np.save(tmp_path / "by_numpy.npy", {"carats.npy": known.carats, "numbers.npy": known.numbers}[name])

    assert (tmp_path / name).read_bytes() == (tmp_path / "by_numpy.npy").read_bytes()


def test_they_come_in_blocks_and_from_the_first(stones):
    known = SortedStones.of(stones)

    blocks = list(known.blocks(700))

    assert [len(block) for block in blocks] == [700, 700, 700, 700, 200]
    assert pd.concat(blocks, ignore_index=True).equals(known.frame())
    assert known.head(7).equals(known.frame().head(7))
    assert len(known.head(10_000)) == 3000


def test_a_sample_is_the_same_each_time_and_all_where_there_are_no_more(stones):
    known = SortedStones.of(stones)

    drawn = known.sample(500, seed=1)

    assert drawn.equals(known.sample(500, seed=1))
    assert len(drawn.merge(known.frame().drop_duplicates())) == 500
    assert drawn["carat"].mean() == pytest.approx(stones["carat"].mean(), rel=0.1)
    assert known.sample(3000, seed=1).equals(known.frame())


def test_no_stones_are_a_table_too(stones, tmp_path):
    for none in (SortedStones.of(stones.head(0)), SortedStones.from_blocks([], tmp_path)):
        assert (len(none), none.counts, none.spans()) == (0, {}, {})
        assert none.frame().columns.tolist() == list(COLUMNS)


def test_a_grade_that_there_is_not_is_refused_by_its_name(stones, tmp_path):
    odd = stones.assign(color=stones["color"].where(stones.index != 5, "Z"))

    for sort in (SortedStones.of, lambda frame: SortedStones.from_blocks([frame], tmp_path)):
        with pytest.raises(ValueError, match=r"^there is no color 'Z'$"):
            sort(odd)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what is mapped")
def test_mapped_stones_that_are_let_go_take_no_memory_and_are_what_they_were(classic, tmp_path):
    known = SortedStones.from_blocks([classic], tmp_path)
    before = known.frame()
    taken = _resident_of(tmp_path)

    known.let_go()

    assert taken > 0.9 * known.nbytes
    assert _resident_of(tmp_path) == 0
    assert known.frame().equals(before)


def test_stones_in_memory_that_are_let_go_stay(stones):
    known = SortedStones.of(stones)

    known.let_go()

    assert len(known.frame()) == len(stones)


def _resident_of(folder):
    """The bytes of mapped files of this folder that lie in this process's memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            inside = str(folder) in line
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total
