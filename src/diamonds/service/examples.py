"""Examples of what is asked and answered, for the description of the API and its page."""

from __future__ import annotations

from typing import Any

FOUR_CS: dict[str, Any] = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}
MEASURED: dict[str, Any] = FOUR_CS | {"depth": 62.0, "table": 55.0, "x": 6.61, "y": 6.65, "z": 4.11}
REQUEST_ID = "01a1fe8d-3b5c-7d21-9c4e-5f0a7b6c8d9e"
LOGGED_ID = "01a1fe81-2a4b-7c10-8b3d-4e9f6a5b7c8d"
VERSION = "2026-11-21T16.37.27.905Z"
_BAND = {"price": 4729.65, "currency": "USD", "low": 3886.64, "high": 5257.48, "confidence": 0.9}
_SERVED = {"model": "xgboost", "version": VERSION}
_GUESSED = {"assumed": ["depth", "table", "x", "y", "z"], "outside": []}
_QUOTE = _BAND | _SERVED | _GUESSED | {"request_id": REQUEST_ID}
_TWO = {"weight and grades": FOUR_CS, "measured": MEASURED}

#: By path: what may be asked, each with a name. All run as they are; a sale's id stands for
#: that of a quote, which the page (static/docs.js) asks for as the sale is tried.
REQUESTS: dict[str, dict[str, Any]] = {
    "/predict": _TWO,
    "/predict/batch": {"two stones": [FOUR_CS, MEASURED]},
    "/similar": {"three stones": FOUR_CS | {"n": 3}},
    "/explain": _TWO,
    "/sales": {"a sale": {"request_id": REQUEST_ID, "price": 5100}},
}
#: By path: what is answered.
ANSWERS: dict[str, Any] = {
    "/predict": _QUOTE,
    "/predict/batch": {"quotes": [_BAND | _GUESSED]} | _SERVED | {"request_id": REQUEST_ID},
    "/similar": {
        "samples": [
            MEASURED | {"carat": 1.09, "price": 4791.0, "carat_difference": 0.01},
            MEASURED | {"carat": 1.12, "price": 4902.0, "carat_difference": 0.02},
        ],
        "request_id": REQUEST_ID,
    },
    "/explain": {
        "quote": _QUOTE,
        "base_price": 2401.0,
        "effects": [{"feature": "clarity", "value": "SI2", "factor": 0.81, "usd": -1043.2}],
    },
    "/sales": {
        "request_id": REQUEST_ID,
        "position": None,
        "price": 5100.0,
        "quoted": 4729.65,
        "recorded_at": "2026-11-21T17:02:11Z",
    },
    "/champion": {
        "name": "xgboost",
        "version": VERSION,
        "promoted_at": "2026-11-21T16:38:40.142364Z",
        "reason": "xgboost with MAE $256.67 is the first champion",
        "trained_at": "2026-11-21T16:38:12.999825Z",
        "trained_on": {"data_fingerprint": "9f2c51b0a7d4", "rows": 43063},
        "params": {"n_estimators": 600, "learning_rate": 0.05},
        "metrics": {"stones": 10708, "overall": {"mae": 256.67, "r2": 0.9839}, "four_cs": {"mae": 331.2}},
        "ranges": {"carat": {"min": 0.2, "max": 5.01}},
        "request_id": REQUEST_ID,
    },
    "/traffic": {
        "exchanges": [
            {
                "request_id": LOGGED_ID,
                "received_at": "2026-11-21T16:51:03.402117Z",
                "duration_ms": 0.41,
                "method": "POST",
                "path": "/predict",
                "status": 200,
                "request_body": FOUR_CS,
                "response_body": _QUOTE | {"request_id": LOGGED_ID},
                "client": "127.0.0.1",
                "request_bytes": 62,
                "response_bytes": 278,
                "request_sha256": None,
                "response_sha256": None,
            }
            | _SERVED
        ],
        "next": LOGGED_ID,
        "request_id": REQUEST_ID,
    },
    "/traffic/counts": {
        "counts": [
            {"moment": "2026-11-21T16:00:00Z", "status": 200, "exchanges": 1284, "mean_ms": 0.52, "slowest_ms": 17.3}
        ],
        "request_id": REQUEST_ID,
    },
}
_TITLE = {"type": "about:blank", "request_id": REQUEST_ID}
#: By status: the problem that is answered.
PROBLEMS: dict[int, dict[str, Any]] = {
    422: _TITLE
    | {
        "title": "This diamond cannot be priced",
        "status": 422,
        "errors": [
            {"field": "color", "got": "Z", "problem": "must be one of D, E, F, G, H, I, J (D is the best)"},
            {"field": "dept", "got": 62, "problem": "is not a known field; did you mean depth?"},
        ],
    },
    503: _TITLE | {"title": "No champion is loaded yet: train one with `kedro run`", "status": 503},
}
