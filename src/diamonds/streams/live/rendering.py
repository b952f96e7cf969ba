"""A moment of a stream as HTML, and as what a browser draws."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from diamonds import web
from diamonds.streams.live import asking
from diamonds.streams.science.wording import MINUS, number
from diamonds.streams.spec import FeedSpec, LearnerEntry
from diamonds.web import plotly

if TYPE_CHECKING:
    from diamonds.streams.running.snapshot import Snapshot

HERE = Path(__file__).parent
#: Where the price service is served, as far as anybody knows.
SERVICE = "http://127.0.0.1:3000"
#: Kinds of learners that have a panel of their own; any other is shown as a table.
KINDS = frozenset(path.stem for path in (HERE / "templates/kinds").glob("*.html")) - {"plain"}
UNKNOWN = "\N{EN DASH}"
#: The scores that line charts show.
DRAWN_SCORES = {"accuracy", "always_no_accuracy", "log_loss", "log_loss_linear", "mape", "recent_mape"}
LARGEST_WHOLE = 1e15
#: How many are listed on the page; all can be taken away.
MOST_REJECTS, MOST_EVENTS = 100, 50
Told = Sequence[Mapping[str, Any]]
#: A p-value below this is not written out.
LEAST_P = 1e-4


class Renderer:
    """Renders the moments of one stream."""

    def __init__(self, spec: FeedSpec, service: str = SERVICE) -> None:
        """Read the templates; `service` is where prices are served."""
        self._spec, self._service = spec, service
        self._templates = web.environment(HERE / "templates")
        self._templates.filters |= {
            "count": count, "number": sized, "percent": percent, "significant": significant, "p_value": p_value,
            "words": words, "moment": moment, "decimals": decimals, "score": score, "score_words": score_words,
            "known_scores": known_scores, "drifts": drifts, "in_code": in_code,
        }  # fmt: skip

    def page(self, snapshot: Snapshot, rejects: Told | None, events: Told | None) -> str:
        """The whole page; rejects and events are None where they cannot be had."""
        values = {"now": snapshot.document, "plotly": plotly.script_name(), "service": self._service}
        return self._render("page.html", **values, **_rejects(rejects), **_events(events))

    def event(self, snapshot: Snapshot) -> bytes:
        """What the page is told when something is new: what it shows and what it draws, as JSON in one line."""
        html = " ".join(self._render("live.html", now=snapshot.document).split())
        said = {"html": html, "drawn": drawn(self._spec, snapshot.document)}
        return json.dumps(said, allow_nan=False, separators=(",", ":")).encode()

    def rejects(self, rejects: Told) -> str:
        """The table of rows that were not learned."""
        return self._render("rejects.html", **_rejects(rejects))

    def events(self, events: Told) -> str:
        """The list of what happened."""
        return self._render("events.html", **_events(events))

    def audit(self, gaps: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
        """The table of what was learned beside fits to all rows at once."""
        return self._render("audit.html", gaps={name: list(each) for name, each in gaps.items()})

    def sign_in(self, problem: str = "") -> str:
        """The page that asks for the token."""
        return self._render("sign_in.html", problem=problem, service=self._service)

    def _render(self, template: str, **values: Any) -> str:  # noqa: ANN401 - what the template names
        known = {"spec": self._spec, "inputs": asking.inputs(self._spec), "kinds": KINDS}
        return self._templates.get_template(template).render(known | values)


def _rejects(rejects: Told | None) -> dict[str, Any]:
    if rejects is None:
        return {"rejects": None}
    return {"rejects": rejects[:MOST_REJECTS], "rejected": len(rejects)}


def _events(events: Told | None) -> dict[str, Any]:
    return {"events": None if events is None else [told(event) for event in events], "most_events": MOST_EVENTS}


def drawn(spec: FeedSpec, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the charts need of a snapshot, and no more: it goes to each viewer many times."""
    columns = [spec.key, *_drawn_columns(spec)]
    places = [spec.fields.index(name) for name in columns]
    counted = ("feed", "number", "version", "status", "page", "rows", "rejected", "revised")
    return {name: document[name] for name in (*counted, "next_look_seconds", "pages_a_batch", "speed")} | {
        "columns": columns,
        "recent": [[_short(row[place], 3) for place in places] for row in document["recent"]] if columns[1:] else [],
        "learners": {name: _drawn_learner(learner) for name, learner in document["learners"].items()},
    }


def _drawn_learner(learner: Mapping[str, Any]) -> dict[str, Any]:
    coefficients = [{end: each[end] for end in ("term", "estimate", "low", "high")} for each in learner["coefficients"]]
    view = dict(learner["view"])
    if view.get("map"):
        chances = [[round(chance, 2) for chance in line] for line in view["map"]["probability"]]
        view["map"] = view["map"] | {"probability": chances}
    return {
        "coefficients": _short(coefficients, 6),
        "scores": {name: _short(value, 5) for name, value in learner["scores"].items() if name in DRAWN_SCORES},
        "view": _short(view, 5),
    }


def _drawn_columns(spec: FeedSpec) -> list[str]:
    """The columns of the newest rows that some panel draws."""
    fields = {"logit": ("target", "features"), "moments": ("target", "feature", "group")}
    names: set[str] = set()
    for entry in spec.learners.values():
        for field in fields.get(entry.kind, ()):
            said = entry.params.get(field, ())
            names |= {said} if isinstance(said, str) else set(said)
    return [name for name in spec.columns if name in names]


def _short(value: Any, digits: int) -> Any:  # noqa: ANN401 - JSON
    """Its numbers to so many digits, a boolean as 0 or 1: nobody sees more of what is drawn."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        short = float(f"{value:.{digits}g}")
        return int(short) if short.is_integer() and abs(short) < LARGEST_WHOLE else short
    if isinstance(value, Mapping):
        return {name: _short(each, digits) for name, each in value.items()}
    return [_short(each, digits) for each in value] if isinstance(value, list | tuple) else value


def count(value: float | None) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}".replace("-", MINUS)


def sized(value: float | None, width: float | None = None) -> str:
    """A number with as many decimals as its uncertainty asks for."""
    if value is None:
        return UNKNOWN
    return number(value, width if width is not None and width > 0 else abs(value) / 100)


def significant(value: float | None, digits: int = 4) -> str:
    """A number with so many digits.

    >>> significant(1234.5678), significant(-0.000123)
    ('1,235', '−0.000123')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.{digits}g}".replace("-", MINUS)


def percent(value: float | None, decimals: int = 1) -> str:
    """A share of one."""
    return UNKNOWN if value is None else f"{value:.{decimals}%}".replace("-", MINUS).replace("%", " %")


def decimals(value: float | None, digits: int) -> str:
    """A number with so many decimals."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


#: What the scores are called, and whether they are shares; others go by their names.
SCORES = {
    "accuracy": ("predicted rightly", True),
    "always_no_accuracy": ("right by always saying no", True),
    "base_rate": ("share of yes", True),
    "log_loss": ("log loss, in nats a row", False),
    "log_loss_linear": ("log loss of the straight model, in nats a row", False),
    "log_loss_squares": ("log loss of the one with squares, in nats a row", False),
    "brier": ("mean squared error of the probability (Brier)", False),
    "auc": ("area under the ROC curve: how often a yes was told likelier than a no", True),
    "mape": ("mean error of the price (MAPE)", True),
    "bias": ("mean error with its sign: above 0 is too dear", True),
    "log_error": ("mean error of the log price", False),
    "mape_without_index": ("mean error of the price without the index", True),
    "bias_without_index": ("mean error with its sign without the index", True),
    "log_error_without_index": ("mean error of the log price without the index", False),
    "mae": ("mean error, in units of what is predicted", False),
    "rmse": ("root of the mean squared error, in the same units", False),
    "r2": ("share of the variance that is explained (R²)", False),
}


def score_words(name: str) -> str:
    """What a score is called."""
    return SCORES[name][0] if name in SCORES else words(name)


def score(value: float | None, name: str) -> str:
    """The value of a score: of some a share, of others a number."""
    return percent(value) if SCORES.get(name, ("", False))[1] else significant(value)


def known_scores(scores: Mapping[str, float | None]) -> list[str]:
    """Those over all rows of which something is known."""
    return [
        name
        for name, value in scores.items()
        if not name.startswith("recent_") and name != "rows" and value is not None
    ]


def drifts(entry: LearnerEntry) -> bool:
    """Whether a learner follows what drifts, so that it differs from a fit to all rows."""
    walks = entry.kind == "price" and entry.params.get("walk") != 0
    return walks or bool(entry.params.get("forget", 1) < 1)


def in_code(text: str) -> Markup:
    """A text whose parts in backticks are code."""
    parts = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def p_value(value: float | None) -> str:
    """A p-value as tables have it."""
    if value is None:
        return UNKNOWN
    return "<0.0001" if value < LEAST_P else f"{value:.4f}"


def words(name: str) -> str:
    """A column's or a learner's name as people write it."""
    return name.replace("_", " ")


def moment(at: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


#: What an event says, by its kind; `{…}` are its details.
TOLD = {
    "start": "started",
    "pause": "paused",
    "one_batch": "one batch was asked for",
    "pages": "{pages_a_batch} pages a batch",
    "reset": "reset: begun anew, the stored rows removed",
    "replay": "begun anew from the stored rows",
    "stall": "stalled ({what}): {why}",
    "recover": "goes on again ({what})",
    "conflict": "stopped: {why}",
    "fail": "stopped: {why}",
    "anchor": "{why}",
    "gap": "{why}",
}


class _Details(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "?"


def told(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event with its words."""
    kind, detail = event["kind"], _Details(event["detail"] or {})
    said = {"at": event["at"], "kind": kind}
    if kind == "speed":
        speed = detail.get("batches_a_second")
        return said | {"words": f"at most {speed:g} batches a second" if speed else "as quickly as it goes"}
    if kind == "read_again":
        again = f"row {detail['key']} of page {detail['page']} was read again"
        return said | {"words": f"{again}: {_became(detail)}"}
    plain = ", ".join(f"{name} {value}" for name, value in detail.items())
    return said | {"words": TOLD[kind].format_map(detail) if kind in TOLD else f"{words(kind)} {plain}".strip()}


def _became(detail: Mapping[str, Any]) -> str:
    if detail.get("learned"):
        return "it was learned"
    return f"still not learned, {detail['reason']}" if detail.get("reason") else "it is gone from its page"
