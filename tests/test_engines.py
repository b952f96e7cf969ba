"""Stones in blocks, by one process or by a Dask cluster: what becomes of them is what becomes of stones in memory."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamonds import blocks, models
from diamonds.blocks import Blocks, Engine
from diamonds.errors import ConfigurationError, DataError, WorkersError
from diamonds.metrics import errors
from diamonds.pipelines.data_engineering import nodes
from diamonds.pipelines.evaluation import nodes as evaluation
from diamonds.pipelines.training import nodes as training
from diamonds.pricer import load, save
from diamonds.schema import COLUMNS, FEATURES

BY_HASH = nodes.Split(method="hash", holdout=0.2, seed=42)
CALIBRATION = training.Calibration(confidence=0.9, folds=2, seed=42)
GOOD = "0.23,Ideal,E,SI2,61.5,55.0,326,3.95,3.98,2.43"
STRANGE = [
    '1,"Ide\nal",E,SI2,61.5,55,326,3.95,3.98,2.43',
    "",
    '0.23,"Very\r\nGood",E,SI2,61.5,55.0,326,3.95,3.98,2.43',
    "0.23,Ideal,Z,SI2,61.5,55.0,326,3.95,3.98,2.43",
    "0.23,Ideal,E,SI2,61.5,55.0,326,3.95,3.98",
    "0.23,Ideal,E,SI2,61.5,55.0,326,3.95,3.98,2.43,7",
    '5"3,Ideal,E,SI2,61.5,55.0,326,3.95,3.98,2.43',
    "0.23,Ideal,E,SI2,61.5,55.0,326,9.95,3.98,2.43",
]


@pytest.fixture(scope="module", params=["external_memory", "dask"])
def engine(request, tmp_path_factory):
    """Blocks of 150 rows, worked on by one process, then by two workers."""
    engine = Engine(kind=request.param, block_rows=150, most_stones=100_000)
    space = tmp_path_factory.mktemp(request.param)
    blocks.begin(engine, space)
    yield engine
    blocks.end()
    assert list(space.iterdir()) == []


@pytest.fixture
def raw(tmp_path, stones):
    """Files with bad rows, rows over several lines, and duplicates within and across them."""
    rows = stones.head(1500).to_csv(index=False).splitlines()
    header, rows = rows[0], rows[1:]
    contents = {
        "autumn.csv": "\ufeff" + "\n".join([header, *rows[:500], *STRANGE, *rows[200:800], *STRANGE]),
        "spring.csv": "\r\n".join([header.upper(), *rows[700:], GOOD, ""]),
        "summer.csv": "\r".join([header, GOOD, *rows[:10], *STRANGE[3:]]),
    }
    files = {name: tmp_path / name for name in contents}
    for name, content in contents.items():
        files[name].write_bytes(content.encode())
    return files


def engineered(raw, engine):
    rows, files = nodes.read_files(raw, engine)
    good, quarantine = nodes.check_rows(rows)
    appraisals = nodes.drop_duplicates(good, BY_HASH)
    train, holdout = nodes.split(appraisals, BY_HASH)
    return nodes.report(files, quarantine, good, train, holdout), rows, quarantine, appraisals, train, holdout


def test_the_data_becomes_the_same_in_blocks_as_in_memory(engine, raw):
    report, *tables = engineered({name: path.read_bytes() for name, path in raw.items()}, Engine())

    report_of_blocks, *in_blocks = engineered(raw, engine)

    assert len(in_blocks[0].parts) >= 15
    assert report["quarantined"] == 15
    assert report["duplicates"] > 400
    assert report_of_blocks == report
    for table, of_blocks in zip(tables, in_blocks, strict=True):
        pd.testing.assert_frame_equal(of_blocks.frame(), table)


def test_parquet_files_are_read_too_and_name_the_rows_they_refuse(engine, tmp_path, stones):
    some = stones.head(700).copy()
    some.loc[400, "color"] = "Z"
    some.loc[401, "carat"] = np.nan
    some.to_parquet(tmp_path / "a.parquet", index=False, row_group_size=300)
    some.to_csv(tmp_path / "a.csv", index=False)

    _, _, refused, *tables = engineered({"a.parquet": tmp_path / "a.parquet"}, engine)

    _, *_, appraisals, train, holdout = engineered({"a.csv": (tmp_path / "a.csv").read_bytes()}, Engine())
    for of_parquet, of_csv in zip(tables, (appraisals, train, holdout), strict=True):
        pd.testing.assert_frame_equal(of_parquet.frame(), of_csv)
    assert refused.frame()[["file", "line", "reason"]].to_numpy().tolist() == [
        ["a.parquet", 401, "color must be one of D, E, F, G, H, I, J (D is the best), got 'Z'"],
        ["a.parquet", 402, "carat is missing"],
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\n",
        b"carat,cut\n1,Ideal\n",
        ",".join(COLUMNS).encode(),
        ",".join(COLUMNS).encode() + b"\n" + GOOD.encode() * 3 + b"\n\xff\xfe",
        ",".join(COLUMNS).encode() + b"\n" + (GOOD.encode() + b"\n") * 300 + b'"',
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_in_memory(engine, tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError) as in_memory:
        nodes.read_files({"a.csv": content})

    with pytest.raises(DataError) as in_blocks:
        nodes.read_files({"a.csv": tmp_path / "a.csv"}, engine)

    assert str(in_blocks.value).split(" in position")[0] == str(in_memory.value).split(" in position")[0]


PIECES = [
    "a",
    '"',
    ",",
    "\n",
    "\r\n",
    "\r",
    "1.5",
    '""',
    " ",
    "é",
    ",Ideal,",
    '"Very\nGood",',
    f"{GOOD}\n",
    f"{GOOD}\r\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_wherever_a_file_is_cut_its_rows_and_lines_are_those_of_the_whole(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    path.write_bytes("".join([",".join(COLUMNS), "\n", *pieces]).encode())

    assert rows_of(path, block_rows=1) == rows_of(path.read_bytes(), block_rows=1)


def rows_of(content, block_rows):
    """All rows as they are read, or that the file cannot be used."""
    try:
        rows, files = nodes.read_files({"a.csv": content}, Engine(block_rows=block_rows))
    except DataError as error:
        return str(error).split("(")[0]
    return (rows.frame() if isinstance(rows, Blocks) else rows).to_dict("list"), files


def test_stones_in_blocks_are_not_split_at_random(engine, stones):
    with pytest.raises(ConfigurationError, match=r"split.method is random, which takes all stones in memory"):
        nodes.drop_duplicates(Blocks.of([stones]), nodes.Split(method="random", holdout=0.2, seed=1))


def in_blocks(stones, rows=400):
    return Blocks.of(stones.iloc[first : first + rows] for first in range(0, len(stones), rows))


@pytest.mark.parametrize("grades_missing", [False, True])
def test_the_linear_model_has_the_coefficients_that_it_has_in_memory(engine, stones, grades_missing):
    known = stones[~stones["color"].isin(["J", "D"])] if grades_missing else stones
    module = models.get("linear")
    params = module.Params(numbers=("carat", "x", "y", "z", "depth", "table"))
    plain = module.build(params).fit(known[list(FEATURES)], known["price"])

    fitted = module.fit_blocks(params, in_blocks(known))

    ours, theirs = fitted.regressor_[-1], plain.regressor_[-1]
    assert ours.coef_ == pytest.approx(theirs.coef_, rel=1e-9, abs=1e-12)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9)


def test_boosted_trees_err_as_much_as_those_grown_in_memory_and_are_saved_alike(engine, classic, tmp_path):
    known, judged = classic.iloc[::2], classic.iloc[1::2]
    module = models.get("xgboost")
    params = module.Params(n_estimators=60, learning_rate=0.2, max_depth=6, subsample=1, colsample_bytree=1)
    chosen = {"params": params.model_dump()}
    plain = module.build(params).fit(known[list(FEATURES)], known["price"])
    fitted = training.fitting("xgboost")(in_blocks(known, 3000), chosen, engine)
    pricer = training.calibrating("xgboost")(
        in_blocks(known, 3000), fitted, chosen, {"data_fingerprint": "f"}, CALIBRATION, engine
    )
    save(pricer, tmp_path / "saved", "v")

    loaded = load(tmp_path / "saved")

    maes = [errors(judged["price"], pd.Series(each, judged.index))["mae"] for each in (
        loaded.estimator.predict(judged[list(FEATURES)]), plain.predict(judged[list(FEATURES)]))]  # fmt: skip
    assert maes[0] == pytest.approx(maes[1], rel=0.01)
    assert loaded.price(judged.head(50)).equals(pricer.price(judged.head(50)))
    assert loaded.summary == pricer.summary
    assert (pricer.summary.rows, pricer.summary.ranges["carat"][1]) == (len(known), known["carat"].max())


def test_a_pricer_is_judged_in_blocks_as_in_memory(engine, stones):
    known, judged = stones.iloc[:2000], stones.iloc[2000:].reset_index(drop=True)
    chosen = {"params": {}}
    fitted = training.fitting("linear")(known, chosen)
    pricer = training.calibrating("linear")(known, fitted, chosen, {"data_fingerprint": "f"}, CALIBRATION)
    metrics, quotes = evaluation.evaluate(pricer, judged)

    metrics_of_blocks, quotes_of_blocks = evaluation.evaluate(pricer, in_blocks(judged))

    assert flat(metrics_of_blocks) == pytest.approx(flat(metrics), rel=1e-12, abs=1e-9)
    assert list(metrics_of_blocks["segments"]["carat"]) == list(metrics["segments"]["carat"])
    assert metrics_of_blocks["holdout"] == metrics["holdout"]
    pd.testing.assert_frame_equal(quotes_of_blocks.frame(), quotes)


def flat(metrics):
    return pd.json_normalize({key: metrics[key] for key in ("overall", "four_cs", "segments", "stones")}).T[0].to_dict()


def test_a_model_that_takes_frames_learns_from_a_sample_and_says_so(engine, stones, caplog):
    some = engine.model_copy(update={"most_stones": 500})
    table = in_blocks(stones)
    fitted = training.fitting("median")(table, {"params": {}}, some)

    pricer = training.calibrating("median")(table, fitted, {"params": {}}, {"data_fingerprint": "f"}, CALIBRATION, some)

    assert caplog.messages[0].startswith("median learns from 500 of 3,000 stones, for it takes them in memory")
    assert (pricer.summary.params, pricer.summary.rows) == ({"fitted_to": 500}, 3000)
    assert fitted.constant_.item() == table.sample(500, 42)["price"].median()


def test_a_sample_is_the_same_however_the_stones_lie(engine, stones):
    sample = in_blocks(stones, 77).sample(500, seed=3)

    assert sample.equals(in_blocks(stones, 1000).sample(500, seed=3))
    assert len(sample) == 500
    assert not sample.equals(in_blocks(stones).sample(500, seed=4))
    assert sample["price"].mean() == pytest.approx(stones["price"].mean(), rel=0.1)
    assert in_blocks(stones).sample(5000, seed=3).equals(stones)


@pytest.fixture
def cluster(tmp_path):
    """Two workers that may be killed."""

    def begin(**given):
        blocks.begin(Engine(kind="dask", **given), tmp_path)
        return blocks.current()

    yield begin
    blocks.end()


def test_a_worker_that_is_killed_in_training_costs_time_and_no_tree(cluster, stones, caplog):
    workers = cluster()
    module = models.get("xgboost")
    params = module.Params(n_estimators=150, max_depth=6)
    grown = []
    thread = threading.Thread(target=lambda: grown.append(module.fit_blocks(params, in_blocks(stones))))
    thread.start()
    while not list(workers._space.path.rglob("pulse")):
        time.sleep(0.01)
    pids = workers._client.run(os.getpid)

    os.kill(next(iter(pids.values())), signal.SIGKILL)

    thread.join(timeout=120)
    assert not thread.is_alive()
    assert "XGBoost stopped, for a Dask worker was lost; its trees are grown anew" in caplog.messages
    assert grown[0].regressor_[-1].get_booster().num_boosted_rounds() == 150


class Unpacked:
    """A function that knows how often its process has unpacked it."""

    times = 0

    def __call__(self, frame):
        return Unpacked.times, len(frame)

    def __reduce__(self):
        return unpack, ()


def unpack():
    Unpacked.times += 1
    return Unpacked()


def test_a_worker_unpacks_once_what_it_does_with_all_blocks(cluster, stones):
    cluster()

    done = list(in_blocks(stones).each(Unpacked()))

    assert [rows for _, rows in done] == [400] * 7 + [200]
    assert {times for times, _ in done} == {1}


def test_as_many_workers_grow_the_same_trees_again(cluster, stones):
    cluster()
    module = models.get("xgboost")
    params = module.Params(n_estimators=10, max_depth=4)

    first, second = (module.fit_blocks(params, in_blocks(stones)) for _ in range(2))

    assert first.regressor_[-1].get_booster().save_raw("json") == second.regressor_[-1].get_booster().save_raw("json")


def test_trees_that_no_longer_grow_are_given_up_within_the_deadline(cluster, stones):
    cluster(deadline=3)

    with pytest.raises(
        WorkersError, match="XGBoost has read no block and grown no tree on Dask for 3 seconds, the engine's deadline"
    ):
        in_blocks(stones).boosted({}, 10, lambda _: time.sleep(600))


def test_workers_that_finish_nothing_are_given_up_within_the_deadline(cluster, stones):
    cluster(deadline=1)

    with pytest.raises(WorkersError, match="have finished no block for 1 seconds, the engine's deadline"):
        list(in_blocks(stones).each(lambda _: time.sleep(600)))


def test_a_block_that_costs_workers_their_lives_is_told_of(cluster, stones):
    cluster()

    with pytest.raises(WorkersError, match=r"the same block has cost several Dask workers their lives: give them more"):
        list(in_blocks(stones.head(10)).each(lambda _: os.kill(os.getpid(), signal.SIGKILL)))


def test_a_local_cluster_is_heard_on_this_machine_alone(cluster):
    cluster()
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

    listening = [
        each.laddr.ip for process in processes for each in process.net_connections() if each.status == "LISTEN"
    ]

    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}


def test_an_address_where_nobody_listens_is_refused_in_plain_words(cluster, stones, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DASK_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setattr("diamonds.blocks.cluster.PATIENCE", 1)

    with pytest.raises(ConfigurationError, match=r"DIAMONDS_DASK_ADDRESS is tcp://127.0.0.1:9, and no Dask scheduler"):
        cluster()


@pytest.fixture
def cluster_there(monkeypatch):
    """A cluster that is there already, within this process."""
    from distributed import LocalCluster

    there = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )
    monkeypatch.setenv("DIAMONDS_DASK_ADDRESS", there.scheduler_address)
    yield there
    there.close()


def test_a_cluster_that_is_there_does_the_work_and_stays(cluster_there, cluster, stones):
    cluster()

    means = list(in_blocks(stones, 1000).each(lambda stones: float(stones["price"].mean())))

    assert means == [stones["price"].iloc[first : first + 1000].mean() for first in (0, 1000, 2000)]
    blocks.end()
    assert len(cluster_there.scheduler.workers) == 1
    assert cluster_there.status.name == "running"


def test_a_cluster_without_workers_is_refused(cluster_there, cluster):
    cluster_there.scale(0)
    cluster_there.sync(cluster_there._correct_state)

    with pytest.raises(WorkersError, match=r"the Dask cluster at tcp://127.0.0.1:\d+ has no workers: start some"):
        cluster()


def test_workers_that_do_not_see_the_blocks_are_refused(cluster_there, cluster, monkeypatch, tmp_path):
    monkeypatch.setattr("diamonds.blocks.cluster._sees", lambda _place: False)

    with pytest.raises(WorkersError, match=rf"do not see {tmp_path}.*: the project's folder must lie at the same path"):
        cluster()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, stones):
    left = tmp_path / f".blocks-{os.uname().nodename}-999999999-0"
    left.mkdir()
    blocks.begin(Engine(kind="external_memory"), tmp_path)

    in_blocks(stones)

    assert not left.exists()
    blocks.end()
    assert list(tmp_path.iterdir()) == []
