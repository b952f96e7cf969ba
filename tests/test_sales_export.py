"""What was really paid comes back as a CSV of appraisals: each sale once, whatever ends an export."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pandas as pd
import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from diamonds.config import Settings
from diamonds.errors import DataError
from diamonds.sales_file import REFUSED, UNMEASURED, export
from diamonds.schema import COLUMNS
from diamonds.store import sales
from diamonds.store.database import migrate, open_database
from diamonds.store.tables import Sale
from project import STONE, make_project, memory, quick

QUOTED = {"quote": {"price": 4733.12}, "model": "xgboost", "version": "v1"}


def sell(engine, number, price, position=None, **changes):
    sales.record(engine, str(UUID(int=number)), position, price, stone=STONE | changes, **QUOTED)


def rows(folder):
    """The exported stones, of all files."""
    frames = [pd.read_csv(path) for path in sorted(folder.glob("*.csv"))]
    return pd.concat(frames) if frames else pd.DataFrame(columns=COLUMNS)


def test_sales_are_exported_as_appraisals_at_the_price_paid(database, tmp_path):
    sell(database, 2, 900.5, position=7, carat=1)
    sell(database, 1, 5100, cut="very  good")

    exported = export(database, tmp_path / "appraisals")

    (file,) = (tmp_path / "appraisals").iterdir()
    assert file.read_text() == (
        "carat,cut,color,clarity,depth,table,price,x,y,z\n"
        "1.0,Very Good,G,VS2,61.8,57.0,5100.0,6.4,6.4,3.96\n"
        "1.0,Ideal,G,VS2,61.8,57.0,900.5,6.4,6.4,3.96\n"
    )
    assert (exported.files, exported.kept) == ({file.name: 2}, {})


def test_each_sale_is_exported_once(database, tmp_path):
    sell(database, 1, 5100)
    first = export(database, tmp_path)
    again = export(database, tmp_path)
    sell(database, 2, 5200)
    second = export(database, tmp_path)

    assert (list(first.files.values()), again.files, list(second.files.values())) == ([1], {}, [1])
    assert sorted(rows(tmp_path)["price"]) == [5100, 5200]


def test_what_training_could_not_use_is_counted_with_its_reason_and_kept_for_later(database, tmp_path):
    sell(database, 1, 5100, x=None)
    sales.record(
        database,
        str(UUID(int=2)),
        None,
        5100,
        stone={"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"},
        **QUOTED,
    )
    sell(database, 3, 5100, y=31.8)
    sell(database, 4, 5100, color="***")

    exported = export(database, tmp_path)

    assert (exported.files, exported.kept) == ({}, {UNMEASURED: 2, REFUSED: 2})
    assert list(tmp_path.glob("*.csv")) == []
    assert export(database, tmp_path).kept == exported.kept


def test_a_file_that_cannot_be_written_costs_no_sale(database, tmp_path):
    sell(database, 1, 5100)
    (tmp_path / "appraisals").write_text("in the way")

    with pytest.raises(DataError, match=r"appraisals/sales-.*\.csv cannot be written: .*; its sales wait for the next"):
        export(database, tmp_path / "appraisals")
    sell(database, 2, 5200)
    exported = export(database, tmp_path / "elsewhere")

    assert sorted(exported.files.values()) == [1, 1]
    assert sorted(rows(tmp_path / "elsewhere")["price"]) == [5100, 5200]


def test_an_export_that_was_killed_between_file_and_record_is_repeated_to_the_byte(database, tmp_path):
    sell(database, 1, 5100)
    export(database, tmp_path)
    (file,) = tmp_path.glob("*.csv")
    content, inode = file.read_bytes(), file.stat().st_ino
    with Session(database) as session, session.begin():
        session.execute(update(Sale).values(exported_at=None))
    sell(database, 2, 5200)

    exported = export(database, tmp_path)

    assert exported.files[file.name] == 1
    assert file.read_bytes() == content
    assert file.stat().st_ino != inode, "it is replaced as a whole, not written into"
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()].count(".part") == 0
    assert sorted(rows(tmp_path)["price"]) == [5100, 5200]


def test_of_several_exports_at_once_none_doubles_or_loses_a_sale(database, tmp_path):
    for number in range(40):
        sell(database, number, 5000 + number)
    together = threading.Barrier(4)

    def take_part():
        together.wait()
        export(database, tmp_path)

    threads = [threading.Thread(target=take_part) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(rows(tmp_path)["price"]) == [5000 + number for number in range(40)]
    assert export(database, tmp_path).files == {}


def test_in_postgresql_too_a_sale_is_given_to_one_file_while_another_export_waits(postgresql_url):
    engine = open_database(Settings(database_url=postgresql_url))
    migrate(engine)
    sell(engine, 1, 5100)

    def somebody_waits():
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with engine.connect() as connection:
            return connection.execute(text(asked)).scalar()

    def while_another_begins(its_sales):
        seconds.append(pool.submit(sales.assign, engine, lambda _: True, lambda _: "second.csv"))
        while not seconds[0].done() and not somebody_waits():
            pass
        waited.append(not seconds[0].done())
        return "first.csv"

    seconds, waited = [], []
    with ThreadPoolExecutor() as pool:
        sales.assign(engine, lambda _: True, while_another_begins)
    given = sales.unwritten(engine)
    engine.dispose()

    assert waited == [True]
    assert seconds[0].result() == []
    assert {name: [sale.price for sale in its] for name, its in given.items()} == {"first.csv": [5100]}


def test_the_command_says_what_it_exported_and_the_next_run_reads_it(tmp_path, stones):
    project = quick(make_project(tmp_path / "project", {"spring.csv": stones.head(600).to_csv(index=False)}))
    engine = open_database(project.settings)
    migrate(engine)
    sell(engine, 1, 5100)
    sell(engine, 2, 5200, table=None)
    engine.dispose()

    said = project.succeed("diamonds", "sales", "export")
    again = project.succeed("diamonds", "sales", "export", "--json")
    project.succeed("kedro", "run", "--pipelines=data_engineering")

    (name,) = (path.name for path in project.raw.glob("sales-*.csv"))
    assert said == (
        f"1 sale exported to data/01_raw/appraisals/{name}.\n"
        "1 sale kept for later: one of depth, table, x, y, z is not known, and nothing stands in for it.\n"
    )
    assert json.loads(again) == {"files": {}, "kept": {UNMEASURED: 1}}
    (run,), _ = memory(project)
    assert {file["name"]: file["rows"] for file in run["files"]} == {name: 1, "spring.csv": 600}
    assert run["quarantined"] == 0
    assert pd.read_csv(io.StringIO((project.raw / name).read_text()))["price"].tolist() == [5100]
