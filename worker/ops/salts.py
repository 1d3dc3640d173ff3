"""The random number behind each pseudonym of the audit log: without it, nobody can tell whom the log speaks of."""

import json
import secrets
from pathlib import Path
from typing import NamedTuple

from worker.errors import ConfigError
from worker.ops.disk import Mark, append, mark, replace
from worker.privacy.audit import AuditError
from worker.privacy.sealing import Seal

BYTES = 32


class Who(NamedTuple):
    """A person in one run of a room, or with no `speaker` the run of the room itself."""

    room: str
    epoch: int
    speaker: str


class Salts:
    """A file with a line for everyone who was ever noted and not forgotten; it alone links pseudonyms to people.

    Its lines are sealed where `seal` has keys.
    """

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path, self._seal = path, seal
        self._all: dict[Who, bytes] = {}
        self._fresh: list[Who] = []
        self._read: Mark | None = None

    def refresh(self) -> None:
        """Read the file again if another process changed it. Raises OSError, or AuditError for what is no such file."""
        while self._fresh:  # never written, so nothing was made with them
            del self._all[self._fresh.pop()]
        if not self._path.exists():
            self._all, self._read = {}, None
            return
        if mark(self._path) == self._read:
            return
        whole, _, torn = self._path.read_bytes().rpartition(b"\n")
        try:
            self._all = dict(self._parse(line) for line in whole.split(b"\n") if line)
        except ConfigError as error:
            raise AuditError(str(error)) from None
        except (ValueError, KeyError, TypeError):
            raise AuditError(f"{self._path} is damaged: put a copy back, or move it away with its log.") from None
        if torn:  # nothing in the log was written with it yet
            self._rewrite()
        self._read = mark(self._path)

    def of(self, who: Who) -> bytes:
        """Somebody's salt, a new one for who has none. `save` comes before anything made with it is written."""
        salt = self._all.get(who)
        if salt is None:
            salt = self._all[who] = secrets.token_bytes(BYTES)
            self._fresh.append(who)
        return salt

    def all(self) -> list[Who]:
        """Who has one."""
        return list(self._all)

    def save(self) -> None:
        """Write what is new to the disk. Raises OSError; `refresh` then forgets it."""
        if self._fresh:
            append(self._path, b"".join(self._line(who) for who in self._fresh))
            self._fresh.clear()
            self._read = mark(self._path)

    def forget(self, room: str, speaker: str, epoch: int | None = None) -> int:
        """Drop somebody's salts, of all runs of the room or of one; how many there were."""
        gone = [who for who in self._all if who.room == room and who.speaker == speaker and epoch in (None, who.epoch)]
        if gone:
            for who in gone:
                del self._all[who]
            self._rewrite()
            self._read = mark(self._path)
        return len(gone)

    def reseal(self) -> int:
        """Write all of them anew, under the first key; how many there are."""
        if self._all:
            self._rewrite()
            self._read = mark(self._path)
        return len(self._all)

    def _rewrite(self) -> None:
        replace(self._path, b"".join(map(self._line, self._all)))

    def _line(self, who: Who) -> bytes:
        return self._seal.seal(json.dumps({**who._asdict(), "salt": self._all[who].hex()}).encode()) + b"\n"

    def _parse(self, line: bytes) -> tuple[Who, bytes]:
        fields = json.loads(self._seal.unseal(line, str(self._path)))
        salt = bytes.fromhex(fields["salt"])
        if len(salt) != BYTES:
            raise ValueError("no salt")
        return Who(fields["room"], fields["epoch"], fields["speaker"]), salt
