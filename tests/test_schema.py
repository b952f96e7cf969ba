import math
from typing import Annotated

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from diamonds import schema
from diamonds.schema import COLUMNS, FEATURES, GRADES, MEASURES, WHOLE, Diamond

STONE = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-10, 10**9)


def refused(**changes):
    with pytest.raises(ValidationError) as caught:
        Diamond(**STONE | changes)
    return [(each.field, each.problem) for each in schema.problems(caught.value, Diamond)]


@pytest.mark.parametrize(
    ("field", "text", "grade"),
    [
        ("cut", "very good", "Very Good"),
        ("cut", " VERY  GOOD ", "Very Good"),
        ("color", "d", "D"),
        ("clarity", "vvs1", "VVS1"),
    ],
)
def test_grades_are_understood_whatever_their_case_and_spacing(field, text, grade):
    assert schema.canonical_grade(field, text) == grade
    assert getattr(Diamond(**STONE | {field: text}), field) == grade


@given(st.sampled_from(sorted(GRADES)), st.data())
def test_every_grade_is_understood_in_any_case(field, data):
    grade = data.draw(st.sampled_from(GRADES[field]))
    shown = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in grade)

    assert schema.canonical_grade(field, shown) == grade


def test_a_wrong_grade_names_all_that_are_right_from_best_to_worst():
    assert refused(color="Z") == [("color", "must be one of D, E, F, G, H, I, J (D is the best)")]


def test_a_near_miss_names_what_was_likely_meant():
    assert refused(clarity="VVS11")[0][1].endswith("; did you mean VVS1?")
    assert refused(dept=62) == [("dept", "is not a known field; did you mean depth?")]


def test_all_problems_are_named_at_once():
    problems = refused(carat=-1, cut="Perfect", x=0)

    assert [field for field, _ in problems] == ["carat", "cut", "x"]


def test_what_is_missing_is_said_to_be_required():
    with pytest.raises(ValidationError) as caught:
        Diamond(cut="Ideal", color="H", clarity="SI2")

    assert [(p.field, p.problem) for p in schema.problems(caught.value, Diamond)] == [("carat", "is required")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    assert refused(x=value) == [("x", "must be a finite number")]


@pytest.mark.parametrize("value", ["1.1", True, [1], {}])
def test_what_is_not_a_number_is_refused(value):
    assert refused(carat=value) == [("carat", "must be a number")]


@given(st.sampled_from([name for name in FEATURES if name in MEASURES]), numbers)
def test_the_doors_agree_on_numbers(field, value):
    """A number that the HTTP door refuses is one that the file door refuses, and the reverse."""
    try:
        Diamond(**STONE | {field: value})
        over_http = None
    except ValidationError as error:
        over_http = schema.problems(error, Diamond)[0].problem

    frame = pd.DataFrame(
        [STONE | {"depth": 62.0, "table": 55.0, "x": 6.6, "y": 6.6, "z": 4.1, "price": 1.0} | {field: float(value)}]
    )
    in_a_file = not _holds(frame[list(COLUMNS)])

    assert (over_http is not None) == in_a_file
    assert (schema.measure_problem(field, value) is not None) == in_a_file


def _holds(frame):
    from pandera.errors import SchemaErrors

    try:
        schema.frame_schema().validate(frame, lazy=True)
    except SchemaErrors:
        return False
    return True


def test_a_whole_number_may_have_a_decimal_point_as_in_json_and_nothing_behind_it():
    number = TypeAdapter(Annotated[int, Field(le=9), WHOLE])

    assert number.validate_json("5.0", strict=True) == number.validate_json("5", strict=True) == 5
    for wrong in ("10.0", "5.5", '"5"', "true", "NaN", "Infinity", "null"):
        with pytest.raises(ValidationError):
            number.validate_json(wrong, strict=True)
    assert number.json_schema() == {"type": "integer", "maximum": 9}


def test_a_size_far_from_what_the_weight_implies_is_a_contradiction(stones):
    strange = stones.head(3).assign(y=[58.9, *stones["y"].iloc[1:3]], z=[*stones["z"].iloc[:2], 0.1])

    found = schema.contradictions(strange)

    assert found.to_numpy().tolist() == [[False, True, False], [False, False, False], [False, False, True]]


def test_no_classic_stone_of_usual_shape_is_a_contradiction(stones):
    assert not schema.contradictions(stones).to_numpy().any()


def test_the_key_of_a_stone_depends_on_all_but_its_price(stones):
    stone = stones.head(1)
    key = schema.stone_keys(stone).iloc[0]

    assert schema.stone_keys(stone.assign(price=1.0)).iloc[0] == key
    for column in FEATURES:
        other = next(grade for grade in GRADES[column] if grade != stone[column].iloc[0]) if column in GRADES else 0.01
        assert schema.stone_keys(stone.assign(**{column: other})).iloc[0] != key


def test_the_key_of_a_stone_is_the_same_in_any_order_of_rows(stones):
    shuffled = stones.sample(frac=1, random_state=3)

    assert schema.stone_keys(shuffled).sort_index().equals(schema.stone_keys(stones))


def test_the_key_of_a_stone_never_changes():
    stone = pd.DataFrame(
        [
            {
                "carat": 0.23,
                "cut": "Ideal",
                "color": "E",
                "clarity": "SI2",
                "depth": 61.5,
                "table": 55.0,
                "x": 3.95,
                "y": 3.98,
                "z": 2.43,
            }
        ]
    )

    assert schema.stone_keys(stone).tolist() == [KEY_OF_THE_FIRST_CLASSIC_STONE]


#: Written down once: another value would move stones between training and holdout.
KEY_OF_THE_FIRST_CLASSIC_STONE = 9250792139332604353


def test_carat_bands_close_below_and_the_last_is_open():
    bands = schema.carat_bands(pd.Series([0.2, 0.49, 0.5, 1.0, 1.99, 2.0, 5.01]))

    assert bands.tolist() == ["0-0.5", "0-0.5", "0.5-1", "1-1.5", "1.5-2", "2+", "2+"]


def test_stones_have_the_same_hash_in_memory_and_read_back_from_parquet(stones, tmp_path):
    stones.to_parquet(tmp_path / "stones.parquet")

    digest = schema.frame_hash(stones)

    assert len(digest) == 64
    assert schema.frame_hash(pd.read_parquet(tmp_path / "stones.parquet")) == digest
    assert schema.frame_hash(stones[list(reversed(COLUMNS))].assign(extra=1).set_index(stones.index + 7)) == digest


@pytest.mark.parametrize("column", COLUMNS)
def test_the_hash_changes_with_any_cell(stones, column):
    changed = stones.copy()
    cell = changed.loc[17, column]
    changed.loc[17, column] = (
        next(grade for grade in GRADES[column] if grade != cell) if column in GRADES else cell + 0.01
    )

    assert schema.frame_hash(changed) != schema.frame_hash(stones)


def test_the_hash_changes_with_the_order_of_the_stones(stones):
    assert schema.frame_hash(stones[::-1]) != schema.frame_hash(stones)
