import json
import subprocess
import sys
import threading

import pytest

from diamonds.store import outbox as outboxes
from diamonds.store.outbox import Outbox, Shipper, find_waiting


def record(number, request_id="x", separators=(",", ":")):
    return json.dumps({"request_id": request_id, "number": number}, separators=separators)


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


def test_records_are_shipped_in_order_and_forgotten(tmp_path, monkeypatch):
    outbox, database = Outbox(tmp_path), Database()
    for number in range(100):
        outbox.put(record(number))
    monkeypatch.setattr(outboxes, "BATCH_BYTES", 40 * (len(record(10)) + 1))

    assert len(outbox) == 100
    counts = []
    while shipped := outbox.ship(database.ship):
        counts.append(shipped)

    assert counts == [40, 40, 20]
    assert len(outbox) == 0
    assert [kept["number"] for kept in database.records] == list(range(100))
    outbox.close()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_shipped_is_kept(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put(record(1))

    with pytest.raises(ConnectionError):
        outbox.ship(Database(away=True).ship)

    database = Database()
    assert outbox.ship(database.ship) == 1
    assert [kept["number"] for kept in database.records] == [1]
    outbox.close()


def test_a_living_outbox_cannot_be_taken_over(tmp_path):
    outbox = Outbox(tmp_path)

    with pytest.raises(BlockingIOError):
        Outbox(tmp_path, outbox.name)
    outbox.close()


def test_what_a_killed_process_left_is_adopted_by_the_next_start(tmp_path):
    script = (
        "import json, os, sys; from pathlib import Path; from diamonds.store.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "for number in range(3): outbox.put(json.dumps({'request_id': 'x', 'number': number}, separators=(',', ':')))\n"
        "os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert died.returncode == -9
    outbox, database = Outbox(tmp_path), Database()
    database.expected = 4
    outbox.put(record(3))

    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()

    assert sorted(kept["number"] for kept in database.records) == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_lines_that_are_no_records_are_kept_aside_and_hold_nothing_up(tmp_path, caplog):
    (tmp_path / "111-dead.lock").touch()
    (tmp_path / "111-dead.000000001.jsonl").write_bytes(
        b"\x00garbage\n" + record(1).encode() + b"\n" + record(2).encode()[:9]  # killed while it wrote the last
    )
    outbox, database = Outbox(tmp_path), Database()
    database.expected = 2
    outbox.put(record(0))
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()

    assert [kept["number"] for kept in database.records] == [0, 1]
    assert "1 lines of the outbox are no records of exchanges: they are kept in" in caplog.text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"111-dead.unreadable": b"\x00garbage\n"}


def test_a_record_longer_than_what_is_shipped_at_once_is_shipped_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(outboxes, "BATCH_BYTES", 10)
    outbox, database = Outbox(tmp_path), Database()
    for number in range(3):
        outbox.put(record(number))

    assert [outbox.ship(database.ship) for _ in range(4)] == [1, 1, 1, 0]
    assert [kept["number"] for kept in database.records] == [0, 1, 2]
    outbox.close()


def test_a_record_over_several_lines_is_one_record(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    outbox.put('{"request_id":"x","number":\n1}')

    assert outbox.ship(database.ship) == 1
    assert database.records == [{"request_id": "x", "number": 1}]
    outbox.close()


def test_a_record_with_carriage_returns_is_one_record(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    outbox.put('{"request_id":"x","request_body":{"carat": 1,\r\n"cut": "Ideal"}}')
    outbox.put(record(2))

    assert outbox.ship(database.ship) == 2
    assert database.records[0]["request_body"] == {"carat": 1, "cut": "Ideal"}
    outbox.close()


def test_all_files_that_a_dead_process_left_are_adopted_at_once(tmp_path):
    (tmp_path / "111-dead.lock").touch()
    for number in range(1, 4):
        (tmp_path / f"111-dead.{number:09}.jsonl").write_text(record(number) + "\n")
    outbox, database = Outbox(tmp_path), Database()
    database.expected = 3
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()

    assert [kept["number"] for kept in database.records] == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_record_is_put_aside_once_however_often_the_rest_is_tried(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put("garbage")
    outbox.put(record(1))
    for _ in range(3):
        with pytest.raises(ConnectionError):
            outbox.ship(Database(away=True).ship)
    outbox.ship(Database().ship)
    outbox.close()

    (aside,) = tmp_path.glob("*.unreadable")
    assert aside.read_bytes() == b"garbage\n"


def test_a_disk_that_is_full_is_said_and_what_was_kept_is_whole(tmp_path):
    """A limit on the size of files stands for the disk: the kernel takes a part of the line, and then none."""
    script = (
        "import json, resource, signal, sys; from pathlib import Path; from diamonds.store.outbox import Outbox\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "errors, records = [], []\n"
        "for number in range(5):\n"
        "    try: outbox.put(json.dumps({'request_id': 'x', 'number': number}, separators=(',', ':')))\n"
        "    except OSError as error: errors.append(error.strerror)\n"
        "while outbox.ship(lambda lines: records.extend(json.loads(line)['number'] for line in lines)): pass\n"
        "print(json.dumps([records, errors, len(outbox)]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == [[0, 1, 2], ["No space left on device"] * 2, 0]


def test_a_record_that_waits_is_found_by_its_id(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put(record(1, "first"))
    outbox.put(record(2, "second"))

    assert find_waiting(tmp_path, "second") == {"request_id": "second", "number": 2}
    assert find_waiting(tmp_path, "secon") is None
    outbox.put('{"request_id":"third","response_body":{"request_id":"fourth"}}')
    assert find_waiting(tmp_path, "fourth") is None, "an id inside a body names another exchange"
    outbox.close()


def test_the_shipper_tries_again_until_the_database_is_back(tmp_path):
    outbox, database = Outbox(tmp_path), Database(away=True)
    outbox.put(record(1))
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    assert database.told.wait(30)

    database.expected = 1
    database.away = False

    assert database.enough.wait(30)
    shipper.stop()
    outbox.close()
    assert [kept["number"] for kept in database.records] == [1]


def test_stopping_ships_what_is_left_and_keeps_what_the_database_does_not_take(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    shipper = Shipper(outbox, database.ship)
    shipper.start()
    outbox.put(record(1))
    shipper.stop()
    assert [kept["number"] for kept in database.records] == [1]

    outbox.put(record(2))
    outbox.close()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jsonl", ".lock"]
