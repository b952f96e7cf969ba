"""The page of a run, and the files that it shows: what it says is what the history knows."""

import re
import shutil

import pytest

from diamonds.service.artefacts import figure_file, quarantined
from diamonds.store import history
from reading import get, read_by_pages
from remembered import METRICS, PAGE, SCRIPT, erring, remember, text_of


@pytest.fixture
def database(tmp_path, monkeypatch):
    with read_by_pages(tmp_path, monkeypatch) as engine:
        yield engine


def test_a_run_is_told_of_as_the_history_knows_it(database):
    files = [{"name": "spring.csv", "rows": 53_940, "bytes": 2_571_905, "sha256": "0e7164799468" + "0" * 52}]
    gain = {"gain": 0.023, "low": 0.011, "high": 0.035, "sureness": 0.98}
    remember(database, 0, {"xgboost": METRICS}, files=files, gain=gain, decision="xgboost beats the champion")

    page = text_of(get("/models/run-0"))

    assert "xgboost beats the champion." in page
    assert "its best model errs by 2.3 % less than the champion before" in page
    assert "between +1.1 % and +3.5 %; in 98 of 100 resamples" in page
    assert "spring.csv 53,940 2.5 MiB 0e7164799468" in page
    assert "Rows read 53,940 Refused, and kept aside 23 The same stone again 145 To learn from 42,997" in page
    assert "c0dec0dec0de" in page
    assert "xgboost.fit 2.9 s" in page
    assert "depth 7" in page
    assert "0 to 0.5 ct 4.6 % $257 90.3 % 3,447" in page
    assert "Fair 10.2 % $257 74.5 % 329" in page


def test_what_differs_from_the_run_before_is_listed(database):
    remember(database, 0, {"linear": erring(600.0)})
    remember(database, 1, {"linear": erring(590.0)}, quarantined=24)
    expected = history.differences(history.run(database, "run-0"), history.run(database, "run-1"))

    page = text_of(get("/models/run-1"))

    assert expected == {"quarantined": (23, 24), "parameter seed": (0, 1), "linear mae": (600.0, 590.0)}
    for row in ("quarantined 23 24", "parameter seed 0 1", "linear mae 600 590"):
        assert row in page
    assert "What differs" not in text_of(get("/models/run-0")), "there is no run before the first"


def test_metrics_of_other_stones_are_marked_as_not_comparable(database):
    remember(database, 0, {"linear": erring(600.0)})
    remember(database, 1, {"linear": erring(590.0)}, holdout="h2")

    page = text_of(get("/models/run-1"))

    assert "linear mae (not comparable) 600 590" in page
    assert "their errors do not compare" in page


def test_an_unknown_run_is_404_in_words(database):
    answer = get("/models/none", headers=PAGE)

    assert answer.status_code == 404
    assert "<h1>There is no run none</h1>" in answer.text


def test_what_a_run_left_elsewhere_is_said_to_be_elsewhere(database):
    remember(database, 0, {"linear": METRICS})

    page = text_of(get("/models/run-0"))

    assert "in data/08_reporting : they are not on this machine" in page
    assert "in data/02_intermediate/quarantine.csv : not on this machine" in page


def leave(folder, run_id, rows=60):
    """Leave on disk what a run leaves."""
    figure = folder / f"data/08_reporting/linear_importances.json/{run_id}/linear_importances.json"
    refused = folder / f"data/02_intermediate/quarantine.csv/{run_id}/quarantine.csv"
    for file in (figure, refused):
        file.parent.mkdir(parents=True)
    figure.write_text('{"data": [], "layout": {}}')
    lines = [f"{SCRIPT}.csv,{number},\"z must be more than 0, got '{number}'\",1.0" for number in range(rows)]
    refused.write_text("\n".join(["file,line,reason,carat", *lines]))


def test_the_first_refused_rows_are_shown_with_their_reasons(database, tmp_path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}, quarantined=60))

    page = get("/models/run-0")

    assert "The first 50 of 60" in text_of(page)
    assert f"{SCRIPT}.csv 49 z must be more than 0, got '49'" in text_of(page)
    assert "got &#39;50&#39;" not in page.text
    assert SCRIPT not in page.text


def test_a_figure_is_the_file_that_the_run_wrote(database, tmp_path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}))

    page, figure = get("/models/run-0").text, get("/models/run-0/linear/importances.json")

    assert re.findall(r'data-url="([^"]+)"', page) == ["run-0/linear/importances.json"]
    assert (figure.status_code, figure.headers["content-type"]) == (200, "application/json")
    assert figure.json() == {"data": [], "layout": {}}


@pytest.mark.parametrize(
    "path",
    [
        "run-0/linear/metrics.json",
        "run-0/linear/search_history.json",
        "run-0/median/importances.json",
        "run-1/linear/importances.json",
        "..%2F..%2Fsecret/linear/importances.json",
        "../linear/importances.json",
        "%2e%2e/linear/importances.json",
        "./linear/importances.json",
        "run-0/..%2F..%2F..%2Fsecret/importances.json",
        "run-0/linear/..%2F..%2Fsecret.json",
        "run-0/linear%00/importances.json",
        "run-0%0A/linear/importances.json",
    ],
)
def test_no_path_leads_to_another_file(database, tmp_path, path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}))
    (tmp_path / "secret").mkdir()
    (tmp_path / "data/08_reporting/linear_importances.json/linear_importances.json").write_text("{}")
    metrics = tmp_path / "data/08_reporting/linear_metrics.json/run-0/linear_metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("{}")

    assert get(f"/models/{path}").status_code in {404, 405}


@pytest.mark.parametrize(
    ("run_id", "model"), [(".", "linear"), ("..", "linear"), ("run-0/.", "linear"), ("", "linear")]
)
def test_no_name_leads_out_of_its_folder(tmp_path, run_id, model):
    leave(tmp_path, "run-0")
    shutil.copy(tmp_path / "data/08_reporting/linear_importances.json/run-0/linear_importances.json",
                tmp_path / "data/08_reporting/linear_importances.json/linear_importances.json")  # fmt: skip

    assert figure_file(tmp_path / "data", "run-0", "linear", "importances") is not None
    assert figure_file(tmp_path / "data", run_id, model, "importances") is None
    assert quarantined(tmp_path / "data", run_id) is None
