"""What the benchmark of the traffic log would find, if there were something to be found."""

import hashlib
import inspect
import json
import math

import pytest

from benchmarks.service.bodies import default_stones
from benchmarks.traffic.audit import altered, missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.kill import kills_without_load
from benchmarks.traffic.millions import LIST, Question, wrong
from benchmarks.traffic.mix import LONG_BYTES, Request, mix
from benchmarks.traffic.outage import Outage, tell, tell_backlog
from benchmarks.traffic.receipts import Receipt, Receipts
from benchmarks.traffic.shipping import id_of, renamed
from diamonds.service.exchange import Exchange
from diamonds.service.state import Serving
from scripted import answer, scripted

FIRST, SECOND, THIRD = (f"01a2000{number}-0000-7000-8000-000000000000" for number in (1, 2, 3))
SENT = Request("/predict", b'{"carat": 1.10, "cut": "Ideal"}')
ANSWERED = json.dumps({"price": 4733.5, "request_id": FIRST})
ROW = {
    "request_id": FIRST,
    "method": "POST",
    "path": "/predict",
    "status": 200,
    "request_body": {"cut": "Ideal", "carat": 1.1},
    "response_body": {"price": 4733.5, "request_id": FIRST},
}


def receipt(request_id=FIRST, *, number=0, due=0, ended=1_000_000, status=200, body=ANSWERED):
    return Receipt(number, due, ended, status, request_id, body)


def test_where_each_answer_has_one_row_nothing_is_wrong():
    assert missing_or_doubled([FIRST, SECOND], [SECOND, FIRST]) == []


def test_a_lost_a_doubled_and_a_foreign_row_are_named():
    assert missing_or_doubled([FIRST, SECOND], [SECOND, SECOND, THIRD]) == [
        f"1 answers have no row: {FIRST}",
        f"1 exchanges have more than one row: {SECOND}",
        "1 rows belong to no answer, and only 0 answers did not arrive",
    ]


def test_an_answer_that_did_not_arrive_may_have_a_row_or_none():
    assert missing_or_doubled([FIRST], [FIRST, SECOND], unknown=1) == []
    assert missing_or_doubled([FIRST], [FIRST], unknown=1) == []


def test_an_id_given_twice_and_an_answer_without_one_are_named():
    assert missing_or_doubled([FIRST, FIRST, ""], [FIRST]) == [
        "1 answers name no request_id",
        f"1 ids were given to more than one answer: {FIRST}",
    ]


def test_a_row_that_says_what_was_sent_and_answered_is_not_altered():
    assert altered([SENT], Receipts([receipt()]), [ROW]) == []


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("status", 422),
        ("path", "/similar"),
        ("method", "GET"),
        ("request_body", {"cut": "Ideal", "carat": 1.2}),
        ("response_body", None),
        ("request_bytes", len(SENT.body) + 1),
        ("response_sha256", "0" * 64),
    ],
)
def test_a_row_that_says_otherwise_is_named_with_the_column(column, changed):
    (problem,) = altered([SENT], Receipts([receipt()]), [ROW | {column: changed}])

    assert problem.startswith(f"1 rows are not what was sent and answered: {FIRST}: ")
    assert column in problem


def test_the_request_of_an_answer_is_the_one_sent_in_its_turn():
    other = Request("/similar", b"{}")

    assert altered([other, SENT], Receipts([receipt(number=3)]), [ROW]) == []
    assert altered([other, SENT], Receipts([receipt(number=2)]), [ROW]) != []


def test_a_body_that_is_kept_cut_is_known_by_its_beginning_its_length_and_its_hash():
    long = ("é" * LONG_BYTES).encode()
    cut = {
        "request_body": long[:65_535].decode(errors="replace"),
        "request_bytes": len(long),
        "request_sha256": hashlib.sha256(long).hexdigest(),
    }
    sent, received = [SENT._replace(body=long)], Receipts([receipt()])

    assert altered(sent, received, [ROW | cut]) == []
    for changed in ({"request_body": "e" * 65_536}, {"request_bytes": 65_536}, {"request_sha256": "0" * 64}):
        assert next(iter(changed)) in altered(sent, received, [ROW | cut | changed])[0]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", None),
        (b'{"carat":', '{"carat":'),
        (b'{"carat": NaN}', '{"carat": NaN}'),
        (b"\xff", "\ufffd"),
        (b'{"cut": "\\u0000"}', '{"cut": "\\u0000"}'),
    ],
)
def test_what_is_no_json_is_kept_as_its_text_and_what_a_database_cannot_hold_too(body, kept):
    assert altered([SENT._replace(body=body)], Receipts([receipt()]), [ROW | {"request_body": kept}]) == []


def test_the_mix_is_bad_to_a_tenth_and_the_same_under_one_seed():
    stones = default_stones()

    mixed = mix(stones, 2_000, seed=3)

    assert mixed == mix(stones, 2_000, seed=3)
    assert {"/predict", "/predict/batch", "/similar", "/explain", "/nowhere"} == {each.path for each in mixed}
    assert {"text/plain", "application/json"} == {each.content_type for each in mixed}
    assert 150 < sum(_is_bad(each) for each in mixed) < 250
    assert max(len(each.body) for each in mixed) >= LONG_BYTES
    assert max(len(each.body) for each in mix(stones, 2_000, seed=3, long=False)) < LONG_BYTES


def _is_bad(request):
    marks = (b"NaN", b'"dept"', b'"Z"', b'"carat": -1', b'"note"', b"\\u0000", b"na\xc3\xafve")
    return (
        request.path == "/nowhere"
        or request.method == "GET"
        or request.content_type != "application/json"
        or request.body[-1:] not in {b"}", b"]"}
        or any(mark in request.body for mark in marks)
    )


def test_clients_remember_each_answer_with_its_request_its_id_and_its_body():
    bodies = [json.dumps({"request_id": name}) for name in (FIRST, SECOND)]
    requests = [Request("/predict", b"1").as_bytes(), Request("/predict", b"22").as_bytes()]

    with (
        scripted([answer(b"200 OK", bodies[0].encode())], [answer(b"422 No", bodies[1].encode())]) as (port, asked),
        asking(requests, port, count=4, connections=1, keeps_bodies=True) as clients,
    ):
        receipts = clients.wait()

    assert asked == requests * 2
    assert receipts.broken == 0
    assert receipts.failed == 2
    assert [(each.number, each.status, each.request_id, each.body) for each in receipts.answers] == [
        (0, 200, FIRST, bodies[0]),
        (1, 422, SECOND, bodies[1]),
        (2, 200, FIRST, bodies[0]),
        (3, 422, SECOND, bodies[1]),
    ]


def test_a_patient_client_comes_back_when_its_connection_breaks_and_counts_the_answer_as_broken():
    whole = answer(b"200 OK", json.dumps({"request_id": FIRST}).encode())

    with (
        scripted([whole], [whole[:-3], b""], [whole]) as (port, asked),
        asking([SENT.as_bytes()], port, count=3, connections=1, is_patient=True) as clients,
    ):
        receipts = clients.wait()

    assert len(asked) == 3
    assert receipts.broken == 1
    assert [each.number for each in receipts.answers] == [0, 2]


def test_at_a_rate_the_time_of_an_answer_counts_from_when_it_was_to_be_asked():
    with (
        scripted([answer(b"200 OK")]) as (port, _),
        asking([SENT.as_bytes()], port, count=20, rate=2_000, connections=2) as clients,
    ):
        receipts = clients.wait()

    due = sorted(each.due for each in receipts.answers)
    assert due[-1] - due[0] == pytest.approx(19 * 500_000, abs=2_000_000)
    assert all(each.ended > each.due for each in receipts.answers)


def test_clients_end_when_they_are_told_to():
    with (
        scripted([answer(b"200 OK")]) as (port, asked),
        asking([SENT.as_bytes()], port, connections=2) as clients,
    ):
        while len(asked) < 10 and clients.process.poll() is None:
            pass
        receipts = clients.end()

    assert len(receipts.answers) == len(asked)


def test_kills_of_a_service_that_answered_nothing_show_nothing():
    receipts = Receipts([receipt(ended=5), receipt(ended=15)])

    assert kills_without_load(receipts, [10, 20]) == []
    assert kills_without_load(receipts, [10, 12, 20]) == ["before 1 of 3 kills nothing was answered"]


def test_an_outage_is_read_against_what_was_before_and_a_failed_request_breaks_the_promise():
    second = 10**9
    spans = [(0, 2_000_000), (10, 3_500_000), (20, 1_000_000)]
    answers = [
        receipt(due=(start * second + number), ended=start * second + number + taken)
        for start, taken in spans
        for number in range(100)
    ]
    findings, outage = Findings("outage"), Outage(0, 10 * second, 20 * second)

    tell(findings, "steady", Receipts([*answers, receipt(status=503)]), outage)

    figures = {figure.what: figure for figure in findings.figures}
    assert figures["steady, before: p99"].value == pytest.approx(2.0)
    assert (figures["steady, during: p99"].value, figures["steady, during: p99"].most) == (pytest.approx(3.5), 3.0)
    assert figures["steady, during: p99"].is_reached is False
    assert figures["steady, after: p99"].is_reached is None
    assert findings.problems == ["outage, steady: 1 requests failed"]


def test_what_waited_is_there_once_no_more_comes_and_never_where_some_is_missing():
    findings, outage = Findings("outage"), Outage(seen=[(4.0, 90), (5.0, 100), (20.0, 100)])

    tell_backlog(findings, "steady", outage, 100, under_load=True)
    tell_backlog(findings, "short", outage, 101, under_load=False)

    assert [(figure.value, figure.is_reached) for figure in findings.figures] == [(5.0, True), (None, False)]
    assert findings.remarks == ["short: the load ended 45 s after the return; what waited came later"]


def test_a_bar_that_is_not_reached_is_said_and_a_broken_promise_is_failed():
    findings = Findings("shipping")
    findings.add("SQLite: rows", 4_000, "records/s", least=5_000)
    findings.add("SQLite: lag", 0.5, "s", most=1)
    findings.add("SQLite: nothing", None, most=1)
    findings.blame("SQLite", ["1 answers have no row"])

    lines = findings.table().splitlines()

    assert [line.split()[0] for line in lines[2:5]] == ["no", "yes", "no"]
    assert lines[2].endswith("SQLite: rows, at least 5,000")
    assert lines[5] == "FAILED shipping, SQLite: 1 answers have no row"
    assert [figure["reached"] for figure in findings.as_json()["figures"]] == [False, True, False]


def test_records_are_repeated_with_ids_of_their_own_that_ascend():
    records = [f'{{"request_id":"{FIRST}","path":"{path}"}}' for path in ("/a", "/b")]

    repeated = renamed(records, 5)

    ids = [id_of(each) for each in repeated]
    assert ids == sorted(set(ids))
    assert [json.loads(each)["path"] for each in repeated] == ["/a", "/b", "/a", "/b", "/a"]
    assert [json.loads(each)["request_id"] for each in repeated] == ids


def test_an_exchange_that_was_not_asked_for_is_named():
    rare = Question("status, rare", LIST, {"status": "503", "before": THIRD})
    found = [{"request_id": name, "status": 503} for name in (SECOND, FIRST)]

    assert wrong(rare, {"exchanges": found}) == []
    assert wrong(rare, {"exchanges": found[::-1]}) == ["the newest are not first"]
    assert wrong(rare, {"exchanges": [{"request_id": THIRD, "status": 200}]}) == [
        f"{THIRD} has status 200",
        f"{THIRD} is not before {THIRD}",
    ]
    assert wrong(rare, {"exchanges": []}) == ["0 exchanges were found"]


def test_what_the_service_without_a_log_puts_aside_is_still_there():
    assert list(inspect.signature(Exchange._as_json).parameters) == ["self", "seconds", "status"]
    assert list(inspect.signature(Serving.keep).parameters) == ["self", "record"]


def test_receipts_are_written_and_read_back(tmp_path):
    receipts = Receipts([receipt(), receipt(SECOND, body=None)], broken=2)

    receipts.write(tmp_path / "receipts.json")

    assert Receipts.read(tmp_path / "receipts.json") == receipts
    assert math.isclose(receipts.answers[0].milliseconds, 1.0)
