"""What the traffic log keeps of a body: JSON, without what is masked, and cut where it is long."""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import math
import re
import zlib
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

#: In bytes: of what is longer only the beginning is kept.
MOST_KEPT = 64 * 1024
#: Stands where something was masked.
MASK = "***"
#: Where a text gives something a name: it may hold JSON, or a form.
_NAMED = re.compile("[=:]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: A text as a JSON string.
as_text = json.encoder.encode_basestring_ascii


class Kept(NamedTuple):
    """A body as it is kept: as JSON, with the SHA-256 of what came where less of it is kept."""

    json: str
    sha256: str = ""


def keep(body: bytes, masked: Collection[str] = (), *, is_json: bool = False, most: int = MOST_KEPT) -> Kept:
    """What is kept of a body.

    JSON is kept as it is, anything else as a string, nothing as null. Of more than `most` bytes only these are kept,
    as a string. Where a body names a field that is masked, the field's value is; a body that is cut, or that cannot be
    read, is then not kept at all.

    Args:
        body: As it came.
        masked: Names of fields, in lower case.
        is_json: Whether it is known to be strict JSON.
        most: In bytes.
    """
    is_named = bool(masked) and _may_name(body, masked)
    if len(body) > most:
        shown = MASK if is_named else codecs.getincrementaldecoder("utf-8")("replace").decode(body[:most])
        return Kept(as_text(shown) if shown else "null", hashlib.sha256(body).hexdigest())
    if is_named:
        return Kept(_without(body, masked))
    return Kept(body.removeprefix(BYTE_ORDER_MARK).decode() if is_json else _as_json(body))


def pack(request: bytes, response: bytes, masked: Collection[str] = ()) -> str:
    """A request and its answer, both JSON, in little space; see `unpack`."""
    pair = b"[%b,%b]" % (request.removeprefix(BYTE_ORDER_MARK), response)
    if masked and _may_name(pair, masked):
        pair = json.dumps(_mask(json.loads(pair), masked)).encode()  # what was answered can be read
    return base64.b64encode(zlib.compress(pair, 1)).decode()


def unpack(packed: str) -> tuple[Any, Any]:
    """The request and the answer that were packed."""
    request, response = json.loads(zlib.decompress(base64.b64decode(packed)))
    return request, response


def _may_name(body: bytes, masked: Collection[str]) -> bool:
    """Whether a body may name one of these fields; escapes and other encodings could hide it."""
    if b"\\u" in body or b"\x00" in body:
        return True
    lowered = (unquote_to_bytes(body.replace(b"+", b" ")) if b"%" in body else body).lower()  # of ASCII only
    return any(name.encode() in lowered if name.isascii() else not lowered.isascii() for name in masked)


def _without(body: bytes, masked: Collection[str]) -> str:
    try:
        return json.dumps(_mask(_read(body), masked))
    except (ValueError, RecursionError):
        return as_text(MASK)


def _mask(value: Any, masked: Collection[str]) -> Any:  # noqa: ANN401 - JSON is anything
    if isinstance(value, list):
        return [_mask(each, masked) for each in value]
    if isinstance(value, str):
        return MASK if _NAMED.search(value) and _names(unquote_plus(value), masked) else value
    if not isinstance(value, dict):
        return value
    if "got" in value and _names(f"{value.get('field')} {value['got']}", masked):  # a problem says what it is about
        value |= {"got": MASK}
    return {key: MASK if key.lower() in masked else _mask(each, masked) for key, each in value.items()}


def _names(text: str, masked: Collection[str]) -> bool:
    lowered = text.lower()
    return any(name in lowered for name in masked)


def _as_json(body: bytes) -> str:
    """A body as strict JSON: as it is, as a string where it is none, or null where there is none."""
    if not body:
        return "null"
    try:
        return json.dumps(_read(body))
    except (ValueError, RecursionError):
        return as_text(body.decode("utf-8", "replace"))


def _read(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    text = body.removeprefix(BYTE_ORDER_MARK).decode()
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond what JSON can hold")
    return number
