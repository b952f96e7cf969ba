"""Part `learners`: the classifier beside batch fits, river and scikit-learn, and whether its intervals hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from benchmarks.streaming import batch
from benchmarks.traffic.findings import Findings
from diamonds.streams.feeding.generators import PROCESSES, employees
from diamonds.streams.learners import Learner, adapter, logit

TARGET, FEATURES = "promoted", ("competence", "network_ability")
#: What the logistic process is made of: the intercept, the slopes.
TRUE = (-1.0, 1.5, 1.0)
#: The most that may be lost a row beside a batch fit, in thousandths of a nat.
MOST, MOST_HARD = 5.0, 30.0
#: Of the intervals that hold the true coefficient, in percent.
COVERED = (92.0, 98.0)
#: Of fewer streams than this, the share is too uncertain to be held against that.
ENOUGH_STREAMS = 300
#: The most that coefficients may be off the likeliest, in standard errors (root mean square), after so many rows.
GAPS = {1_000: 0.5, 10_000: 0.15}
#: Of predicting, scoring and learning one row, in µs.
MOST_MICROSECONDS = 35.0
#: Ours, as its scores call it, beside the batch fit of the same features: without and with squares.
SAME = {"straight": "log_loss_linear", "degree 2": "log_loss_squares"}
RIDERS: dict[str, dict[str, Any]] = {
    "river": {"class": "river.linear_model.LogisticRegression"},
    "SGD": {
        "class": "sklearn.linear_model.SGDClassifier",
        "params": {"loss": "log_loss", "random_state": 0},  # its default loss gives no probabilities
    },
}


@dataclass
class Losses:
    """Of one process: mean log losses by learner and number of rows, a stream each."""

    process: str
    by: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def add(self, who: str, rows: int, loss: float) -> None:
        """Of one more stream."""
        self.by.setdefault((who, rows), []).append(loss)

    def mean(self, who: str, rows: int) -> float:
        """Over the streams."""
        return float(np.mean(self.by[who, rows]))

    def worst(self, ours: str, theirs: str, rows: int) -> float:
        """The most that ours loses beside theirs in one stream."""
        return float(np.max(np.subtract(self.by[ours, rows], self.by[theirs, rows])))


def measure(*, quick: bool) -> Findings:
    """Compare on all processes, then count how often the intervals hold."""
    findings = Findings("learners")
    sizes, seeds = ([1_000], range(101, 103)) if quick else ([1_000, 10_000], range(101, 106))
    tell_losses([compared(process, sizes, seeds) for process in PROCESSES], sizes, findings)
    cover(findings, streams=30 if quick else 300)
    near(findings, sizes, seeds=range(201, 204) if quick else range(201, 221))
    pace(findings)
    return findings


def ours() -> logit.Logit:
    """The classifier as the feed `promotions` has it."""
    return logit.Logit(logit.Params(target=TARGET, features=FEATURES))


def rider(name: str) -> Learner:
    """One of river's or scikit-learn's, with its defaults."""
    said = RIDERS[name] | {"target": TARGET, "features": FEATURES}
    return adapter.Classifying(adapter.Params.model_validate(said))


def compared(process: str, sizes: Sequence[int], seeds: Sequence[int]) -> Losses:
    """All learners on streams of one process."""
    losses = Losses(process)
    for seed in seeds:
        rows = employees(process, seed, 0, max(sizes))
        for name, squares in ("straight", False), ("degree 2", True):
            each = batch.losses(rows, FEATURES, TARGET, squares=squares)
            for size in sizes:
                losses.add(f"batch {name}", size, float(each[:size].mean()))
        for name in RIDERS:
            follow(losses, rows, sizes, rider(name), {name: "log_loss"})
        follow(losses, rows, sizes, ours(), SAME | {"mixture": "log_loss"})
    return losses


def follow(
    losses: Losses, rows: Sequence[dict[str, Any]], sizes: Sequence[int], learner: Learner, scores: dict[str, str]
) -> None:
    """Let a learner learn, and note its scores at the sizes."""
    for number, row in enumerate(rows, 1):
        learner.learn(row)
        if number in sizes:
            found = learner.report()["scores"]
            for name, score in scores.items():
                losses.add(name, number, found[score] or 0.0)


def tell_losses(all_losses: Sequence[Losses], sizes: Sequence[int], findings: Findings) -> None:
    """A table, and the bars."""
    head = ("straight", "batch straight", "degree 2", "batch degree 2", "mixture", *RIDERS)
    for size in sizes:
        findings.remarks.append(f"mean log loss of predictions after {size:,} rows, and ours beside the batch fit's")
        findings.remarks.append("".join(f"{name:>16}" for name in ("process", *head, "mixture/batch")))
        for losses in all_losses:
            findings.remarks.append(_line(losses, head, size))
            _judge(losses, size, findings)


def _line(losses: Losses, head: Sequence[str], size: int) -> str:
    ratio = losses.mean("mixture", size) / min(losses.mean(f"batch {name}", size) for name in SAME)
    shown = "".join(f"{losses.mean(name, size):16.4f}" for name in head)
    return f"{losses.process:>16}{shown}{ratio:16.3f}"


def _judge(losses: Losses, size: int, findings: Findings) -> None:
    most = MOST_HARD if losses.process == "hard" else MOST
    best = min(SAME, key=lambda name: losses.mean(f"batch {name}", size))
    for name, other in (*((name, f"batch {name}") for name in SAME), ("mixture", f"batch {best}")):
        lost = 1000 * (losses.mean(name, size) - losses.mean(other, size))
        what = f"{losses.process}, {size:,} rows: {name} beside {other} (worst stream"
        worst = 1000 * losses.worst(name, other, size)
        findings.add(f"{what} {worst:+.1f})", lost, "nats/1,000", most=most)
        if lost > most:
            findings.blame(
                name, [f"{losses.process}, {size:,} rows: {lost:.1f} thousandths of a nat worse than {other}"]
            )
    for other in RIDERS:
        if losses.mean("mixture", size) >= losses.mean(other, size):
            findings.blame("mixture", [f"{losses.process}, {size:,} rows: no better than {other}"])


def cover(findings: Findings, streams: int, rows: int = 2_000) -> None:
    """How often the intervals hold the true coefficients of the logistic process."""
    held = np.zeros((streams, len(TRUE)))
    for seed in range(streams):
        learner = ours()
        for row in employees("logistic", 1_000 + seed, 0, rows):
            learner.learn(row)
        found = learner.report()["coefficients"]
        held[seed] = [each["low"] < true < each["high"] for each, true in zip(found, TRUE, strict=True)]
    low, high = COVERED if streams >= ENOUGH_STREAMS else (None, None)
    for name, share in zip(("intercept", *FEATURES), (100 * held.mean(axis=0)).tolist(), strict=True):
        findings.add(f"of {streams} intervals of 95 % hold the true {name}", share, "%", least=low, most=high)
        if low is not None and high is not None and not low <= share <= high:
            findings.blame("intervals", [f"{share:.1f} % hold the true {name}"])


def near(findings: Findings, sizes: Sequence[int], seeds: Sequence[int]) -> None:
    """How far the straight model's coefficients are off the likeliest of all rows at once."""
    gaps: dict[int, list[float]] = {size: [] for size in sizes}
    for seed in seeds:
        rows, learner = employees("logistic", seed, 0, max(sizes)), ours()
        for number, row in enumerate(rows, 1):
            learner.learn(row)
            if number in sizes:
                audit = learner.audit(iter(rows[:number]))[: len(TRUE)]  # those of the straight model come first
                gaps[number] += [gap["gap"] for gap in audit]
    for size, each in gaps.items():
        off = float(np.sqrt(np.mean(np.square(each))))
        what = f"off the likeliest after {size:,} rows (root mean square; largest {max(each):.2f})"
        findings.add(what, off, "SE", most=GAPS[size])
        if off > GAPS[size]:
            findings.blame("coefficients", [f"{off:.2f} standard errors off the likeliest after {size:,} rows"])


def pace(findings: Findings) -> None:
    """How long a row takes."""
    learner, paces = ours(), []
    for start in range(0, 20_000, 2_000):
        rows = employees("logistic", 1, start, start + 2_000)
        began = time.perf_counter()
        for row in rows:
            learner.learn(row)
        paces.append(1e6 * (time.perf_counter() - began) / len(rows))
    what = f"to predict, score and learn a row by both models (median of ten; quickest {min(paces):.1f})"
    findings.add(what, median(paces), "µs", most=MOST_MICROSECONDS)
