"""What a page is, and what is wrong with one that is none."""

import json

import pytest

from diamonds.streams.reading.page import PageError, Reject, read_page
from diamonds.streams.spec import FeedSpec
from feeds import SPEC, row

STONES = FeedSpec.model_validate(
    {
        "name": "stones",
        "url": "http://127.0.0.1:1",
        "columns": {"carat": {"type": "number", "least": 0.1, "most": 100}, "cut": {"type": "text", "one_of": ["Good", "Ideal"]}, "note": {"type": "text"}},
        "learners": {},
    }
)  # fmt: skip


def page_of(*rows, spec=SPEC):
    return read_page(spec, 3, json.dumps(rows).encode())


def test_rows_are_sorted_typed_and_hold_the_fields_of_the_spec_alone():
    page = page_of(row(2, promoted=0, competence=3, name="x"), row(1, promoted=1))

    assert page.rows == (
        {"id": 1, "competence": 0.1, "network_ability": -1.0, "promoted": True},
        {"id": 2, "competence": 3.0, "network_ability": -1.0, "promoted": False},
    )
    assert [type(value) for value in page.rows[1].values()] == [int, float, float, bool]
    assert (page.size, page.ignored, page.repeated, page.rejects) == (2, 1, 0, ())


def test_ten_rows_are_a_full_page_and_nine_are_not():
    assert page_of(*map(row, range(1, 11))).next_page == 4
    assert page_of(*map(row, range(1, 10))).next_page == 3


@pytest.mark.parametrize(
    ("wrong", "key", "reason"),
    [
        ({"id": True}, None, "id must be a whole number from 1, not true"),
        ({"id": 0}, None, "id must be a whole number from 1, not 0"),
        ({"id": 2**63}, None, f"id must be a whole number from 1, not {2**63}"),
        ({"id": 5.0}, None, "id must be a whole number from 1, not 5.0"),
        ({"id": "5"}, None, 'id must be a whole number from 1, not "5"'),
        ({"competence": "0.5"}, "5", 'competence must be a finite number, not "0.5"'),
        ({"competence": True}, "5", "competence must be a finite number, not true"),
        ({"competence": None}, "5", "competence must be a finite number, not null"),
        ({"network_ability": float("nan")}, "5", "network_ability must be a finite number, not NaN"),
        ({"network_ability": float("-inf")}, "5", "network_ability must be a finite number, not -Infinity"),
        ({"network_ability": 10**390}, "5", f"network_ability must be a finite number, not 1{'0' * 59}…"),
        ({"promoted": 2}, "5", "promoted must be true or false, not 2"),
        ({"promoted": 1.0}, "5", "promoted must be true or false, not 1.0"),
        ({"promoted": "true"}, "5", 'promoted must be true or false, not "true"'),
    ],
)
def test_a_row_that_does_not_hold_is_kept_aside_with_its_reason(wrong, key, reason):
    page = page_of(row(4), row(5) | wrong, row(6))

    (reject,) = page.rejects
    assert reject.reason == reason
    assert reject.key == key if key else reject.key.startswith("#")
    assert (reject.page, [each["id"] for each in page.rows], page.size) == (3, [4, 6], 3)


def test_numbers_that_no_computer_holds_reject_the_row_and_not_the_page():
    bodies = [b'{"id": 5, "competence": 1e400, "network_ability": 1, "promoted": true}',
              b'{"id": 5, "competence": ' + b"9" * 5000 + b', "network_ability": 1, "promoted": true}']  # fmt: skip
    for body in bodies:
        page = read_page(SPEC, 0, b"[" + body + b", " + json.dumps(row(6)).encode() + b"]")

        assert [each["id"] for each in page.rows] == [6]
        assert page.rejects[0].reason == "competence must be a finite number, not Infinity"


def test_a_row_that_names_a_field_twice_is_none():
    page = read_page(SPEC, 0, b'[{"id": 1, "id": 2, "competence": 1, "network_ability": 1, "promoted": true}]')

    assert (page.rows, page.rejects[0].reason) == ((), "it names a field twice")


def test_a_row_that_names_a_field_twice_is_none_beside_one_that_lacks_it():
    page = read_page(
        SPEC,
        0,
        b'[{"id": 1, "id": 2, "competence": 1, "network_ability": 1, "promoted": true},'
        b' {"id": 3, "competence": 1, "network_ability": 1}]',
    )

    assert page.rows == ()
    assert {reject.reason for reject in page.rejects} == {"it names a field twice", "promoted is missing"}


def test_fields_beyond_the_spec_are_counted_beside_a_row_that_lacks_one():
    page = page_of(row(1, name="x"), {name: value for name, value in row(2).items() if name != "promoted"})

    assert (page.ignored, [each["id"] for each in page.rows]) == (1, [1])


def test_of_a_row_that_does_not_hold_only_the_fields_of_the_spec_are_kept():
    one, other = (page_of(row(1, competence="x", served=served), {"served": served}) for served in (1, 2))

    assert one == other
    assert sorted(reject.raw for reject in one.rejects)[1] == "{}"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_row_that_is_nested_beyond_reason_is_a_row_or_no_page(opening, closing):
    for depth in range(300, 1301):
        nested = (opening * depth + "1" + closing * depth).encode()
        body = b'[{"id": 1, "competence": ' + nested + b', "network_ability": 1, "promoted": true}]'
        try:
            (reject,) = read_page(SPEC, 0, body).rejects
        except PageError as error:
            assert str(error).startswith("it is not JSON: maximum recursion depth exceeded")  # noqa: PT017
        else:
            assert reject.reason.startswith("competence must be a finite number")


def test_what_is_missing_and_what_is_no_row_is_said():
    rejects = {reject.reason for reject in page_of({"id": 1}, [1], "x", None).rejects}

    assert rejects == {
        "competence is missing",
        "a row must be an object, not [1]",
        'a row must be an object, not "x"',
        "a row must be an object, not null",
    }


def test_bounds_grades_and_characters_that_no_database_keeps():
    reasons = [
        page_of({"id": 1, "carat": 1, "cut": "Good", "note": ""} | wrong, spec=STONES).rejects[0].reason
        for wrong in ({"carat": 0}, {"carat": 101}, {"cut": "good"}, {"note": "a\0"}, {"note": "\ud800"}, {"note": 1})
    ]

    assert reasons == [
        "carat must be at least 0.1, not 0",
        "carat must be at most 100, not 101",
        'cut must be one of Good, Ideal, not "good"',
        "note holds a character that no database keeps",
        "note holds a character that no database keeps",
        "note must be a text, not 1",
    ]


def test_the_same_row_twice_is_one_and_a_key_with_two_meanings_stays_twice():
    assert [each["id"] for each in page_of(row(1), row(1)).rows] == [1]
    both = page_of(row(1, competence=9.0), row(1))
    assert [each["competence"] for each in both.rows] == [0.1, 9.0]
    assert both == page_of(row(1), row(1, competence=9.0))
    assert (page_of(row(1), row(1)).repeated, both.repeated) == (1, 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'[{"id": 1', "it is not JSON"),
        (b"<html>", "it is not JSON"),
        (b"\xff[]", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"rows": []}', 'page 3 is no list but {"rows": \\[\\]}'),
        (b"[" + b"1," * 1000 + b"1]", "page 3 holds 1,001 rows, more than 1,000"),
    ],
)
def test_what_is_no_page_is_said(body, why):
    with pytest.raises(PageError, match=why):
        read_page(SPEC, 3, body)


def test_a_page_looks_wrong_where_a_row_is_bad_double_or_missing_or_it_is_not_full():
    whole = page_of(*map(row, range(11, 21)))

    assert not whole.looks_wrong("id", 10)
    assert not whole.looks_wrong("id", 15)  # some of it was there before
    assert not whole.looks_wrong("id", None)
    assert whole.looks_wrong("id", 9)
    assert whole.looks_wrong("id", 20)
    assert page_of(*map(row, range(11, 20))).looks_wrong("id", 10)
    assert page_of(*map(row, [*range(11, 20), 21])).looks_wrong("id", 10)
    assert page_of(*map(row, [*range(11, 21), 20])).looks_wrong("id", 10)
    assert page_of(*map(row, range(11, 20)), row(20, competence="x")).looks_wrong("id", 10)


def test_a_long_row_is_kept_cut():
    (reject,) = page_of(row(1, competence="x" * 5000)).rejects

    assert (len(reject.raw), reject.raw[-1]) == (2001, "…")
    assert reject == Reject(3, "1", f'competence must be a finite number, not "{"x" * 59}…', reject.raw)


def test_rows_without_a_key_that_are_alike_are_so_many_rejects():
    page = page_of(row(1), {"competence": 1}, {"competence": 1}, row(2, competence="x"), row(2, competence="x"))

    keys = [reject.key for reject in page.rejects]
    assert len(keys) == len(set(keys)) == 3
    assert sorted(key.startswith("#") for key in keys) == [False, True, True]
    assert (len(page.rows), page.size) == (1, 5)
