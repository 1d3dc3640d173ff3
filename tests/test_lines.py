"""Files that several write to while they are written anew: nothing is lost, nothing is torn."""

import os
import stat
import threading

import pytest

from worker import lines
from worker.lines import Lines, first, rewrite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def without(*words):
    return lambda line: None if line in words else line


def beside(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_lines_are_dropped_and_changed_and_the_rest_stays_as_it_is(path):
    path.write_bytes(b"a\n\xff\x00\nb\n\nc\r\n")
    assert rewrite(path, lambda line: {b"a": None, b"b": b"BB"}.get(line, line)) == 2
    assert path.read_bytes() == b"\xff\x00\nBB\n\nc\r\n"
    assert beside(path) == ["events.jsonl"]


def test_a_file_in_which_nothing_changes_is_not_touched(path):
    path.write_bytes(b"a\nb\n{to")
    before = path.stat()
    assert rewrite(path, without(b"c")) == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert beside(path) == ["events.jsonl"]
    assert rewrite(path.with_name("none"), without(b"c")) == 0


def test_rights_stay_and_a_link_leads_to_the_new_file(path, tmp_path):
    path.write_bytes(b"a\nb\n")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert rewrite(link, without(b"a")) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert link.read_bytes() == b"b\n"


def test_who_writes_to_it_goes_on_in_the_new_file(path):
    one, two = Lines(path), Lines(path)
    assert one.append(b"a")
    assert two.append(b"b")
    assert rewrite(path, without(b"a")) == 1
    assert one.append(b"c")
    assert two.append(b"d")
    assert path.read_bytes() == b"b\nc\nd\n"
    path.rename(path.with_suffix(".old"))
    assert one.append(b"e")
    assert path.read_bytes() == b"e\n"


def test_what_is_added_meanwhile_comes_along(path):
    path.write_bytes(b"a\nb\n")
    writer, added = Lines(path), []

    def change(line):
        if not added:
            added.append(writer.append(b"a") and writer.append(b"late"))
        return without(b"a")(line)

    assert rewrite(path, change) == 2
    assert path.read_bytes() == b"b\nlate\n"


def test_writers_and_rewriters_at_once_lose_nothing(path):
    path.write_bytes(b"")
    count, done = 2000, threading.Event()

    def write(name):
        writer = Lines(path)
        for number in range(count):
            while not writer.append(f"{name}{number}".encode()):
                pass

    writers = [threading.Thread(target=write, args=(name,)) for name in "xy"]

    def drop():
        while not done.is_set():
            rewrite(path, lambda line: None if line.endswith(b"0") else line)

    dropper = threading.Thread(target=drop)
    for thread in (*writers, dropper):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    dropper.join()
    rewrite(path, lambda line: None if line.endswith(b"0") else line)
    found = path.read_text().splitlines()
    assert [line for line in found if line[0] == "x"] == [f"x{n}" for n in range(count) if n % 10]
    assert len(found) == 2 * count * 9 // 10


@pytest.mark.parametrize("step", ["os.fsync", "fcntl.flock", "_liken", "os.replace", "change"])
def test_a_crash_at_any_step_leaves_the_file_whole(path, monkeypatch, step):
    """And what it left beside it is no obstacle."""
    path.write_bytes(b"a\nb\n")
    (path.parent / "events.jsonl.new").write_bytes(b"what an earlier crash left\n")
    calls = []

    def fail(*_):
        calls.append(step)
        raise OSError(5, "the machine stopped")

    if step != "change":
        monkeypatch.setattr(f"worker.lines.{step}", fail)
    with pytest.raises(OSError, match="the machine stopped"):
        rewrite(path, fail if step == "change" else without(b"a"))
    monkeypatch.undo()
    assert calls
    assert path.read_bytes() == b"a\nb\n"
    assert rewrite(path, without(b"a")) == 1
    assert path.read_bytes() == b"b\n"
    assert beside(path) == ["events.jsonl"]


def test_after_the_names_are_exchanged_the_new_file_is_whole(path, monkeypatch):
    path.write_bytes(b"a\nb\n")
    replace = os.replace

    def replace_and_stop(*names):
        replace(*names)
        raise OSError(5, "the machine stopped")

    monkeypatch.setattr("worker.lines.os.replace", replace_and_stop)
    with pytest.raises(OSError, match="the machine stopped"):
        rewrite(path, without(b"a"))
    assert path.read_bytes() == b"b\n"
    assert beside(path) == ["events.jsonl"]


def test_only_one_writes_it_anew(path):
    path.write_bytes(b"a\nb\n")

    def change(line):
        with pytest.raises(BlockingIOError):
            rewrite(path, without(b"b"))
        return without(b"a")(line)

    assert rewrite(path, change) == 1
    assert path.read_bytes() == b"b\n"


def test_a_file_that_was_emptied_meanwhile_stays_empty(path):
    path.write_bytes(b"a\nb\n")

    def change(line):
        Lines(path, empty=True).close()
        return without(b"a")(line)

    assert rewrite(path, change) == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("torn", "after"),
    [
        (b'{"specversion": "1.', b"a\nnext\n"),
        (b"sealed:gAAAA", b"a\nnext\n"),
        (b"a shopping list", b"a\na shopping list\nnext\n"),
    ],
)
def test_a_torn_line_of_ours_is_taken_away_and_nobody_elses(path, torn, after):
    path.write_bytes(b"a\n" + torn)
    writer = Lines(path)
    writer.append(b"next")
    assert path.read_bytes() == after
    path.write_bytes(torn)
    Lines(path).append(b"next")
    assert path.read_bytes() == after.removeprefix(b"a\n")


def test_a_long_file_without_a_break_is_not_ours(path, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 8)
    path.write_bytes(b"x" * 10 + b"{" + b"y" * 5)
    Lines(path).append(b"next")
    assert path.read_bytes() == b"x" * 10 + b"{" + b"y" * 5 + b"\nnext\n"


def test_the_first_line(path):
    assert first(path) == b""
    path.write_bytes(b"a\nb\n")
    assert first(path) == b"a"
    assert first(path.parent) == b""


def test_a_new_file_has_the_rights_asked_for(path):
    Lines(path, mode=0o600).append(b"a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
