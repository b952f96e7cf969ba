import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamonds.schema import COLUMNS
from diamonds.similar import SimilarStones
from diamonds.stones import SortedStones

ORDER = ["carat_difference", "carat", "depth", "table", "x", "y", "z", "price"]


def index_of(stones):
    return SimilarStones(SortedStones.of(stones))


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
    index = index_of(classic)
    asked = classic.sample(500, random_state=5)
    rng = np.random.default_rng(5)

    for stone in asked.itertuples():
        n, carat = int(rng.integers(1, 101)), round(stone.carat + rng.normal(0, 0.2), 2)
        expected = by_pandas(classic, carat, stone.cut, stone.color, stone.clarity, n)
        assert index.nearest(carat, stone.cut, stone.color, stone.clarity, n) == expected


@given(
    carats=st.lists(st.integers(20, 40), min_size=1, max_size=60),
    asked=st.integers(10, 50),
    n=st.integers(0, 100),
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

    found = index_of(stones).nearest(asked / 100, "Ideal", "D", "IF", n)

    assert found == by_pandas(stones, asked / 100, "Ideal", "D", "IF", n)


@given(
    thousandths=st.lists(st.sampled_from([300, 301, 305, 309, 310]), min_size=1, max_size=60),
    others=st.lists(st.integers(1, 3), min_size=60, max_size=60),
    asked=st.sampled_from([0.3, 0.302, 0.305, 0.3050004, 0.31, 1.0]),
    n=st.integers(0, 100),
)
def test_ties_of_weight_are_ordered_by_the_other_numbers_and_the_lightest_come_first(thousandths, others, asked, n):
    numbers = np.array(others[: len(thousandths)], dtype=float)
    stones = pd.DataFrame(dict.fromkeys(("depth", "table", "price", "x", "y", "z"), numbers)).assign(
        carat=np.array(thousandths) / 1000, cut="Ideal", color="D", clarity="IF", x=numbers[::-1]
    )

    found = index_of(stones).nearest(asked, "Ideal", "D", "IF", n)

    assert found == by_pandas(stones[list(COLUMNS)], asked, "Ideal", "D", "IF", n)


def test_weights_nearer_to_each_other_than_is_compared_tie_and_the_lighter_comes_first(stones):
    twins = pd.concat([stones.head(1)] * 2, ignore_index=True).assign(carat=[0.9000002, 0.9000001])
    cut, color, clarity = twins.loc[0, ["cut", "color", "clarity"]]

    found = index_of(twins).nearest(1.0, cut, color, clarity, 1)

    assert [(each["carat"], each["carat_difference"]) for each in found] == [(0.9000001, 0.1)]


def test_numbers_come_back_exactly_as_they_were(stones):
    carats = np.random.default_rng(3).uniform(0.2, 5, len(stones))
    odd = stones.assign(carat=carats, price=carats * 1e7 / 3, depth=carats / 3e5)
    stone = odd.iloc[7]

    (found,) = index_of(odd).nearest(stone["carat"], stone["cut"], stone["color"], stone["clarity"], 1)

    assert found == {**stone[list(COLUMNS)].to_dict(), "carat_difference": 0.0}


@pytest.mark.parametrize("n", [1, 5, 100])
def test_its_json_is_what_json_dumps_writes_of_the_records(classic, n):
    index = index_of(classic.assign(depth=classic["depth"] / 3e7))

    for stone in classic.sample(50, random_state=n).itertuples():
        asked = (stone.carat * 1.003, stone.cut, stone.color, stone.clarity, n)
        assert index.nearest_json(*asked) == json.dumps(index.nearest(*asked)).encode()


def test_its_json_is_the_same_for_a_weight_that_is_numpys_own(classic):
    index = index_of(classic)

    assert index.nearest_json(np.float64(1.1), "Ideal", "H", "SI2", 3) == index.nearest_json(
        1.1, "Ideal", "H", "SI2", 3
    )


def test_grades_that_no_stone_has_find_nothing(stones):
    index = index_of(stones[stones["cut"] != "Fair"])

    assert index.nearest(1.0, "Fair", "D", "IF", 5) == []
    assert index.nearest_json(1.0, "Fair", "D", "IF", 5) == b"[]"


def test_a_record_holds_the_stone_and_its_difference(stones):
    stone = stones.iloc[0]

    record = index_of(stones).nearest(stone["carat"], stone["cut"], stone["color"], stone["clarity"], 1)[0]

    assert set(record) == {*COLUMNS, "carat_difference"}
    assert record["carat_difference"] == 0.0


@pytest.mark.parametrize("n", [1, 7, 100])
def test_there_are_never_more_than_asked_for(classic, n):
    assert len(index_of(classic).nearest(1.0, "Ideal", "G", "VS2", n)) == n
