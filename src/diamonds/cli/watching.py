"""What a terminal shows of a stream while it is learned: a panel, or a line now and then."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from diamonds.errors import DatabaseError
from diamonds.streams.science.wording import MINUS, number

if TYPE_CHECKING:
    from diamonds.streams.running.runner import Runner

Document = Mapping[str, Any]
#: Between two lines that say how far it is, where nothing else is new: seconds, and rows.
LINE_SECONDS, LINE_ROWS = 10.0, 100_000
#: How often a panel is drawn anew.
PANEL_SECONDS = 0.25
BARS = "▁▂▃▄▅▆▇█"
SPARKS = 40
STATES = {"running": "green", "caught up": "green", "paused": "yellow", "stalled": "red", "failed": "red"}
#: The scores that are shown, and whether they are shares.
SCORES = {"accuracy": True, "log_loss": False, "auc": False, "mape": True, "mae": False, "rmse": False, "r2": False}


class Watcher(Protocol):
    """Shows a stream until it is stopped."""

    def watch(self) -> None:
        """Show it; in a thread of its own."""

    def stop(self) -> None:
        """Show it once more, and end."""


class Lines:
    """Prints lines: what is to be said of each moment, if anything is."""

    def __init__(self, runner: Runner, line: Callable[[Document], str | None]) -> None:
        """Watch this runner."""
        self._runner, self._line = runner, line
        self._stopped = threading.Event()

    def watch(self) -> None:
        """Print until stopped."""
        number = -1
        while True:
            is_last = self._stopped.is_set()
            seen = self._runner.snapshot() if is_last or number < 0 else self._runner.wait(number, 0.5)
            if seen.number != number and (line := self._line(seen.document)):
                click.echo(line)
            number = seen.number
            if is_last:
                return

    def stop(self) -> None:
        """Print what is new, and end."""
        self._stopped.set()


def json_line(document: Document) -> str:
    """All that is to be seen, in one line."""
    return json.dumps(document, separators=(",", ":"))


class PlainLines:
    """A line for each change of status, and one now and then."""

    def __init__(self, address: str) -> None:
        """Say first where the page is."""
        self._address: str | None = address
        self._said: tuple[str, str | None] | None = None
        self._at, self._rows = 0.0, 0

    def __call__(self, document: Document) -> str | None:
        """What is to be said of a moment; None if nothing is."""
        status, rows = (document["status"], document["reason"]), document["rows"]
        is_due = time.monotonic() - self._at >= LINE_SECONDS or rows - self._rows >= LINE_ROWS
        if status == self._said and not (is_due and rows != self._rows):
            return None
        begun = f"{document['feed']} is shown at {self._address}\n" if self._address else ""
        self._address, self._said, self._at, self._rows = None, status, time.monotonic(), rows
        return begun + status_words(document)


def status_words(document: Document) -> str:
    """How the stream stands, in a line."""
    facts = [f"page {document['page']:,}", f"{document['rows']:,} rows", f"version {document['version']:,} saved"]
    facts += [f"{document['rate']:,.0f} rows/s"] if document["rate"] else []
    facts += [f"{document['rejected']:,} rejected"] if document["rejected"] else []
    facts += [f"{document['ignored']:,} fields ignored"] if document.get("ignored") else []
    facts += [f"{document['retries']:,} retries"] if document["retries"] else []
    facts += [str(document["reason"])] if document["reason"] else []
    return f"{document['status']}: {', '.join(facts)}"


class Panel:
    """A panel that is drawn anew as the stream moves."""

    def __init__(self, runner: Runner, address: str, console: Console | None = None) -> None:
        """Watch this runner."""
        self._runner, self._address = runner, address
        self._console = console or Console()
        self._stopped = threading.Event()
        self._sparks: dict[tuple[str, str], deque[float]] = {}
        self._rows = 0

    def watch(self) -> None:
        """Draw until stopped."""
        from rich.live import Live

        with suppress(DatabaseError):  # then the lines begin here
            self.remember_history(self._runner.history())
        with Live(console=self._console, auto_refresh=False) as live:
            while not self._stopped.wait(PANEL_SECONDS):
                live.update(self.drawn(self._runner.snapshot().document), refresh=True)
            live.update(self.drawn(self._runner.snapshot().document), refresh=True)

    def stop(self) -> None:
        """Draw what is new, and end."""
        self._stopped.set()

    def drawn(self, document: Document) -> RenderableType:
        """The panel at a moment; what is concluded comes first, for a low terminal cuts what comes last."""
        self._remember(document)
        learners = document["learners"].items()
        parts: list[RenderableType] = [_status(document)]
        parts += [Text(words) for _, learner in learners if (words := _words(learner))]
        for name, learner in learners:
            parts += self._tables(name, learner)
        title = f"{document['feed']} · {self._address}"
        return Box(Group(*parts), title=title, title_align="left", subtitle="Ctrl-C ends it; all is saved")

    def _remember(self, document: Document) -> None:
        if document["rows"] < self._rows:
            self._sparks.clear()
        if document["rows"] != self._rows:
            for name, learner in document["learners"].items():
                self._draw_on(name, learner)
        self._rows = document["rows"]

    def remember_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Begin the little lines of the scores where an earlier run of this stream has left them."""
        from diamonds.streams.live.charts import thinned

        for entry in thinned([entry for entry in history if entry["rows"]], SPARKS):
            for name, scores in entry["scores"].items():
                self._draw_on(name, {"scores": scores})
            self._rows = entry["rows"]

    def _draw_on(self, name: str, learner: Mapping[str, Any]) -> None:
        for score, value in _scores(learner).items():
            self._sparks.setdefault((name, score), deque(maxlen=SPARKS)).append(value)

    def _tables(self, name: str, learner: Mapping[str, Any]) -> list[RenderableType]:
        parts: list[RenderableType] = [Text(f"\n{name.replace('_', ' ')}", style="bold")]
        if scores := _scores(learner):
            parts.append(self._scores_table(name, scores))
        if slopes := _slopes(learner):
            parts.append(_table("slope", "95 % while watching", slopes))
        elif learner["coefficients"]:
            parts.append(_table("term", "95 % interval", learner["coefficients"]))
        return parts if parts[1:] else []

    def _scores_table(self, name: str, scores: Mapping[str, float]) -> Table:
        table = Table(show_header=False, box=None, padding=(0, 2))
        for score, value in scores.items():
            shown = (f"{value:.1%}" if SCORES[score] else f"{value:.4f}").replace("-", MINUS)
            table.add_row(score.replace("_", " "), shown, spark(list(self._sparks.get((name, score), ()))))
        return table


def _scores(learner: Mapping[str, Any]) -> dict[str, float]:
    return {name: learner["scores"][name] for name in SCORES if learner["scores"].get(name) is not None}


def _status(document: Document) -> Text:
    status = document["status"]
    words = status_words(document).removeprefix(f"{status}: ")
    return Text.assemble((status, f"bold {STATES.get(status, '')}"), f"  {words}")


def _words(learner: Mapping[str, Any]) -> str | None:
    """What a learner has concluded."""
    said: Mapping[str, Any] = learner["statistics"]
    words: str | None = (said.get("verdict") or {}).get("sentence") or said.get("note")
    return words


def _slopes(learner: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that a verdict speaks of."""
    verdict = learner["statistics"].get("verdict") or {}
    found = [verdict.get("overall"), *verdict.get("within", ())]
    known = [each for each in found if each and each["slope"] is not None and each["low"] is not None]
    return [each | {"term": each["where"], "estimate": each["slope"]} for each in known]


def _table(what: str, interval: str, lines: list[dict[str, Any]]) -> Table:
    table = Table(what, "estimate", interval, box=None, padding=(0, 2))
    for each in lines[:12]:
        half = (each["high"] - each["low"]) / 2
        estimate, low, high = (number(each[name], half) for name in ("estimate", "low", "high"))
        table.add_row(escape(each["term"].replace("_", " ")), estimate, f"{low} … {high}")
    return table


def spark(values: list[float]) -> str:
    """Values as little bars.

    >>> spark([0.0, 0.5, 1.0])
    '▁▅█'
    """
    if len(values) < 2:  # noqa: PLR2004 - one is no line
        return ""
    low, high = min(values), max(values)
    return "".join(BARS[round((value - low) / (high - low or 1) * (len(BARS) - 1))] for value in values)
