"""What Kedro's datasets write appears whole or not at all."""

import pytest
from kedro.io import Version
from kedro_datasets.json import JSONDataset

from diamonds.datasets.whole import write_whole


@pytest.fixture
def report(tmp_path):
    dataset = JSONDataset(filepath=str(tmp_path / "report.json"), version=Version(None, "2026-11-27T03.17.00.000Z"))
    write_whole(dataset)
    return dataset


def test_a_version_that_is_saved_is_there_alone_and_can_be_read(report, tmp_path):
    report.save({"stones": 3})

    assert report.load() == {"stones": 3}
    assert [path.name for path in tmp_path.glob("*/*/*")] == ["report.json"]


def test_a_version_whose_saving_ends_half_way_is_none(report, tmp_path):
    with pytest.raises(Exception, match="not JSON serializable"):
        report.save({"stones": 3, "half": object()})

    assert not report.exists()
    assert list(tmp_path.glob("*/*/*")) == []


def test_a_file_that_is_being_written_has_no_name_yet(report, tmp_path):
    place = tmp_path / "stones.csv"

    with report._fs.open(str(place), mode="w") as file:
        file.write("carat,cut\n")
        seen = place.exists()

    assert (seen, place.read_text()) == (False, "carat,cut\n")
