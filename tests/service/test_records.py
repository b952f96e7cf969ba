"""What is recorded of an exchange: its bodies, masked and cut, their sizes, and an id that tells its age."""

import hashlib
import json
import time
import uuid

import pytest

from diamonds.service import bodies
from diamonds.service.bodies import MASK, MOST_KEPT
from diamonds.service.exchange import new_request_id
from hooked import STONE, Recording, answering, ask, exchange

PADDED = STONE + b" " * MOST_KEPT


def recorded(masked=(), **request):
    serving = Recording(masked=masked)
    sent, _ = ask(serving, **request)
    (record,) = serving.records
    return record, b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"{bad", "{bad"),
        (b"\xff", "\ufffd"),
        (b'{"x": NaN}', '{"x": NaN}'),
        (b'{"x": 1e400}', '{"x": 1e400}'),
        (
            b'{"carat": NaN, "carat": 1, "cut": "Ideal", "color": "D", "clarity": "IF"}',
            '{"carat": NaN, "carat": 1, "cut": "Ideal", "color": "D", "clarity": "IF"}',
        ),
        (b"", None),
    ],
)
def test_a_body_that_is_not_json_is_recorded_as_the_text_it_is(body, kept):
    serving = Recording()

    ask(serving, body=body)

    assert serving.records[0]["request_body"] == kept


def test_the_sizes_of_both_bodies_are_recorded_and_no_digest_where_all_is_kept():
    record, answer = recorded()

    assert (record["request_bytes"], record["response_bytes"]) == (len(STONE), len(answer))
    assert not {"request_sha256", "response_sha256", "quoted"} & set(record)


def test_a_long_body_is_kept_cut_with_the_digest_of_all_of_it():
    record, _ = recorded(body=PADDED)

    assert record["status"] == 200
    assert record["request_body"] == PADDED[:MOST_KEPT].decode()
    assert (record["request_bytes"], record["request_sha256"]) == (len(PADDED), hashlib.sha256(PADDED).hexdigest())


def test_a_body_of_just_the_bound_is_kept_whole():
    body = STONE.ljust(MOST_KEPT)

    record, _ = recorded(body=body)

    assert (record["request_body"], record.get("request_sha256")) == (json.loads(STONE), None)


def test_no_character_is_cut_in_two():
    body = b"x" + "\u00e9".encode() * MOST_KEPT

    record, _ = recorded(body=body)

    assert record["request_body"] == "x" + "\u00e9" * (MOST_KEPT // 2 - 1)


def test_of_what_shows_the_log_itself_only_the_size_and_the_digest_are_kept():
    serving, answer = Recording(), b'{"exchanges": []}'

    exchange(answering(chunks=(answer,)), serving, method="GET", path="/traffic", body=b"")

    (record,) = serving.records
    assert record["response_body"] is None
    assert (record["response_bytes"], record["response_sha256"]) == (len(answer), hashlib.sha256(answer).hexdigest())


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"email": "a@b.c", "x": 1}', {"email": MASK, "x": 1}),
        (b'[{"deep": {"Email": {"of": "a@b.c"}}}]', [{"deep": {"Email": MASK}}]),
        (b'{"\\u0065mail": "a@b.c"}', {"email": MASK}),
        (b'{"x": "1"}', {"x": "1"}),
        (b'{"email": "a@b.c"', MASK),
        ('{"email": "a@b.c"}'.encode("utf-16"), MASK),
        (b'{"email": "a@b.c"}' + b" " * MOST_KEPT, MASK),
        (b'{"got": "email", "email": "a@b.c"}', {"got": MASK, "email": MASK}),
        (b"e%6Dail=a@b.c", MASK),
        (b'{"note": "{\\"email\\": \\"a@b.c\\"}"}', {"note": MASK}),
        ('{"T\u00c9L": "a@b.c"}'.encode(), {"T\u00c9L": MASK}),
    ],
)
def test_fields_that_are_masked_are_not_recorded_whatever_their_place_and_spelling(body, kept):
    record, answer = recorded(masked=["email", "t\u00e9l"], body=body)

    assert record["request_body"] == kept
    assert "a@b.c" not in json.dumps(record)
    assert record["response_bytes"] == len(answer), "the caller's own answer is not touched"


def test_what_a_problem_got_in_a_masked_field_is_not_recorded():
    record, answer = recorded(masked=["email"], body=STONE[:-1] + b', "email": "a@b.c"}')

    assert b"a@b.c" in answer
    assert [(each["field"], each["got"]) for each in record["response_body"]["errors"]] == [("email", MASK)]


def test_what_callers_make_up_is_recorded_up_to_a_length_that_every_database_takes():
    record, _ = recorded(method="X" * 300, path="/" + "\u00e9" * 600)

    assert (len(record["method"]), len(record["path"])) == (16, 500)
    assert record["path"].endswith("\u00e9\u2026")


@pytest.mark.parametrize(
    ("client", "kept"), [("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("=cmd|x", None), ("c" * 300, None)]
)
def test_only_an_address_is_recorded_of_what_a_proxy_calls_its_client(client, kept):
    record, _ = recorded(client=client)

    assert record["client"] == kept


def test_of_an_answer_to_head_which_has_no_body_none_is_recorded():
    serving = Recording()

    exchange(answering(chunks=(b'{"price": 1}',)), serving, method="HEAD", path="/champion", body=b"")

    (record,) = serving.records
    assert (record["status"], record["response_body"], record["response_bytes"]) == (200, None, 0)


def test_a_request_and_its_answer_are_packed_and_unpacked_without_what_is_masked():
    request, answer = b'\xef\xbb\xbf[{"carat": 1}]', b'{"quotes": [{"price": 2.5, "email": "a@b.c"}]}'

    assert bodies.unpack(bodies.pack(request, answer)) == ([{"carat": 1}], json.loads(answer))
    assert bodies.unpack(bodies.pack(request, answer, ["email"]))[1] == {"quotes": [{"price": 2.5, "email": MASK}]}


def test_request_ids_are_uuids_of_version_7_and_sort_by_age():
    before = time.time_ns() // 1_000_000

    ids = []
    for _ in range(3):
        ids.append(new_request_id())
        while time.time_ns() // 1_000_000 <= (uuid.UUID(ids[-1]).int >> 80):
            pass

    assert ids == sorted(ids)
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert before <= uuid.UUID(ids[0]).int >> 80 <= before + 60_000
    assert len({new_request_id() for _ in range(10_000)}) == 10_000
