"""Reports on a champion, as `kedro run --pipelines=monitoring` leaves them."""

from datetime import UTC, datetime, timedelta

from diamonds.drift import FeatureDrift, Report, Sales, SoldDay
from diamonds.schema import FEATURES

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
RUN = "2026-11-27T12.00.00.000Z"
OVERALL = {"mae": 256.67, "rmse": 513.7, "mape": 0.0571, "bias": -19.5, "r2": 0.984, "coverage": 0.903, "width": 0.25}
NOT_SOLD = Sales(sold=0, others=0, unreadable=0, whole=True, days=[])
SOLD = Sales(
    sold=120,
    live={"mae": 410.0, "mape": 0.091, "bias": -300.0, "coverage": 0.71},
    holdout={name: OVERALL[name] for name in ("mae", "mape", "bias", "coverage")},
    others=0,
    unreadable=0,
    whole=True,
    days=[SoldDay(day=NOON.date(), sold=120, mape=0.091)],
)


def drifted(psi, *, moved=False):
    return FeatureDrift(
        stones=500, missing=0, before=0.7, now=1.4, psi=psi, test="ks", statistic=0.1, p=0.0, moved=moved
    )


def report(**changes):
    features = {name: drifted(place / 100) for place, name in enumerate(FEATURES)}
    facts = {
        "retrain": "yes", "reason": "the stones asked about are others than those of the training: carat (PSI 3.12)",
        "at": NOON, "since": NOON - timedelta(days=7), "until": NOON, "model": "xgboost", "version": "run-0",
        "stones": 500, "exchanges": 500, "skipped": {}, "whole": True, "outside": 0.042, "sales": NOT_SOLD,
        "features": features | {"carat": drifted(3.12, moved=True)},
    }  # fmt: skip
    return Report(**facts | changes)


def leave(folder, found, run_id=RUN, drawn='{"data": [], "layout": {}}'):
    for name, content in (("monitoring_report", found), ("monitoring_plot", drawn)):
        place = folder / f"data/08_reporting/{name}.json/{run_id}/{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else content.model_dump_json())
