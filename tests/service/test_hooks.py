"""The request hook around a small app of the tests' own: what passes, what is refused, what is recorded."""

import asyncio
import json
import time
import uuid

import pytest

from diamonds.schema import Diamond
from diamonds.service import hooks
from diamonds.service.hooks import MOST_BYTES, Door, RequestHook, new_request_id

STONE = b'{"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}'
DOORS = {"/predict": Door(Diamond, "This diamond cannot be priced")}


class Recording:
    """Stands where the champion and the outbox are in a worker."""

    def __init__(self, champion=True):
        self.champion = object() if champion else None
        self.records = []

    def keep(self, record):
        self.records.append(record)


def exchange(
    app, serving, *, method="POST", path="/predict", body=STONE, headers=((b"content-type", b"application/json"),)
):
    """One request through the hook: the messages that left, and what the records were when each one left."""
    chunks = body if isinstance(body, list) else [body]
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
        for place, chunk in enumerate(chunks)
    ]
    sent, known = [], []

    async def receive():
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        known.append(len(serving.records))

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("192.0.2.1", 4711)}
    asyncio.run(RequestHook(app, serving, DOORS)(scope, receive, send))
    return sent, known


def answering(status=200, chunks=(b'{"price": 1}',), headers=()):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for place, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": place < len(chunks) - 1})

    return app


def problem(sent):
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/problem+json"
    return json.loads(sent[1]["body"], parse_constant=no_constant)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_an_answer_passes_unchanged_and_is_recorded_whole():
    serving = Recording()

    sent, _ = exchange(answering(chunks=(b'{"pri', b'ce": 1}')), serving)

    assert b"".join(message.get("body", b"") for message in sent) == b'{"price": 1}'
    (record,) = serving.records
    assert (record["method"], record["path"], record["status"], record["client"]) == (
        "POST",
        "/predict",
        200,
        "192.0.2.1",
    )
    assert record["request_body"] == json.loads(STONE)
    assert record["response_body"] == {"price": 1}
    assert record["duration_ms"] >= 0


def test_the_record_is_kept_before_the_last_byte_leaves():
    serving = Recording()

    _, known = exchange(answering(chunks=(b'{"pri', b'ce": 1}')), serving)

    assert known == [0, 0, 1]


def test_a_body_in_many_chunks_reaches_the_app_in_one():
    bodies = []

    async def app(scope, receive, send):
        bodies.append((await receive())["body"])
        await answering()(scope, _nothing, send)

    async def _nothing():
        return {}

    exchange(app, Recording(), body=[STONE[:5], STONE[5:9], STONE[9:]])

    assert bodies == [STONE]


def test_what_does_not_hold_is_refused_before_the_app_sees_it():
    async def never(scope, receive, send):
        raise AssertionError("the app was called")

    serving = Recording()

    sent, _ = exchange(never, serving, body=b'{"carat": 1.1, "cut": "Ideal", "color": "Z", "clarity": "SI2"}')

    answer = problem(sent)
    assert sent[0]["status"] == answer["status"] == 422
    assert answer["title"] == "This diamond cannot be priced"
    assert answer["errors"] == [
        {"field": "color", "got": "Z", "problem": "must be one of D, E, F, G, H, I, J (D is the best)"}
    ]
    assert serving.records[0]["response_body"] == answer
    assert serving.records[0]["request_id"] == answer["request_id"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"carat=1.1", b"\xff\xfe", "{}".encode("utf-16"), b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500],
    ids=["empty", "cut off", "form", "not UTF-8", "UTF-16", "endless nesting", "deep nesting"],
)
def test_what_is_not_json_is_400(body):
    sent, _ = exchange(answering(), Recording(), body=body)

    assert problem(sent)["status"] == 400


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b'"carat"',
        b"{}",
        b'{"carat": NaN}',
        b'{"carat": 1e400}',
        b'{"carat": -Infinity}',
        b'{"carat": [NaN, {"x": Infinity}]}',
        b'{"unknown": 1e400}',
        b'{"carat": 1' + b"0" * 400 + b"}",
        b'{"cut": null, "\\u0000": "\\u0000"}',
    ],
)
def test_json_that_is_no_diamond_is_422_and_the_answer_is_strict_json(body):
    sent, _ = exchange(answering(), Recording(), body=body)

    assert problem(sent)["status"] == 422


def test_a_lone_surrogate_is_refused_in_plain_words():
    sent, _ = exchange(answering(), Recording(), body=b'{"carat": "\\ud800", "\\ud800": 1}')

    assert problem(sent)["status"] in {400, 422}


def test_a_byte_order_mark_does_no_harm():
    sent, _ = exchange(answering(), Recording(), body=b"\xef\xbb\xbf" + STONE)

    assert sent[0]["status"] == 200


def test_an_answer_does_not_grow_with_what_is_wrong():
    many = json.dumps({f"field{number}": number for number in range(20_000)}).encode()
    long = json.dumps({"carat": 1, "cut": "x" * 1_000_000, "color": "D", "clarity": "IF"}).encode()

    of_many, of_long = (problem(exchange(answering(), Recording(), body=body)[0]) for body in (many, long))

    assert len(of_many["errors"]) == 21
    assert of_many["errors"][-1]["problem"] == "19,984 more problems are not listed"
    assert of_long["errors"][0]["got"] == "x" * 200 + "… (1,000,000 characters)"


def test_a_caller_who_leaves_before_the_end_of_the_body_gets_no_price():
    async def never(scope, receive, send):
        raise AssertionError("the app was called")

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    serving, sent = Recording(), []
    messages = [{"type": "http.request", "body": STONE, "more_body": True}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "client": None}
    asyncio.run(RequestHook(never, serving, DOORS)(scope, receive, send))

    assert [record["status"] for record in serving.records] == [408]


def test_an_answer_that_takes_too_long_is_504_in_plain_words(monkeypatch):
    async def slow(scope, receive, send):
        await asyncio.Event().wait()

    monkeypatch.setattr(hooks, "DEADLINE_SECONDS", 0.05)
    serving = Recording()

    sent, _ = exchange(slow, serving)

    assert problem(sent)["title"] == "The answer took too long"
    assert [record["status"] for record in serving.records] == [504]


@pytest.mark.parametrize(
    "content_type", [b"text/plain", b"application/x-www-form-urlencoded", b"application/vnd.bentoml+pickle"]
)
def test_what_is_not_sent_as_json_is_415(content_type):
    sent, _ = exchange(answering(), Recording(), headers=((b"content-type", content_type),))

    assert problem(sent)["status"] == 415


@pytest.mark.parametrize("headers", [(), ((b"content-type", b"Application/JSON; charset=utf-8"),)])
def test_json_with_a_charset_or_without_a_type_is_taken(headers):
    sent, _ = exchange(answering(), Recording(), headers=headers)

    assert sent[0]["status"] == 200


def test_a_body_over_four_mebibytes_is_refused_without_being_read_to_its_end():
    serving, served = Recording(), []

    def chunks():
        while True:
            served.append(1)
            yield b" " * 1024 * 1024

    stream = chunks()
    sent = []

    async def receive():
        return {"type": "http.request", "body": next(stream), "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "client": None}
    asyncio.run(RequestHook(answering(), serving, DOORS)(scope, receive, send))

    assert problem(sent)["status"] == 413
    assert len(served) == MOST_BYTES // 1024**2 + 1
    assert serving.records[0]["status"] == 413


def test_without_a_champion_the_answer_is_503_and_says_what_to_do():
    sent, _ = exchange(answering(), Recording(champion=False))

    assert problem(sent)["title"] == "No champion is loaded yet: train one with `kedro run`"
    assert dict(sent[0]["headers"])[b"retry-after"] == b"5"


def test_an_error_of_the_framework_leaves_as_a_problem_and_its_text_stays_inside():
    serving = Recording()

    sent, _ = exchange(answering(500, (b"Traceback: ", b"secret"), [(b"content-type", b"text/plain")]), serving)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert problem(sent)["title"] == "Something went wrong here, not with your request"
    assert "secret" not in str(serving.records)


def test_a_method_that_is_not_taken_keeps_its_allow_header():
    sent, _ = exchange(answering(405, (b"no",), [(b"allow", b"POST")]), Recording(), method="GET")

    assert dict(sent[0]["headers"])[b"allow"] == b"POST"
    assert problem(sent)["status"] == 405


def test_an_app_that_raises_is_a_500_in_plain_words_in_the_answer_the_log_and_the_record(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("broken")

    serving = Recording()

    sent, _ = exchange(broken, serving)

    answer = problem(sent)
    assert (answer["status"], answer["title"]) == (500, "Something went wrong here, not with your request")
    assert [(record["status"], record["response_body"]) for record in serving.records] == [(500, answer)]
    assert "RuntimeError: broken" in caplog.text


def test_a_log_that_cannot_be_written_does_not_stop_the_answer(caplog):
    class Full(Recording):
        def keep(self, record):
            raise OSError("no space left on device")

    sent, _ = exchange(answering(), Full())

    assert sent[0]["status"] == 200
    assert "could not be kept: no space left on device" in caplog.text


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/docs.json", "/static_content/swagger.js"])
def test_health_pages_and_assets_leave_no_record(path):
    serving = Recording()

    exchange(answering(), serving, method="GET", path=path)

    assert serving.records == []


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"{bad", "{bad"),
        (b"\xff", "\ufffd"),
        (b'{"x": NaN}', '{"x": NaN}'),
        (b'{"x": 1e400}', '{"x": 1e400}'),
        (b"", None),
    ],
)
def test_a_body_that_is_not_json_is_recorded_as_the_text_it_is(body, kept):
    serving = Recording()

    exchange(answering(), serving, body=body)

    assert serving.records[0]["request_body"] == kept


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
