import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from diamonds.store import outbox_folder, segment, shipper
from diamonds.store.outbox import Outbox
from diamonds.store.shipper import Shipper


def record(number, request_id="x"):
    return json.dumps({"request_id": request_id, "number": number}, separators=(",", ":"))


class Database:
    """Takes what is shipped, unless it is away; tells when it was asked so often, or has as much as expected."""

    def __init__(self, *, away=False, expected=None, patience=3):
        self.away = away
        self.records = []
        self.asked = 0
        self.told = threading.Event()
        self.enough = threading.Event()
        self.expected = expected
        self.patience = patience

    def ship(self, records):
        self.asked += 1
        if self.asked == self.patience:
            self.told.set()
        if self.away:
            raise ConnectionError("the database is away\nas was to be expected")
        self.records += map(json.loads, records)
        if self.expected is not None and len(self.records) >= self.expected:
            self.enough.set()
        return []

    @property
    def numbers(self):
        return [kept["number"] for kept in self.records]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(shipper, "LEAST_WAIT_SECONDS", 0.01)


def start(outbox, database, told=None):
    shipping = Shipper(outbox, database.ship, told)
    shipping.start()
    return shipping


def ship_all(outbox, database):
    """Ship until the database has as much as is expected, and end."""
    shipping = start(outbox, database)
    assert database.enough.wait(30)
    shipping.stop()
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
    outbox, database = Outbox(tmp_path), Database(expected=4)
    outbox.put(record(3))

    ship_all(outbox, database)

    assert sorted(kept["number"] for kept in database.records) == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_lines_that_are_no_records_are_kept_aside_and_hold_nothing_up(tmp_path, caplog):
    (tmp_path / "111-dead.lock").touch()
    (tmp_path / "111-dead.000000001.jsonl").write_bytes(
        b"\x00garbage\n" + record(1).encode() + b"\n" + record(2).encode()[:9]  # killed while it wrote the last
    )
    outbox, database = Outbox(tmp_path), Database(expected=2)
    outbox.put(record(0))
    ship_all(outbox, database)

    assert [kept["number"] for kept in database.records] == [0, 1]
    assert "1 lines of the outbox are no records of exchanges: they are kept in" in caplog.text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"111-dead.unreadable": b"\x00garbage\n"}


def test_all_files_that_a_dead_process_left_are_adopted_at_once(tmp_path):
    (tmp_path / "111-dead.lock").touch()
    for number in range(1, 4):
        (tmp_path / f"111-dead.{number:09}.jsonl").write_text(record(number) + "\n")
    outbox, database = Outbox(tmp_path), Database(expected=3)
    ship_all(outbox, database)

    assert [kept["number"] for kept in database.records] == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_the_shipper_tries_again_until_the_database_is_back_and_says_so_once(tmp_path, caplog):
    outbox, database = Outbox(tmp_path), Database(away=True, expected=1)
    outbox.put(record(1))
    shipping = start(outbox, database)
    assert database.told.wait(30), "it was not tried three times"

    database.away = False

    assert database.enough.wait(30)
    shipping.stop()
    outbox.close()
    assert database.numbers == [1]
    assert [each.message for each in caplog.records] == [f"exchanges wait in {tmp_path}: the database is away"]


def test_a_database_that_fails_now_and_then_is_not_waited_for_longer_and_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(segment, "BATCH_BYTES", len(record(1)))
    monkeypatch.setattr(shipper, "MOST_WAIT_SECONDS", 60.0)
    outbox, database = Outbox(tmp_path), Database(expected=15)
    for number in range(15):
        outbox.put(record(number))

    def fail_each_second_time(records):
        database.away = not database.away
        return database.ship(records)

    shipping = Shipper(outbox, fail_each_second_time)
    shipping.start()

    assert database.enough.wait(30), "after so many failures it waits for minutes"
    shipping.stop()
    outbox.close()


def test_after_an_outage_it_is_tried_within_five_seconds():
    assert shipper.MOST_WAIT_SECONDS == 5.0


def test_a_folder_that_is_removed_under_the_shipper_is_made_again(tmp_path):
    outbox, database, reports = Outbox(tmp_path / "outbox"), Database(away=True, expected=1), []
    outbox.put(record(1))
    shipping = start(outbox, database, reports.append)
    assert database.told.wait(30)
    shutil.rmtree(outbox.folder)
    database.away = False
    while not sum(report.lost for report in reports):
        threading.Event().wait(0.01)

    outbox.put(record(2))
    shipping.notify()

    assert database.enough.wait(30)
    shipping.stop()
    outbox.close()
    assert database.numbers == [2]


def test_stopping_in_an_outage_that_is_just_over_ships_what_came_since_too(tmp_path, monkeypatch):
    monkeypatch.setattr(shipper, "LEAST_WAIT_SECONDS", 60.0)
    outbox, database = Outbox(tmp_path), Database(away=True, patience=1)
    outbox.put(record(1))
    shipping = start(outbox, database)
    assert database.told.wait(30)
    outbox.put(record(2))
    database.away = False

    shipping.stop()
    outbox.close()

    assert database.numbers == [1, 2]
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_leaves_that_dies_later_is_adopted_by_the_living(tmp_path, monkeypatch):
    monkeypatch.setattr(shipper, "ADOPT_SECONDS", 0.05)
    outbox, database = Outbox(tmp_path), Database(expected=1)
    shipping = start(outbox, database)
    outbox.put(record(0))
    shipping.notify()
    assert database.enough.wait(30)
    database.enough.clear()
    database.expected = 2

    (tmp_path / "111-dead.000000001.jsonl").write_text(record(1) + "\n")
    (tmp_path / "111-dead.lock").touch()

    assert database.enough.wait(30), "an idle shipper did not look"
    shipping.stop()
    outbox.close()
    assert list(tmp_path.iterdir()) == []


def test_an_outbox_without_a_lock_is_adopted_once_nobody_writes_to_it(tmp_path):
    old, new = (tmp_path / f"{number}-dead.000000001.jsonl" for number in (111, 222))
    for file in (old, new):
        file.write_text(record(int(file.name[:3])) + "\n")
    os.utime(old, times=(0, time.time() - outbox_folder.ABANDONED_SECONDS - 1))
    outbox, database = Outbox(tmp_path), Database()

    shipping = start(outbox, database)
    shipping.stop()
    outbox.close()

    assert database.numbers == [111]
    assert list(tmp_path.iterdir()) == [new]


def test_other_peoples_files_in_the_folder_are_left_alone(tmp_path):
    theirs = {"poetry.lock": "theirs", "export.jsonl": record(1), "a.000000001.jsonl": record(2), "[x].lock": ""}
    for name, content in theirs.items():
        (tmp_path / name).write_text(content)
    outbox, database = Outbox(tmp_path), Database()

    shipping = start(outbox, database)
    shipping.stop()
    outbox.close()

    assert database.numbers == []
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == theirs


def test_an_outbox_that_cannot_be_taken_over_is_said_once_and_left(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shipper, "ADOPT_SECONDS", 0.0)
    (tmp_path / "111-dead.lock").mkdir()
    outbox, database = Outbox(tmp_path), Database(expected=1)
    shipping = start(outbox, database)
    for number in range(2):
        outbox.put(record(number))
        shipping.notify()
        assert database.enough.wait(30)
        database.enough.clear()
        database.expected = 2
    shipping.stop()
    outbox.close()

    assert database.numbers == [0, 1]
    assert caplog.text.count("the outbox 111-dead cannot be taken over and is left as it is: [Errno 21]") == 1


def test_stopping_ships_what_is_left_and_keeps_what_the_database_does_not_take(tmp_path):
    outbox, database = Outbox(tmp_path), Database()
    shipping = start(outbox, database)
    outbox.put(record(1))
    shipping.stop()
    assert [kept["number"] for kept in database.records] == [1]

    outbox.put(record(2))
    outbox.close()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jsonl", ".lock"]


def test_what_comes_meanwhile_does_not_wait_for_all_that_a_dead_process_left(tmp_path, monkeypatch):
    monkeypatch.setattr(segment, "BATCH_BYTES", 10)
    (tmp_path / "111-dead.lock").touch()
    (tmp_path / "111-dead.000000001.jsonl").write_text("".join(f"{record(number)}\n" for number in range(3)))
    outbox = Outbox(tmp_path)

    class Busy(Database):
        def ship(self, records):
            if not self.records:
                outbox.put(record(99))
            return super().ship(records)

    database = Busy(expected=4)
    ship_all(outbox, database)

    assert database.numbers == [0, 99, 1, 2]


def test_what_is_kept_aside_again_and_again_is_said_once_a_minute(tmp_path, caplog):
    outbox, database = Outbox(tmp_path), Database()
    for _ in range(3):
        outbox.put("garbage")
        outbox.ship(database.ship)
        outbox.ship(database.ship)

    assert [message for message in caplog.messages if "are no records" in message] == [
        f"1 lines of the outbox are no records of exchanges: they are kept in {tmp_path / outbox.owner}.unreadable"
    ]
    assert outbox.report().unreadable == 3
    outbox.close()
