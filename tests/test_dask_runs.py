"""`kedro run --env=dask`: the same pipelines, on a cluster, end in a champion of the same kind."""

import hashlib
import shutil
import signal
import time

import pandas as pd
import psutil
import pytest
from kedro_datasets.pandas import ParquetDataset

from diamonds import blocks
from diamonds.blocks import Blocks, Engine
from diamonds.datasets import BlocksDataset, ChampionDataset, CsvBlocksDataset, FilesDataset
from diamonds.schema import frame_hash
from project import STONE


@pytest.fixture
def of_dask(small):
    """The small project, its blocks small too, with the same quick parameters where `--env=dask` reads them."""
    shutil.copy(small.folder / "conf/local/parameters.yml", small.folder / "conf/dask/parameters.yml")
    (small.folder / "conf/dask/parameters_engine.yml").write_text("engine: {kind: dask, block_rows: 700}\n")
    return small


def test_a_run_on_dask_ends_in_a_champion_that_prices(of_dask, monkeypatch):
    done = of_dask.run_cold("kedro", "run", "--env=dask")

    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", of_dask.settings.database_url.get_secret_value())
    champion = ChampionDataset(path=str(of_dask.folder)).load()
    assert champion.entry.name == "xgboost"
    assert 3000 < champion.pricer.quote(STONE).price < 9000
    assert len(champion.pricer.stones) == champion.pricer.summary.rows
    assert champion.entry.metrics["overall"]["mae"] < 500
    assert list((of_dask.folder / "data/02_intermediate").glob(".blocks*")) == []
    assert len(list(of_dask.newest("03_primary/train.parquet").iterdir())) == 5
    assert "distributed" not in done.stderr


def test_a_run_that_is_interrupted_leaves_no_worker_and_no_block(of_dask):
    running = of_dask.start("kedro", "run", "--env=dask")
    process = psutil.Process(running.pid)
    while not list((of_dask.folder / "data/02_intermediate").glob("appraisals.parquet/*/*")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    workers = process.children(recursive=True)

    running.send_signal(signal.SIGINT)

    running.communicate(timeout=60)
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert len(gone) >= 2
    assert alive == []
    assert list((of_dask.folder / "data/02_intermediate").glob(".blocks*")) == []


def test_a_run_without_the_cluster_it_is_told_of_fails_in_plain_words(of_dask):
    done = of_dask.run_cold("kedro", "run", "--env=dask", DIAMONDS_DASK_ADDRESS="tcp://127.0.0.1:9")

    assert done.returncode == 1
    assert "DIAMONDS_DASK_ADDRESS is tcp://127.0.0.1:9, and no Dask scheduler answers there" in done.stderr


def test_raw_files_are_named_and_tables_in_parts_part_by_part(tmp_path):
    (tmp_path / "b.parquet").mkdir()
    for name in (
        "c.CSV",
        "a.parquet",
        "b.parquet/part.1.parquet",
        "b.parquet/part.0.parquet",
        "b.parquet/_meta",
        "d.txt",
    ):
        (tmp_path / name).touch()

    files = FilesDataset(path=str(tmp_path), endings=[".csv", ".parquet"]).load()

    assert list(files) == ["a.parquet", "b.parquet/part.0.parquet", "b.parquet/part.1.parquet", "c.CSV"]
    assert files["c.CSV"] == tmp_path / "c.CSV"
    assert FilesDataset(path=str(tmp_path / "none"), endings=[".csv"]).load() == {}


def test_what_is_fresh_is_known_where_files_are_only_named(small):
    look = "from diamonds.retraining import look, open_project; open_project(p); print(look(p).files)"
    code = f"from pathlib import Path; p = Path.cwd(); {look}"

    found = small.run_cold("python", "-c", code, KEDRO_ENV="dask").stdout

    sha256 = hashlib.sha256((small.raw / "spring.csv").read_bytes()).hexdigest()
    assert found == f"{{'spring.csv': '{sha256}'}}\n"


def test_each_environment_reads_the_tables_that_another_wrote(tmp_path, stones):
    blocks.begin(Engine(kind="external_memory"), tmp_path / "space")
    table = Blocks.of(stones.iloc[first : first + 700] for first in range(0, len(stones), 700))
    ParquetDataset(filepath=str(tmp_path / "a.parquet")).save(stones)
    BlocksDataset(filepath=str(tmp_path / "b.parquet")).save(table)
    CsvBlocksDataset(filepath=str(tmp_path / "c.csv")).save(table)

    frame = ParquetDataset(filepath=str(tmp_path / "b.parquet")).load()
    of_file = BlocksDataset(filepath=str(tmp_path / "a.parquet")).load()

    assert frame.equals(stones)
    assert frame_hash(of_file) == frame_hash(table) == frame_hash(stones)
    assert pd.read_csv(tmp_path / "c.csv").astype({"price": float}).equals(stones)
    assert len(CsvBlocksDataset(filepath=str(tmp_path / "c.csv")).load()) == len(stones)
    blocks.end()
