"""The files of the audit log: entries, the head beside them, and the salts of pseudonyms."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from worker.lines import sync_folder
from worker.ops import disk
from worker.ops.salts import Salts, Who
from worker.privacy.audit import (
    NAME,
    START,
    VERSION,
    AuditError,
    Entry,
    Head,
    is_sealed,
    is_whole,
    make,
    pseudonym,
    read,
    read_head,
    seal,
    write_head,
)
from worker.privacy.sealing import Seal

TAIL = 1024 * 1024
"""Bytes at the end of the log in which the sealed entry is looked for: more than is ever written at once."""


class Note(NamedTuple):
    """What is to be noted."""

    at: float
    """Seconds since 1970."""
    kind: str
    room: str
    """Empty for what belongs to no room."""
    epoch: int
    """Which run of the room; other people may have its pseudonyms in the next."""
    speaker: str
    facts: Mapping[str, Any]


class Ledger:
    """Appends entries; several processes may do so at once. Every method blocks, and may raise OSError.

    Entries are on the disk (fsync) before the head says so, and salts before the entries that were made with them.
    At `largest` bytes a new file is begun; the full one becomes `NAME.000001.jsonl`, and so on.
    """

    def __init__(self, path: Path, key: bytes = b"", largest: int = 64_000_000, sealing: Seal | None = None) -> None:
        """Begins a log, or goes on with the one that is there; its salts are closed by `sealing`.

        Raises AuditError when the log isn't as it was left, or its salts can't be read.
        """
        self._path, self._key, self._largest = path, key, largest
        self._head_path = path.with_name(path.name + ".head")
        self._salts = Salts(path.with_name(path.name + ".salts"), sealing or Seal())
        self._head = Head("", 0, START, "")
        self._known: disk.Mark | None = None
        """Of the file, as long as it ends with the head's entry."""
        with self._alone():
            self._settle()
            self._salts.refresh()

    def append(self, notes: Sequence[Note]) -> None:
        """All of them or none. Raises AuditError when the files aren't as they were left."""
        with self._alone():
            self._settle()
            if self._known is not None and self._known[1] >= self._largest:
                self._rotate(notes[0].at)
            self._salts.refresh()
            entries = [(note.at, note.kind, self._fields(note)) for note in notes]
            self._salts.save()
            self._put(entries)

    def forget(self, room: str, speaker: str, epoch: int | None = None) -> int:
        """Unlink somebody from all that is noted of them: their salts are gone, the chain stays as it is."""
        with self._alone():
            self._salts.refresh()
            return self._salts.forget(room, speaker, epoch)

    def known(self, room: str) -> dict[Who, str]:
        """Everyone who is noted in runs of a room and not forgotten, with the pseudonym that stands for them."""
        with self._alone():
            self._salts.refresh()
            here = [who for who in self._salts.all() if who.room == room and who.speaker]
            return {who: self._pseudonym(who) for who in here}

    def reseal(self) -> int:
        """Write the salts anew, under the first key; how many there are."""
        with self._alone():
            self._salts.refresh()
            return self._salts.reseal()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        file = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, disk.OWNER)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        except BaseException:
            self._known = None  # look at the files again before anything else is written
            raise
        finally:
            os.close(file)

    def _fields(self, note: Note) -> dict[str, Any]:
        fields = dict(note.facts)
        if note.room:
            fields["room"] = self._pseudonym(Who(note.room, note.epoch, ""))
        if note.speaker:
            fields["speaker"] = self._pseudonym(Who(note.room, note.epoch, note.speaker))
        return fields

    def _pseudonym(self, who: Who) -> str:
        return pseudonym(self._salts.of(who), who.room, who.speaker)

    def _put(self, entries: Sequence[tuple[float, str, Mapping[str, Any]]]) -> None:
        last, lines = self._head, []
        for at, kind, fields in entries:
            entry, line = make(last.seq + 1, at, kind, fields, last.hash)
            last = Head(self._head.log, entry.seq, entry.hash, kind)
            lines.append(line)
        before = self._known[1] if self._known is not None else 0
        disk.append(self._path, b"".join(lines))
        try:
            disk.replace(self._head_path, write_head(seal(last, self._key)))
        except OSError:
            os.truncate(self._path, before)
            raise
        self._head, self._known = last, self._mark()

    def _rotate(self, at: float) -> None:
        self._put([(at, "audit.rotated", {})])
        number = 1 + max((int(path.suffixes[-2][1:]) for path in _rotated(self._path)), default=0)
        self._path.rename(self._path.with_suffix(f".{number:06}{self._path.suffix}"))
        self._begin(at, self._head)

    def _begin(self, at: float, after: Head) -> None:
        """Write the first entry of a file, alone, so that one without a head can only be that."""
        self._head, self._known = after, None
        opening = {"name": NAME, "version": VERSION, "log": after.log, "sealed": bool(self._key)}
        self._put([(at, "audit.opened", opening)])
        sync_folder(self._path.parent)

    def _mark(self) -> disk.Mark:
        return disk.mark(self._path)

    # -- going on with what is there ------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Know the end of the log, also when another process wrote it, or a crash left it."""
        if self._known is not None and self._path.exists() and self._mark() == self._known:
            return
        head, at = self._read_head(), time.time()
        if not self._path.exists():
            if head is not None and head.kind != "audit.rotated":
                raise AuditError(f"{self._path} is gone, and its head is not: put it back, or move its head away.")
            self._begin(at, head or Head(secrets.token_hex(8), 0, START, ""))
            return
        lines, torn = self._tail()
        if _only_begun(lines, head):
            os.truncate(self._path, 0)
            self._begin(at, head or Head(secrets.token_hex(8), 0, START, ""))
            return
        if head is None:
            raise AuditError(f"{self._head_path} is gone: put it back, or move the log away.")
        newer = self._newer(lines, head)
        if torn:
            os.truncate(self._path, self._mark()[1] - torn)
        self._head, self._known = head, self._mark()
        if newer:
            self._head = Head(head.log, newer[-1].seq, newer[-1].hash, newer[-1].kind)
        if torn or newer:
            self._put([(at, "audit.recovered", {"torn_bytes": torn, "unsealed": len(newer)})])

    def _read_head(self) -> Head | None:
        try:
            text = self._head_path.read_bytes()
        except FileNotFoundError:
            return None
        head = read_head(text)
        if head is None:
            raise AuditError(f"{self._head_path} is not what was written: run 'undertone audit verify'.")
        if self._key and not is_sealed(head, self._key):
            raise AuditError(f"{self._head_path} was not signed with audit.key: give its key, or move the log away.")
        if head.mac and not self._key:
            raise AuditError(f"{self._head_path} was signed with a key: set audit.key.")
        return head

    def _tail(self) -> tuple[list[bytes], int]:
        """The whole lines at the end, and the bytes of one that was not finished."""
        with open(self._path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            *lines, torn = file.read().split(b"\n")
        return (lines[1:] if size > TAIL else lines), len(torn)

    def _newer(self, lines: Sequence[bytes], head: Head) -> list[Entry]:
        """Entries that a crash kept from being sealed. Raises AuditError unless they follow the sealed one."""
        newer: list[Entry] = []
        for line in reversed(lines):
            entry = read(line)
            if entry is None or not is_whole(line) or (newer and newer[-1].prev != entry.hash):
                break
            if entry.hash == head.hash:
                return newer[::-1]
            newer.append(entry)
            if entry.prev == head.hash and entry.kind == "audit.opened":
                return newer[::-1]
        raise AuditError(f"{self._path} is not as it was left: run 'undertone audit verify', and move the log away.")


def _only_begun(lines: Sequence[bytes], head: Head | None) -> bool:
    """Whether a crash came before the first entry of this file was sealed, or even written."""
    if not lines:
        return head is None or head.kind == "audit.rotated"
    first = read(lines[0])
    return head is None and len(lines) == 1 and first is not None and (first.seq, first.kind) == (1, "audit.opened")


def _rotated(path: Path) -> Iterator[Path]:
    for other in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        if other.name.removeprefix(path.stem + ".").removesuffix(path.suffix).isdecimal():
            yield other
