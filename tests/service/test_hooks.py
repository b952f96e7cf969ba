"""The request hook around a small app of the tests' own: what passes, what is refused, what is recorded."""

import asyncio
import functools
import json
import threading

import pytest

from diamonds.service import exchange as exchanges
from diamonds.service import hooks
from diamonds.service.bodies import MOST_KEPT
from diamonds.service.doors import Work
from diamonds.service.exchange import MOST_DRAINED
from diamonds.service.hooks import MOST_BYTES, RequestHook
from diamonds.service.problems import RefusedError
from hooked import JSON, STONE, Caller, Recording, answering, ask, door, exchange, problem, weigh


def test_an_answer_passes_unchanged_and_is_recorded_whole():
    serving = Recording()

    sent, _ = exchange(answering(chunks=(b'{"pri', b'ce": 1}')), serving)

    assert b"".join(message.get("body", b"") for message in sent) == b'{"price": 1}'
    (record,) = serving.records
    assert (record["method"], record["path"], record["status"], record["client"]) == (
        "POST",
        "/weigh",
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


def test_a_door_answers_by_itself_and_the_record_holds_both_bodies():
    serving = Recording()

    sent, known = ask(serving)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert dict(sent[0]["headers"]) == {b"content-type": b"application/json", b"content-length": b"13"}
    assert sent[1]["body"] == b'{"carat":1.1}'
    assert known == [1, 1]
    assert serving.records[0]["request_body"] == json.loads(STONE)
    assert serving.records[0]["response_body"] == {"carat": 1.1}
    assert serving.counted == [("/weigh", 200)]


def test_what_does_not_hold_is_refused_before_it_is_answered():
    def never(serving, asked, exchange):
        raise AssertionError("it was answered")

    serving = Recording()

    sent, _ = ask(serving, door(never), body=b'{"carat": 1.1, "cut": "Ideal", "color": "Z", "clarity": "SI2"}')

    answer = problem(sent)
    assert sent[0]["status"] == answer["status"] == 422
    assert answer["title"] == "This diamond cannot be weighed"
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
    sent, _ = ask(Recording(), body=body)

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
    sent, _ = ask(Recording(), body=body)

    assert problem(sent)["status"] == 422


def test_nan_that_a_field_given_twice_hides_is_refused_too():
    serving = Recording()

    sent, _ = ask(serving, body=b'{"carat": NaN, "carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}')

    assert [each["problem"] for each in problem(sent)["errors"]] == ["NaN and Infinity are no JSON"]
    assert [record["status"] for record in serving.records] == [422]


def test_a_lone_surrogate_is_refused_in_plain_words():
    sent, _ = ask(Recording(), body=b'{"carat": "\\ud800", "\\ud800": 1}')

    assert problem(sent)["status"] in {400, 422}


def test_a_byte_order_mark_does_no_harm():
    sent, _ = ask(Recording(), body=b"\xef\xbb\xbf" + STONE)

    assert sent[0]["status"] == 200


def test_an_answer_does_not_grow_with_what_is_wrong():
    many = json.dumps({f"field{number}": number for number in range(9_000)}).encode()
    long = json.dumps({"carat": 1, "cut": "x" * 1_000_000, "color": "D", "clarity": "IF"}).encode()

    of_many, of_long = (problem(ask(Recording(), body=body)[0]) for body in (many, long))

    assert len(of_many["errors"]) == 21
    assert of_many["errors"][-1]["problem"] == "8,984 more problems are not listed"
    assert of_long["errors"][0]["got"] == "x" * 200 + "… (1,000,000 characters)"


def test_a_caller_who_leaves_before_the_end_of_the_body_gets_no_answer():
    serving = Recording()
    caller = Caller(serving)
    caller.incoming[0]["more_body"] = True

    asyncio.run(caller.through(RequestHook(answering(), serving, door())))

    assert [record["status"] for record in serving.records] == [408]


def test_a_caller_who_does_not_send_the_rest_is_told_so(monkeypatch):
    class Slow(Caller):
        async def receive(self):
            return self.incoming.pop(0) if self.incoming else await asyncio.Event().wait()

    monkeypatch.setattr(hooks, "DEADLINE_SECONDS", 0.05)
    serving = Recording()
    caller = Slow(serving)
    caller.incoming[0]["more_body"] = True

    asyncio.run(caller.through(RequestHook(answering(), serving, door())))

    assert problem(caller.sent)["title"] == "The request did not arrive whole in time"
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
    sent, _ = ask(Recording(), headers=((b"content-type", content_type),))

    assert problem(sent)["status"] == 415


@pytest.mark.parametrize(
    "headers", [(), ((b"content-type", b""),), ((b"content-type", b"Application/JSON; charset=utf-8"),)]
)
def test_json_with_a_charset_or_without_a_type_is_taken(headers):
    sent, _ = ask(Recording(), headers=headers)

    assert sent[0]["status"] == 200


def test_a_body_over_four_mebibytes_is_refused_without_being_read_to_its_end():
    serving, served = Recording(), []

    class Endless(Caller):
        async def receive(self):
            served.append(1)
            return {"type": "http.request", "body": b" " * 1024 * 1024, "more_body": True}

    caller = Endless(serving)
    asyncio.run(caller.through(RequestHook(answering(), serving, door())))

    assert problem(caller.sent)["status"] == 413
    assert len(served) == MOST_BYTES // 1024**2 + 1 + MOST_DRAINED // 1024**2
    (record,) = serving.records
    assert (record["status"], record["request_bytes"], record["request_body"]) == (413, 5 * 1024**2, " " * 64 * 1024)


@pytest.mark.parametrize(("headers", "most"), [((), 65_537), (((b"expect", b"100-continue"),), 0)])
def test_of_a_body_that_says_it_is_over_four_mebibytes_the_beginning_is_read_unless_its_caller_asks_first(
    headers, most
):
    class Counting(Caller):
        read = 0

        async def receive(self):
            if not self.sent:
                self.read += 1
            return {"type": "http.request", "body": b" ", "more_body": not self.sent}

    serving = Recording()
    caller = Counting(serving, headers=((b"content-length", b"%d" % (MOST_BYTES + 1)), *headers))

    asyncio.run(caller.through(RequestHook(answering(), serving, door())))

    assert problem(caller.sent)["status"] == 413
    assert caller.read == serving.records[0]["request_bytes"] == most


def test_a_body_that_is_announced_too_large_and_comes_too_late_is_too_large(monkeypatch):
    class Slow(Caller):
        async def receive(self):
            return await asyncio.Event().wait()

    monkeypatch.setattr(hooks, "DEADLINE_SECONDS", 0.05)
    caller = Slow(Recording(), headers=((b"content-length", b"%d" % (MOST_BYTES + 1)),))

    asyncio.run(caller.through(RequestHook(answering(), caller.serving, door())))

    assert problem(caller.sent)["status"] == 413


def test_a_caller_who_goes_on_sending_what_was_refused_is_let_go(monkeypatch):
    class Endless(Caller):
        async def receive(self):
            return self.incoming.pop(0) if self.incoming else await asyncio.Event().wait()

    monkeypatch.setattr(hooks, "DEADLINE_SECONDS", 0.05)  # which is over long before the caller is let go
    monkeypatch.setattr(exchanges, "DRAIN_SECONDS", 0.1)
    serving = Recording()
    caller = Endless(serving, body=[b" " * MOST_KEPT, b" "], headers=((b"content-length", b"%d" % (MOST_BYTES + 1)),))
    caller.incoming[-1]["more_body"] = True

    asyncio.run(caller.through(RequestHook(answering(), serving, door())))

    assert [message.get("more_body", False) for message in caller.sent[1:]] == [True, False]
    assert [record["status"] for record in serving.records] == [413]


def test_beyond_a_bound_of_requests_in_flight_the_next_is_sent_away_at_once_and_bodies_on_their_way_do_not_count():
    serving, release = Recording(), threading.Event()

    def wait(serving, asked, exchange):
        assert release.wait(30)
        return weigh(serving, asked, exchange)

    async def crowd():
        hook = RequestHook(answering(), serving, door(wait, work=Work.COMPUTES))
        slow = [Caller(serving) for _ in range(100)]
        for caller in slow:
            caller.incoming[0]["more_body"] = True
            caller.receive = functools.partial(_never, caller.receive)
        reading = [asyncio.create_task(caller.through(hook)) for caller in slow]
        waiting = [asyncio.create_task(Caller(serving).through(hook)) for _ in range(hooks.MOST_IN_FLIGHT)]
        await asyncio.sleep(0)
        refused = await Caller(serving).through(hook)
        release.set()
        answered = await asyncio.gather(*waiting)
        after = await Caller(serving).through(hook)
        for task in reading:
            task.cancel()
        return refused, answered, after

    refused, answered, after = asyncio.run(crowd())

    assert problem(refused.sent)["title"] == "Too much is asked at once: try again in a moment"
    assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"5"
    assert {caller.sent[0]["status"] for caller in [*answered, after]} == {200}


async def _never(receive):
    """The first message, and then none."""
    message = await receive()
    if message["type"] == "http.disconnect":
        await asyncio.Event().wait()
    return message


def test_bodies_that_are_held_do_not_take_more_memory_than_they_may(monkeypatch):
    monkeypatch.setattr(hooks, "MOST_BYTES_HELD", 3 * len(STONE))
    serving = Recording()

    async def hoard():
        hook = RequestHook(answering(), serving, door())
        slow = [Caller(serving) for _ in range(3)]
        for caller in slow:
            caller.incoming[0]["more_body"] = True
            caller.receive = functools.partial(_never, caller.receive)
        reading = [asyncio.create_task(caller.through(hook)) for caller in slow]
        await asyncio.sleep(0)
        refused = await Caller(serving).through(hook)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return refused, await Caller(serving).through(hook)

    refused, after = asyncio.run(hoard())

    assert problem(refused.sent)["status"] == 503
    assert after.sent[0]["status"] == 200, "what was held is let go"


@pytest.mark.parametrize(
    ("token", "client", "headers", "expected"),
    [
        (None, "127.0.0.1", (), 200),
        (None, "::1", (), 200),
        (None, "192.0.2.1", (), 403),
        (None, "somewhere", (), 403),
        (None, "::ffff:127.0.0.1", (), 200),
        (None, "127.0.0.1", ((b"x-real-ip", b"192.0.2.1"),), 403),
        (None, "127.0.0.1", ((b"forwarded", b"for=192.0.2.1"),), 403),
        ("secret", "127.0.0.1", (), 401),
        ("secret", "127.0.0.1", ((b"authorization", b"Bearer wrong"),), 401),
        ("secret", "127.0.0.1", ((b"authorization", b"Basic secret"),), 401),
        ("secret", "192.0.2.1", ((b"authorization", b"Bearer secret"),), 200),
    ],
)
def test_what_changes_anything_is_for_those_with_the_token_or_on_this_machine(token, client, headers, expected):
    serving = Recording(admin_token=token)

    sent, _ = ask(serving, door(guarded=True), client=client, headers=(*JSON, *headers))

    assert sent[0]["status"] == expected
    assert dict(sent[0]["headers"]).get(b"www-authenticate") == (b"Bearer" if expected == 401 else None)
    assert "secret" not in str(serving.records)


@pytest.mark.parametrize(
    ("work", "body", "where"),
    [
        (Work.QUICK, STONE, "MainThread"),
        (Work.QUICK, STONE + b" " * 70_000, "computing_0"),
        (Work.COMPUTES, STONE, "computing_0"),
        (Work.WAITS, STONE, "waiting_0"),
    ],
)
def test_what_takes_longer_than_others_should_wait_is_answered_elsewhere(work, body, where):
    def answer(serving, asked, exchange):
        return json.dumps(threading.current_thread().name).encode()

    sent, _ = ask(Recording(), door(answer, work=work), body=body)

    assert json.loads(sent[1]["body"]) == where


def test_a_client_that_offers_another_protocol_is_told_why_its_body_is_missing():
    sent, _ = ask(Recording(), body=b"", headers=(*JSON, (b"upgrade", b"h2c"), (b"content-length", b"62")))

    assert problem(sent)["status"] == 400
    assert problem(sent)["title"] == "The body was lost: send HTTP/1.1 without the header Upgrade"


def test_a_body_with_endless_faults_is_refused_in_a_sentence():
    serving = Recording()
    body = json.dumps({str(number): number for number in range(20_001)}).encode()

    sent, _ = ask(serving, body=body)

    assert [each["problem"] for each in problem(sent)["errors"]] == ["20,005 things are wrong: this is something else"]
    assert serving.records[0]["request_body"] == body[:MOST_KEPT].decode()


def test_a_long_answer_leaves_in_pieces_whose_record_is_kept_before_the_first():
    serving = Recording()

    def answer(serving, asked, exchange):
        return json.dumps({"text": "x" * 600_000}, separators=(",", ":")).encode()

    sent, known = ask(serving, door(answer))

    pieces = [message["body"] for message in sent[1:]]
    assert [len(piece) for piece in pieces] == [262_144, 262_144, 600_011 - 2 * 262_144]
    assert [message.get("more_body", False) for message in sent[1:]] == [True, True, False]
    assert json.loads(b"".join(pieces)) == {"text": "x" * 600_000}
    assert known == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("size", "late"), [(10, (hooks, "DEADLINE_SECONDS", 0.05)), (1_000_000, (exchanges, "PIECE_SECONDS", 0.05))]
)
def test_a_caller_who_does_not_read_the_answer_is_not_waited_for(size, late, monkeypatch):
    class Deaf(Caller):
        async def send(self, message):
            await super().send(message)
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

    monkeypatch.setattr(*late)
    serving, doors = Recording(), door(lambda serving, asked, exchange: b'"%b"' % (b"x" * size))

    asyncio.run(Deaf(serving).through(RequestHook(answering(), serving, doors)))

    assert [record["status"] for record in serving.records] == [200]


def test_a_refusal_of_the_answer_itself_leaves_as_it_says():
    def refuse(serving, asked, exchange):
        raise RefusedError(503, title="Not yet")

    sent, _ = ask(Recording(), door(refuse))

    assert problem(sent)["title"] == "Not yet"
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


def test_what_machines_read_cannot_be_written_to():
    async def never(scope, receive, send):
        raise AssertionError("the app was called")

    sent, _ = exchange(never, Recording(), method="DELETE", path="/metrics")

    assert problem(sent)["status"] == sent[0]["status"] == 405
    assert dict(sent[0]["headers"])[b"allow"] == b"GET, HEAD"


def test_a_log_that_cannot_be_written_does_not_stop_the_answer():
    class Full(Recording):
        def keep(self, record):
            raise OSError("no space left on device")

    serving = Full()
    sent, _ = ask(serving)

    assert sent[0]["status"] == 200
    assert serving.counted == [("/weigh", 200), "no space left on device"]


@pytest.mark.parametrize("path", ["/", "/livez", "/docs.json", "/static_content/swagger.js"])
def test_health_pages_and_assets_leave_no_record(path):
    serving = Recording()

    exchange(answering(), serving, method="GET", path=path)

    assert serving.records == []
