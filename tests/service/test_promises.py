"""What is promised of the traffic log under load and under fault: the checks of its benchmark, on less."""

import random

import pytest

from benchmarks.service.bodies import default_stones
from benchmarks.traffic import kill, truth
from benchmarks.traffic.audit import missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.mix import mix
from benchmarks.traffic.postgresql import running_postgresql
from benchmarks.traffic.sites import POSTGRESQL, SQLITE, Site, Sites
from benchmarks.traffic.sizes import Sizes


@pytest.fixture
def site(request, small_trained, tmp_path):
    """A service of its own, on the database of which the test names the kind."""
    folder = tmp_path / "site"
    folder.mkdir()
    urls = {
        SQLITE: lambda: f"sqlite:///{folder}/traffic.db",
        POSTGRESQL: lambda: request.getfixturevalue("postgresql_url"),
    }
    return Site(request.param, folder, urls[request.param](), small_trained.folder / "bentoml")


@pytest.mark.parametrize("site", [SQLITE, POSTGRESQL], indirect=True)
def test_each_of_two_thousand_requests_a_tenth_bad_is_one_row_that_says_what_was_sent_and_answered(site):
    findings = Findings("truth")

    truth.compare(site, Sizes(requests=2_000), findings)

    assert findings.problems == []
    assert {figure.what: figure.value for figure in findings.figures}[f"{site.database}: in the log"] == 2_000


@pytest.mark.parametrize("site", [SQLITE], indirect=True)
def test_what_was_answered_in_full_is_one_row_though_the_worker_and_then_the_service_are_killed(site):
    findings = Findings("kill")

    kill.kill_again_and_again(site, Sizes(kills=4), random.Random(1), findings)  # noqa: S311 - nothing here is secret

    assert findings.problems == []
    assert findings.figures[0].what == "SQLite: answers received in full, 2 kills"
    assert findings.figures[0].value > 100


def test_while_postgresql_is_away_all_is_answered_and_what_waited_is_there_once_it_is_back(
    small_trained, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    requests = [request.as_bytes() for request in mix(default_stones(), 500, seed=2, long=False)]
    folder = tmp_path / "sites"
    folder.mkdir()
    with running_postgresql(tmp_path / "postgresql") as postgresql:
        site = Sites(folder, small_trained.folder / "bentoml", postgresql).make(POSTGRESQL)
        with site.log() as log, site.serving() as server:
            postgresql.stop()
            with asking(requests, server.port, count=500) as clients:
                receipts = clients.wait()
            postgresql.start()
            log.answered = 500
            log.wait()
            problems = missing_or_doubled(receipts.ids, log.ids())

    assert (len(receipts.answers), receipts.broken, problems) == (500, 0, [])
    assert 500 not in {answer.status for answer in receipts.answers}
