"""The panels of a stream's page, each by what its learner says."""

import json
from html import unescape
from pathlib import Path

import pytest

from diamonds.streams.feeding.generators import employees
from diamonds.streams.learners import build
from diamonds.streams.live.rendering import Renderer
from diamonds.streams.running.snapshot import Snapshot
from diamonds.streams.spec import feed

SPEC = feed(Path(__file__).parents[2], "promotions")
STANDING = {
    "status": "running", "reason": None, "next_look_seconds": None, "rate": None, "version": 1, "page": 1,
    "rejected": 0, "revised": 0, "retries": 0, "pages_a_batch": 1, "speed": None, "recent": [], "number": 1,
    "feed": SPEC.name,
}  # fmt: skip


def panels(learners, **said):
    """The page of learners, as text; what is given replaces statistics of the classifier."""
    shown = {
        name: {"kind": SPEC.learners[name].kind, "view": learner.view([])} | json.loads(json.dumps(learner.report()))
        for name, learner in learners.items()
    }
    shown["promotion"]["statistics"] |= said
    document = STANDING | {"rows": 1, "learners": shown}
    return unescape(json.loads(Renderer(SPEC).event(Snapshot(1, document)))["html"])


def taught(process, rows):
    learners = build(SPEC)
    for row in employees(process, 1, 0, rows):
        for learner in learners.values():
            learner.learn(row)
    return learners


def test_scores_stand_beside_what_saying_no_or_the_share_so_far_would_have_reached():
    learners = taught("sum", 700)

    html = panels(learners)

    scores = learners["promotion"].report()["scores"]
    assert f"always saying no would be right in {scores['always_no_accuracy']:.1%}".replace("%", " %") in html
    assert f"The log loss is {scores['log_loss']:.3g} ({scores['recent_log_loss']:.3g} of the newest)" in html
    assert f"would cost {scores['base_rate_log_loss']:.3g} ({scores['recent_base_rate_log_loss']:.3g})" in html
    assert "Calibration, newest 500" in html


@pytest.mark.parametrize(
    ("is_straight", "says"),
    [
        (True, "A straight line is enough."),
        (False, "A straight line is not enough: squares and products help."),
        (None, "Whether a straight line is enough is not known yet."),
    ],
)
def test_whether_a_straight_line_is_enough_is_said_only_where_it_is_known(is_straight, says):
    html = panels(taught("sum", 50), is_straight=is_straight)

    assert f"). {says}</p>" in html
    assert html.count("straight line is") == 1


def test_how_the_errors_of_each_regression_behave_is_told_with_what_it_means():
    learners = taught("sum", 700)

    html = panels(learners)

    found = learners["networking"].report()["statistics"]["residuals"]["~ competence"]
    row = html.split("<caption>The errors of each regression</caption>")[1].split("</tr>")[1]
    assert '<th scope="row">~ competence</th>' in row
    assert f"<td>{found['breusch_pagan']['statistic']:.3g}</td><td>{found['breusch_pagan']['p']:.4f}</td>" in row
    assert f"<td>{found['durbin_watson']:.3g}</td>" in row
    assert "is near 2 where a row's error says nothing of the next one's" in html
