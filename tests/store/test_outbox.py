import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
import uuid
from pathlib import Path

import pytest

from diamonds.store import outbox as outboxes
from diamonds.store import segment as segments
from diamonds.store.outbox import Outbox, find_waiting
from diamonds.store.outbox_folder import take_lock
from diamonds.store.segment import BATCH_BYTES, MOST_LINE_BYTES, count_lines

MIB = 1024 * 1024


def record(number, request_id="x", separators=(",", ":")):
    return json.dumps({"request_id": request_id, "number": number}, separators=separators)


def id_of(moment):
    """A request id of a moment, in seconds since 1970: a UUID of version 7."""
    return str(uuid.UUID(int=int(moment * 1000) << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int >> 66))


class Database:
    """Takes what is shipped, but for what it refuses, unless it is away."""

    def __init__(self, *, away=False, refuses=()):
        self.away = away
        self.refuses = refuses
        self.records = []

    def ship(self, records):
        if self.away:
            raise ConnectionError("the database is away")
        read = [(each, json.loads(each)) for each in records]
        self.records += [parsed for _, parsed in read if parsed["number"] not in self.refuses]
        return [each for each, parsed in read if parsed["number"] in self.refuses]

    @property
    def numbers(self):
        return [kept["number"] for kept in self.records]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def ship_all(outbox):
    """What reaches a database that is there; it fails where that never ends."""
    database = Database()
    for _ in range(100):
        if not outbox.ship(database.ship):
            return database.numbers
    raise AssertionError("it never ends")


def left_by(outbox):
    """What lies in the folder, but for the lock."""
    return sorted(path.name.removeprefix(outbox.owner) for path in outbox.folder.iterdir() if path.suffix != ".lock")


def test_records_are_shipped_in_order_and_forgotten(tmp_path, monkeypatch):
    outbox, database = Outbox(tmp_path), Database()
    for number in range(100):
        outbox.put(record(number))
    monkeypatch.setattr(segments, "BATCH_BYTES", 40 * (len(record(10)) + 1))

    assert len(outbox) == 100
    waiting = []
    while outbox.ship(database.ship):
        waiting.append(len(outbox))

    assert waiting == [60, 20, 0]
    assert database.numbers == list(range(100))
    outbox.close()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_shipped_is_kept(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put(record(1))

    with pytest.raises(ConnectionError):
        outbox.ship(Database(away=True).ship)

    assert ship_all(outbox) == [1]
    outbox.close()


def test_a_living_outbox_cannot_be_taken_over(tmp_path):
    outbox = Outbox(tmp_path)

    with pytest.raises(BlockingIOError):
        take_lock(tmp_path, outbox.owner)
    outbox.close()


def test_a_record_longer_than_what_is_shipped_at_once_is_shipped_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "BATCH_BYTES", 10)
    outbox, database, counts = Outbox(tmp_path), Database(), []
    for number in range(3):
        outbox.put(record(number))

    while outbox.ship(database.ship):
        counts.append(len(database.records))

    assert counts == [1, 2, 3]
    assert database.numbers == [0, 1, 2]
    outbox.close()


def test_a_record_over_several_lines_is_one_record(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put('{"request_id":"x","number":\n1}')

    assert ship_all(outbox) == [1]
    outbox.close()


def test_a_record_with_carriage_returns_is_one_record(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put('{"request_id":"x","number":{"carat": 1,\r\n"cut": "Ideal"}}')
    outbox.put(record(2))

    assert ship_all(outbox) == [{"carat": 1, "cut": "Ideal"}, 2]
    outbox.close()


def test_a_file_that_holds_its_share_is_closed_and_a_new_one_begun(tmp_path, monkeypatch):
    line = len(record(10)) + 1
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 10 * line)
    outbox = Outbox(tmp_path)
    for number in range(10, 45):
        outbox.put(record(number))
    outbox.put(record(10 ** (10 * line)))  # by itself more than a file's share
    outbox.put(record(46))

    sizes = [path.stat().st_size // line for path in sorted(tmp_path.glob("*.jsonl"))]
    assert sizes == [10, 10, 10, 5, 10, 1]
    shipped = ship_all(outbox)  # the newest is still written to
    assert shipped[:-1] == list(range(10, 45))
    assert ship_all(outbox) == [46]
    outbox.close()


def test_lines_are_counted_and_not_held_in_memory(tmp_path):
    file = tmp_path / "lines"
    with file.open("wb") as lines:
        lines.write(b"one\ntwo\n")
        lines.truncate(10 * BATCH_BYTES)
        lines.seek(0, os.SEEK_END)
        lines.write(b"\nfour\ncut")

    tracemalloc.start()
    counted = count_lines(file)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert counted == 4
    assert most < 3 * BATCH_BYTES


def test_a_disk_that_is_full_is_said_and_what_was_kept_is_whole_and_it_recovers(tmp_path):
    """A limit on the size of files stands for the disk: the kernel takes a part of the line, and then none."""
    script = (
        "import json, resource, signal, sys; from pathlib import Path; from diamonds.store.outbox import Outbox\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "now, errors, records = [0], [], []\n"
        "outbox = Outbox(Path(sys.argv[1]), clock=lambda: now[0])\n"
        "def put(number):\n"
        "    try: outbox.put(json.dumps({'request_id': 'x', 'number': number}, separators=(',', ':')))\n"
        "    except OSError as error: errors.append(error.strerror)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))\n"
        "for number in range(5): put(number)\n"
        "left = sum(path.stat().st_size for path in Path(sys.argv[1]).iterdir())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "put(5); now[0] += 1; put(6)\n"
        "def ship(lines): records.extend(json.loads(line)['number'] for line in lines); return []\n"
        "while len(outbox): outbox.ship(ship)\n"
        "print(json.dumps([records, errors, left, len(outbox)]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)

    full = "No space left on device"
    assert json.loads(done.stdout) == [[0, 1, 2, 6], [full] * 3, 3 * (len(record(0)) + 1), 0]


def test_half_a_line_that_cannot_be_taken_back_ends_its_file(tmp_path, monkeypatch):
    clock, written = Clock(), []

    def write_half(file, line):
        written.append(file)
        return write(file, line[: len(line) // 2])

    write = os.write
    outbox = Outbox(tmp_path, clock=clock)
    outbox.put(record(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half)
        patch.setattr(os, "ftruncate", lambda file, size: os.close(-1))  # fails, as of a disk that is gone
        with pytest.raises(OSError, match="No space left on device"):
            outbox.put(record(2))
    clock.now += 1
    outbox.put(record(3))

    assert len(written) == 1
    assert [path.read_bytes().count(b"request_id") for path in sorted(tmp_path.glob("*.jsonl"))] == [2, 1]
    assert ship_all(outbox) + ship_all(outbox) == [1, 3]
    outbox.close()


def test_a_place_that_cannot_be_written_is_said_and_tried_again_once_a_second(tmp_path, caplog):
    place, clock = tmp_path / "outbox", Clock()
    place.write_text("no folder")

    outbox = Outbox(place, clock=clock)

    assert f"no exchange can be kept in {place}: [Errno 17] File exists" in caplog.text
    place.unlink()
    clock.now += 0.9
    with pytest.raises(FileExistsError):
        outbox.put(record(1))
    assert not place.exists(), "it was tried again within a second"
    clock.now += 0.1
    outbox.put(record(2))
    assert ship_all(outbox) == [2]
    outbox.close()


@pytest.mark.parametrize("remove", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("moved"))])
def test_a_folder_that_somebody_removes_is_noticed_and_made_again(tmp_path, caplog, remove):
    outbox = Outbox(tmp_path / "outbox")
    outbox.put(record(1))
    with pytest.raises(ConnectionError):
        outbox.ship(Database(away=True).ship)
    outbox.put(record(2))
    remove(outbox.folder)
    outbox.put(record(3))

    outbox.look_after()

    assert "somebody removed 3 exchanges that waited in" in caplog.text
    assert (outbox.report().lost, len(outbox)) == (3, 0)
    outbox.put(record(4))
    assert ship_all(outbox) == [4]
    with pytest.raises(BlockingIOError):
        take_lock(outbox.folder, outbox.owner)
    outbox.close()
    assert list(outbox.folder.iterdir()) == []


def test_a_file_that_somebody_removes_holds_nothing_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 2 * len(record(1)) + 2)
    outbox = Outbox(tmp_path)
    for number in range(6):
        outbox.put(record(number))
    first, second, _ = sorted(tmp_path.glob("*.jsonl"))
    first.unlink()

    assert ship_all(outbox) == [2, 3]
    assert ship_all(outbox) == [4, 5]
    assert "somebody removed 2 exchanges that waited in" in caplog.text
    assert not second.exists()
    outbox.close()


def test_what_is_kept_is_not_given_up_for_what_is_new(tmp_path):
    clock, line = Clock(), len(record(1)) + 1
    (tmp_path / "111-dead.unreadable").write_bytes(b"x" * line)
    (tmp_path / "somebody-elses.jsonl").write_bytes(b"x" * 100 * line)
    outbox = Outbox(tmp_path, most_bytes=5 * line, clock=clock)
    for number in range(4):
        outbox.put(record(number))
    with pytest.raises(OSError, match="the outbox is full: its files may take 0 MiB"):
        outbox.put(record(4))

    assert outbox.report().size == 5 * line
    assert ship_all(outbox) == [0, 1, 2, 3]
    with pytest.raises(OSError, match="the outbox is full"):
        outbox.put(record(5))
    clock.now += 1
    outbox.put(record(6))
    assert ship_all(outbox) == [6]
    outbox.close()


def test_what_is_no_record_is_put_aside_once_however_often_the_rest_is_tried(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.put("garbage")
    outbox.put(record(1))
    for _ in range(3):
        with pytest.raises(ConnectionError):
            outbox.ship(Database(away=True).ship)
    ship_all(outbox)
    assert outbox.report().unreadable == 1
    assert outbox.report().unreadable == 0
    outbox.close()

    (aside,) = tmp_path.glob("*.unreadable")
    assert aside.read_bytes() == b"garbage\n"


def test_what_the_database_refuses_is_put_aside(tmp_path):
    outbox, database = Outbox(tmp_path), Database(refuses={1, 3})
    for number in range(4):
        outbox.put(record(number))

    while outbox.ship(database.ship):
        pass

    assert database.numbers == [0, 2]
    assert outbox.report().unreadable == 2
    outbox.close()
    (aside,) = tmp_path.iterdir()
    assert aside.read_text().splitlines() == [record(1), record(3)]
    assert aside.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("spoilt", "aside"),
    [
        (b'{"request_id":"x","number":"\xff"}\n', b'{"request_id":"x","number":"\xff"}\n'),
        (b"\0" * 5000, b"\n"),
        (record(2).encode()[:20] + b"\0" * 5000, record(2).encode()[:20] + b"\n"),
        (b"\0" * 50 + record(2).encode() + b"\n", b"\0" * 50 + record(2).encode() + b"\n"),
        (record(2).encode()[:20], None),  # its process died writing it
    ],
)
def test_a_spoilt_end_of_a_file_is_put_aside_and_holds_nothing_up(tmp_path, spoilt, aside):
    outbox = Outbox(tmp_path)
    outbox.put(record(1))
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as end:
        end.write(spoilt)

    assert ship_all(outbox) == [1]
    outbox.put(record(3))
    assert ship_all(outbox) == [3]
    outbox.close()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if aside is None else [aside])


def test_a_stretch_without_a_line_break_is_kept_and_not_held_in_memory(tmp_path, caplog):
    outbox = Outbox(tmp_path)
    outbox.put(record(1))
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as end:
        end.truncate(3 * MOST_LINE_BYTES)
        end.write(b"\n" + record(2).encode() + b"\n")

    tracemalloc.start()
    shipped = ship_all(outbox)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert shipped == [1, 2]
    assert most < 2.5 * MOST_LINE_BYTES
    assert outbox.report().unreadable == 1
    assert "has a stretch without a line break that is too long to be a record" in caplog.text
    assert left_by(outbox) == [".000000001.unreadable"]
    outbox.close()


def test_a_file_that_cannot_be_read_is_kept_and_holds_nothing_up(tmp_path, caplog):
    outbox = Outbox(tmp_path)
    outbox.put(record(1))
    (file,) = tmp_path.glob("*.jsonl")
    file.unlink()
    file.mkdir()
    outbox.look_after()
    outbox.put(record(2))

    assert ship_all(outbox) + ship_all(outbox) == [2]
    assert caplog.text.count("cannot be read, it is kept aside") == 1
    assert left_by(outbox) == [".000000001.unreadable"]
    assert outbox.report().unreadable == 1
    outbox.close()


def test_a_file_whose_spoilt_lines_cannot_be_copied_is_kept_whole(tmp_path, caplog):
    outbox = Outbox(tmp_path)
    (tmp_path / f"{outbox.owner}.unreadable").mkdir()
    outbox.put("garbage")
    outbox.put(record(1))

    assert ship_all(outbox) == [1]
    assert "is kept aside once it is shipped: it has 1 lines that are no records" in caplog.text
    (kept,) = tmp_path.glob("*.000000001.unreadable")
    assert kept.read_text() == f"garbage\n{record(1)}\n"
    outbox.close()


def test_a_file_that_cannot_be_removed_is_shipped_once(tmp_path, monkeypatch, caplog):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    outbox = Outbox(tmp_path)
    outbox.put(record(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert ship_all(outbox) == [1]

    outbox.put(record(2))
    assert ship_all(outbox) == [2]
    assert "cannot be removed and is left as it is: [Errno 1] Operation not permitted" in caplog.text
    outbox.close()


def test_a_record_that_waits_is_found_by_its_id(tmp_path):
    outbox, now = Outbox(tmp_path), time.time()
    first, second, third, fourth = (id_of(now + milliseconds / 1000) for milliseconds in range(4))
    outbox.put(record(1, first))
    outbox.put(record(2, second))

    assert find_waiting(tmp_path, second) == {"request_id": second, "number": 2}
    assert find_waiting(tmp_path, second[:-1]) is None
    outbox.put(f'{{"request_id":"{third}","response_body":{{"request_id":"{fourth}"}}}}')
    assert find_waiting(tmp_path, fourth) is None, "an id inside a body names another exchange"
    outbox.close()


def test_a_record_is_looked_for_only_in_files_of_its_time(tmp_path):
    outbox, now = Outbox(tmp_path), time.time()
    begun, earlier, much_earlier, later = id_of(now), id_of(now - 50), id_of(now - 70), id_of(now + 70)
    outbox.put(record(0, begun))
    for number, request_id in enumerate([earlier, much_earlier, later], start=1):
        outbox.put(record(number, request_id))

    found = [find_waiting(tmp_path, request_id) for request_id in (begun, earlier, much_earlier, later)]

    assert [each and each["number"] for each in found] == [0, 1, None, None]
    outbox.close()


def test_a_file_that_is_spoilt_or_gone_does_not_keep_a_record_from_being_found(tmp_path):
    wanted = id_of(time.time())
    (tmp_path / "111-dead.000000001.jsonl").mkdir()
    (tmp_path / "222-dead.000000001.jsonl").write_text(f"garbage\n{record(1, wanted)[:-1]}\n")
    (tmp_path / "333-dead.000000001.jsonl").write_text(f"garbage\n{record(2, wanted)}\n")

    assert find_waiting(tmp_path, wanted) == {"request_id": wanted, "number": 2}
    assert find_waiting(tmp_path / "missing", wanted) is None


def test_nobody_sees_the_lock_of_a_new_outbox_before_it_is_held(tmp_path, monkeypatch):
    """Who looks for what the dead left would take it over."""
    rename, tried = Path.rename, []

    def renamed(path, target):
        with path.open() as other, contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            tried.append("it was free")
        assert not Path(target).exists()
        tried.append(path.suffix)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    outbox = Outbox(tmp_path)

    assert tried == [".new"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    outbox.close()
    assert list(tmp_path.iterdir()) == []
