"""The books compared: what clients received, and what the traffic log has."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.traffic.mix import Request
from benchmarks.traffic.receipts import Receipt, Receipts

#: So many of what is wrong are named.
SHOWN = 3


def missing_or_doubled(received: Iterable[str], kept: Iterable[str], unknown: int = 0) -> list[str]:
    """What is wrong with the ids of the rows, in sentences.

    Args:
        received: The id in each answer that a client received in full.
        kept: The id of each row.
        unknown: How many requests were sent whose answer nobody received: they may have a row, or none.
    """
    received, rows = list(received), Counter(kept)
    problems = []
    if nameless := received.count(""):
        problems.append(f"{nameless:,} answers name no request_id")
    if twice := [each for each, times in Counter(received).items() if times > 1 and each]:
        problems.append(f"{len(twice):,} ids were given to more than one answer: {_some(twice)}")
    if lost := [each for each in set(received) - rows.keys() if each]:
        problems.append(f"{len(lost):,} answers have no row: {_some(lost)}")
    if doubled := [each for each, times in rows.items() if times > 1]:
        problems.append(f"{len(doubled):,} exchanges have more than one row: {_some(doubled)}")
    foreign = len(rows.keys() - set(received))
    if foreign > unknown:
        problems.append(f"{foreign:,} rows belong to no answer, and only {unknown:,} answers did not arrive")
    return problems


def altered(requests: Sequence[Request], receipts: Receipts, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Which rows say otherwise than what was sent and received, in sentences."""
    answers = {answer.request_id: answer for answer in receipts.answers}
    known = ((row, answers[row["request_id"]]) for row in rows if row["request_id"] in answers)
    wrong = {
        row["request_id"]: columns
        for row, answer in known
        if (columns := differences(requests[answer.number % len(requests)], answer, row))
    }
    if not wrong:
        return []
    shown = "; ".join(f"{request_id}: {', '.join(columns)}" for request_id, columns in list(wrong.items())[:SHOWN])
    return [f"{len(wrong):,} rows are not what was sent and answered: {shown}"]


def differences(request: Request, answer: Receipt, row: Mapping[str, Any]) -> list[str]:
    """The columns of a row that differ from what was sent and received."""
    sent = {"method": request.method, "path": request.path, "status": answer.status}
    assert answer.body is not None, "the clients were to keep the bodies"
    return [
        *(column for column, value in sent.items() if row[column] != value),
        *_body_differences("request", request.body, row),
        *_body_differences("response", answer.body.encode(), row),
    ]


def _body_differences(side: str, body: bytes, row: Mapping[str, Any]) -> list[str]:
    """A body that is kept cut has its length and its hash beside it; another may have its length."""
    kept, digest, size = (row.get(f"{side}_{what}") for what in ("body", "sha256", "bytes"))
    held = {
        f"{side}_body": is_beginning(kept, body) if digest else is_same(kept, body),
        f"{side}_sha256": not digest or digest == hashlib.sha256(body).hexdigest(),
        f"{side}_bytes": size is None or size == len(body),
    }
    return [column for column, holds in held.items() if not holds]


def is_beginning(kept: object, body: bytes) -> bool:
    """Whether this text is how the body begins; a character that was cut in two may be missing."""
    text = kept.rstrip("\ufffd") if isinstance(kept, str) else ""
    return bool(text) and body.decode(errors="replace").startswith(text)


def is_same(kept: object, body: bytes) -> bool:
    """Whether a column holds this body: its JSON, its text where it is none, nothing where it is empty.

    Of NUL and lone surrogates a database may keep the JSON text instead.

    >>> is_same({"carat": 1}, b'{"carat": 1.0}'), is_same("{", b"{"), is_same(None, b""), is_same("NaN", b"NaN")
    (True, True, True, True)
    """
    meant = value(body)
    return kept == meant or (isinstance(kept, str) and _is_odd(meant) and kept == json.dumps(meant))


def value(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """What a body is to be kept as."""
    if not body:
        return None
    try:
        return json.loads(body, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _is_odd(meant: object) -> bool:
    text = json.dumps(meant)
    return "\\u0000" in text or "\\ud" in text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _some(ids: Sequence[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN])
