"""Runs and models as the history remembers them, for tests of the pages that tell of them."""

import html
import re
from datetime import UTC, datetime, timedelta

from diamonds.store import history

BEGAN = datetime(2026, 11, 27, 1, 5, tzinfo=UTC)
OVERALL = {
    "mae": 256.67,
    "rmse": 513.7,
    "mape": 0.0571,
    "bias": -19.5,
    "r2": 0.98394,
    "coverage": 0.903,
    "width": 0.2566,
}
SEGMENTS = {
    "carat": {"0-0.5": {"stones": 3447, **OVERALL, "mape": 0.046}, "2+": {"stones": 442, **OVERALL, "mape": 0.0893}},
    "cut": {
        "Fair": {"stones": 329, **OVERALL, "mape": 0.1025, "coverage": 0.745},
        "Ideal": {"stones": 4344, **OVERALL},
    },
    "color": {"J": {"stones": 12, **OVERALL, "mape": 0.4, "coverage": 0.1}},
}
METRICS = {
    "stones": 10_775,
    "overall": OVERALL,
    "four_cs": {**OVERALL, "mae": 296.8, "mape": 0.088},
    "segments": SEGMENTS,
}
PAGE = {"Accept": "text/html"}
HERE = {"Host": "127.0.0.1"}
SCRIPT = "<script>alert(1)</script>"


def remember(database, number, models, *, holdout="h1", outcome=history.SUCCEEDED, **values):
    """Enter a run, the `number`th of its days, with metrics (or an error) of each model."""
    run_id = f"run-{number}"
    history.start_run(database, run_id, {}, {"seed": number, "calibration": {"confidence": 0.9}}, "c0de" * 10)
    counts = {"rows_in": 53_940, "quarantined": 23, "duplicates": 145, "training_rows": 42_997, "holdout_rows": 10_775}
    began = BEGAN + timedelta(days=number)
    history.update_run(database, run_id, **counts | {"started_at": began, "holdout": holdout} | values)
    for name, its in models.items():
        found = (
            {"error": its} if isinstance(its, str) else {"metrics": its, "holdout": holdout, "artefact": "somewhere"}
        )
        history.record_model(database, run_id, name, parameters={"depth": 7}, **found)
    if outcome != history.RUNNING:
        history.finish_run(database, run_id, outcome, values.get("error"), {"xgboost.fit": 2.9, "split": 0.001})
    return run_id


def erring(mae, **overall):
    return {"stones": 100, "overall": {**OVERALL, "mae": mae, **overall}}


def crown(database, model, run_id, reason="it errs less"):
    present = history.champion(database)
    history.promote(database, model, run_id, reason, present.promotion_id if present else 0)


def text_of(answer):
    """What a person reads of a page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
