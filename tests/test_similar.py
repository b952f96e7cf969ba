import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamonds.schema import COLUMNS
from diamonds.similar import SimilarStones

ORDER = ["carat_difference", "carat", "depth", "table", "x", "y", "z", "price"]


def by_pandas(stones, carat, cut, color, clarity, n):
    """The plain way: filter, measure, sort."""
    same = stones[(stones["cut"] == cut) & (stones["color"] == color) & (stones["clarity"] == clarity)]
    return (
        same.assign(carat_difference=(same["carat"] - carat).abs().round(6))
        .sort_values(ORDER)
        .head(n)
        .to_dict("records")
    )


def test_it_equals_a_plain_filter_and_sort_on_500_random_stones(classic):
    index = SimilarStones(classic)
    asked = classic.sample(500, random_state=5)
    rng = np.random.default_rng(5)

    for stone in asked.itertuples():
        n, carat = int(rng.integers(1, 101)), round(stone.carat + rng.normal(0, 0.2), 2)
        expected = by_pandas(classic, carat, stone.cut, stone.color, stone.clarity, n)
        assert index.nearest(carat, stone.cut, stone.color, stone.clarity, n) == expected


@given(
    carats=st.lists(st.integers(20, 40), min_size=1, max_size=60),
    asked=st.integers(10, 50),
    n=st.integers(1, 100),
)
def test_ties_come_in_a_fixed_order_in_groups_of_any_size(carats, asked, n):
    stones = pd.DataFrame(
        {
            "carat": np.array(carats) / 100,
            "price": np.arange(len(carats), dtype=float)[::-1],
            "cut": "Ideal",
            "color": "D",
            "clarity": "IF",
            "depth": 61.0,
            "table": 55.0,
            "x": 4.0,
            "y": 4.0,
            "z": 2.4,
        }
    )

    found = SimilarStones(stones).nearest(asked / 100, "Ideal", "D", "IF", n)

    assert found == by_pandas(stones, asked / 100, "Ideal", "D", "IF", n)


def test_grades_that_no_stone_has_find_nothing(stones):
    index = SimilarStones(stones[stones["cut"] != "Fair"])

    assert index.nearest(1.0, "Fair", "D", "IF", 5) == []


def test_a_record_holds_the_stone_and_its_difference(stones):
    stone = stones.iloc[0]

    record = SimilarStones(stones).nearest(stone["carat"], stone["cut"], stone["color"], stone["clarity"], 1)[0]

    assert set(record) == {*COLUMNS, "carat_difference"}
    assert record["carat_difference"] == 0.0


@pytest.mark.parametrize("n", [1, 7, 100])
def test_there_are_never_more_than_asked_for(classic, n):
    assert len(SimilarStones(classic).nearest(1.0, "Ideal", "G", "VS2", n)) == n
