"""What the page of models says of whether the champion is still right."""

import html
import json
import re

import pytest

from diamonds.schema import FEATURES
from diamonds.service.artefacts import watched, watched_file
from diamonds.store import history
from reading import get, read_by_pages
from reported import OVERALL, RUN, SOLD, drifted, leave, report

HOW = "kedro run --pipelines=monitoring"


@pytest.fixture
def champion(tmp_path, monkeypatch):
    """A champion in the database that the pages read, in a folder where no run has left anything."""
    with read_by_pages(tmp_path, monkeypatch) as engine:
        history.start_run(engine, "run-0", {}, {}, None)
        metrics = {"stones": 100, "overall": OVERALL}
        history.record_model(engine, "run-0", "xgboost", metrics=metrics, holdout="h", artefact="somewhere")
        history.finish_run(engine, "run-0", history.SUCCEEDED)
        history.promote(engine, "xgboost", "run-0", "it is the first", 0)
        yield


def section(path="/models"):
    """What a person reads of the section, in one line."""
    (found,) = re.findall(r'<section class="panel watched".*?</section>', get(path).text, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())


@pytest.mark.usefixtures("champion")
def test_without_a_report_it_is_said_how_one_is_made():
    said = section()

    assert said.startswith("Is it still right? No report on this champion is on this machine:")
    assert HOW in said


@pytest.mark.usefixtures("champion")
def test_the_verdict_its_window_and_what_moved_most_are_told(tmp_path):
    leave(tmp_path, report())

    said = section()

    assert "Retrain: the stones asked about are others than those of the training: carat (PSI 3.12)." in said
    assert "27 Nov 2026, 12:00 UTC of 500 stones asked about and 0 sold" in said
    assert "from 20 Nov 2026, 12:00 UTC until 27 Nov 2026, 12:00 UTC" in said
    assert "4.2 % lie beyond those of the training" in said
    assert "Weight, ct 0.7 1.4 3.120 moved Height, mm 0.7 1.4 0.080 Width, mm 0.7 1.4 0.070" in said
    assert "Cut 0.7" not in said, "five are told of"
    assert "Prices paid" not in said


@pytest.mark.usefixtures("champion")
def test_the_live_error_stands_beside_the_holdouts(tmp_path):
    leave(tmp_path, report(sales=SOLD))

    said = section()

    assert re.search(r"\$410 \$257 .* 9\.1 % 5\.7 % .* 71\.0 % 90\.3 % .* −\$300 −\$20", said)


@pytest.mark.usefixtures("champion")
def test_an_empty_log_is_no_reason_to_retrain(tmp_path):
    few = {name: drifted(None) for name in FEATURES}
    leave(tmp_path, report(retrain="no", reason="nothing was asked", stones=0, outside=None, features=few))

    said = section()

    assert "No need to retrain: nothing was asked." in said
    assert "lie beyond" not in said


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("other", [{"version": "run-1"}, {"model": "linear"}])
def test_a_report_on_another_champion_says_nothing_of_this_one(tmp_path, other):
    leave(tmp_path, report(**other))

    assert HOW in section()


@pytest.mark.usefixtures("champion")
def test_the_newest_report_counts(tmp_path):
    leave(tmp_path, report(reason="an older one"), "2026-11-26T12.00.00.000Z")
    leave(tmp_path, report(reason="the newest"))

    assert "Retrain: the newest." in section()


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"retrain": "perhaps"}'])
def test_a_report_that_cannot_be_read_is_none(tmp_path, content):
    leave(tmp_path, content)

    assert HOW in section()


@pytest.mark.usefixtures("champion")
def test_its_figure_is_the_file_that_the_run_wrote(tmp_path):
    leave(tmp_path, report())

    page = get("/models").text
    (place,) = re.findall(r'data-url="([^"]+)"', page)
    figure = get(f"/{place}")

    assert place == f"models/watched/{RUN}.json"
    assert 'src="static/run.js"' in page
    assert (figure.status_code, figure.json()) == (200, {"data": [], "layout": {}})


@pytest.mark.usefixtures("champion")
def test_where_the_figure_is_gone_the_rest_is_told(tmp_path):
    leave(tmp_path, report())
    watched_file(tmp_path / "data", RUN).unlink()

    page = get("/models").text

    assert "data-figure" not in page
    assert "PSI 3.12" in page
    assert get(f"/models/watched/{RUN}.json").status_code == 404


@pytest.mark.parametrize("run_id", [".", "..", "", "../monitoring_plot.json", "a/..", "a\n", ".hidden"])
def test_no_name_leads_out_of_its_folder(tmp_path, run_id):
    leave(tmp_path, report())
    (tmp_path / "data/08_reporting/monitoring_plot.json/monitoring_plot.json").write_text("{}")

    assert watched_file(tmp_path / "data", run_id) is None
    assert watched_file(tmp_path / "data", RUN) is not None


@pytest.mark.usefixtures("champion")
def test_what_a_report_says_is_text_and_no_markup(tmp_path):
    leave(tmp_path, report(reason="<script>alert(1)</script>"))

    assert "<script>alert" not in get("/models").text
    assert "<script>alert(1)</script>." in section()


def test_a_report_is_read_as_it_was_written(tmp_path):
    leave(tmp_path, report(sales=SOLD))

    found = watched(tmp_path / "data")

    assert (found.run_id, found.report, found.is_drawn) == (RUN, report(sales=SOLD), True)
    assert json.loads(found.report.model_dump_json())["retrain"] == "yes"
