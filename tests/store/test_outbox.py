import json
import subprocess
import sys
import threading

import pytest

from diamonds.store.outbox import BATCH, Outbox, Shipper


class Database:
    """Takes what is shipped, unless it is away."""

    def __init__(self, *, away=False):
        self.away = away
        self.records = []
        self.told = threading.Event()
        self.enough = threading.Event()
        self.expected = None

    def ship(self, records):
        self.told.set()
        if self.away:
            raise ConnectionError("the database is away")
        self.records += map(json.loads, records)
        if self.expected is not None and len(self.records) >= self.expected:
            self.enough.set()


def test_records_are_shipped_in_order_and_forgotten(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    for number in range(BATCH + 1):
        outbox.put(json.dumps({"number": number}))

    counts = [outbox.ship(database.ship) for _ in range(3)]

    assert counts == [BATCH, 1, 0]
    assert [record["number"] for record in database.records] == list(range(BATCH + 1))
    outbox.close()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_shipped_is_kept(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put(json.dumps({"number": 1}))

    with pytest.raises(ConnectionError):
        outbox.ship(Database(away=True).ship)

    database = Database()
    assert outbox.ship(database.ship) == 1
    assert database.records == [{"number": 1}]
    outbox.close()


def test_a_living_outbox_cannot_be_taken_over(tmp_path):
    outbox = Outbox(tmp_path)

    with pytest.raises(BlockingIOError):
        Outbox(tmp_path, outbox.path.name)
    outbox.close()


def test_what_a_killed_process_left_is_adopted_by_the_next_start(tmp_path):
    script = (
        "import json, os, sys; from pathlib import Path; from diamonds.store.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "for number in range(3): outbox.put(json.dumps({'number': number}))\n"
        "os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert died.returncode == -9
    outbox, database = Outbox(tmp_path), Database()
    database.expected = 4
    outbox.put(json.dumps({"number": 3}))

    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()

    assert sorted(record["number"] for record in database.records) == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_an_outbox_that_cannot_be_read_is_kept_and_holds_nothing_up(tmp_path, caplog):
    (tmp_path / "111-dead.sqlite").write_bytes(b"garbage" * 1000)
    outbox, database = Outbox(tmp_path), Database()
    for number in range(10):
        outbox.put(json.dumps({"number": number}))
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    shipper.stop()
    outbox.close()

    assert len(database.records) == 10
    assert "111-dead.sqlite cannot be read and is left as it is: file is not a database" in caplog.text
    assert (tmp_path / "111-dead.sqlite").read_bytes() == b"garbage" * 1000


def test_the_shipper_tries_again_until_the_database_is_back(tmp_path):
    outbox, database = Outbox(tmp_path), Database(away=True)
    outbox.put(json.dumps({"number": 1}))
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.told.wait(30)

    database.expected = 1
    database.away = False

    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()
    assert database.records == [{"number": 1}]


def test_stopping_ships_what_is_left_and_keeps_what_the_database_does_not_take(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    outbox.put(json.dumps({"number": 1}))
    shipper.stop()
    assert database.records == [{"number": 1}]

    outbox.put(json.dumps({"number": 2}))
    outbox.close()
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix == ".sqlite"] == [".sqlite"]
