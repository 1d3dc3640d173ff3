"""Files of lines that several processes add to, and that may be written anew meanwhile."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LONGEST = 1024 * 1024
"""Bytes of a line that a crash may have torn."""
OURS = (b"{", b"sealed:")
"""How our lines begin."""
OWNER = 0o600


class Lines:
    """The end of a file. Each line is in it whole or not at all; one that a crash tore is taken away first.

    Every method raises OSError when the file can't be written.
    """

    def __init__(self, path: Path, empty: bool = False, mode: int = 0o666) -> None:
        """`mode` is for a file that is made, less the umask; `empty` empties one that is there."""
        self._path, self._mode, self._looked = path, mode, False
        self._file = self._open(os.O_TRUNC if empty else 0)

    def _open(self, flags: int = 0) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | flags, self._mode)

    def append(self, line: bytes) -> bool:
        """Write a line, given without its break. False while another is about to replace the file: ask again."""
        if not self._claim():
            return False
        try:
            if not self._looked:
                self._mend()
            before = os.fstat(self._file).st_size
            try:
                if os.write(self._file, line + b"\n") != len(line) + 1:
                    raise OSError(0, "only a part of a line was written")
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, before)
                raise
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return True

    def close(self) -> None:
        os.close(self._file)

    def _claim(self) -> bool:
        """Lock the file that has the name now, whichever was opened before."""
        for _ in range(2):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if _is_at(self._file, self._path):
                return True
            other = self._open()
            os.close(self._file)
            self._file, self._looked = other, False
        return False

    def _mend(self) -> None:
        """Take away a torn last line of ours; after anybody else's begin a new one."""
        state = os.fstat(self._file)
        if stat.S_ISREG(state.st_mode) and state.st_size:
            tail = os.pread(self._file, LONGEST, max(0, state.st_size - LONGEST))
            torn = tail[tail.rfind(b"\n") + 1 :]
            if torn and torn.startswith(OURS):
                os.ftruncate(self._file, state.st_size - len(torn))
            elif torn:
                os.write(self._file, b"\n")
        self._looked = True


def rewrite(path: Path, change: Callable[[bytes], bytes | None]) -> int:
    """Put in place of each line what `change` makes of it, or nothing for None; how many lines are others now.

    Lines have no break here. Blocks. Others may add lines meanwhile, which are changed as well. Until the new file
    takes the old one's name and rights at once, the old one stays as it is, whatever happens or `change` raises; a last
    line that is torn does not come along. No file is made where there is none. Raises OSError, BlockingIOError while
    somebody else is writing it anew.
    """
    path = path.resolve()
    if not path.is_file():
        return 0
    with _beside(path) as new, path.open("rb") as old:
        changed, reached = _carry_over(old, new, change, 0)
        new.flush()
        os.fsync(new.fileno())
        fcntl.flock(old, fcntl.LOCK_EX)  # for what was added meanwhile: so little that nobody has to wait
        more, _ = _carry_over(old, new, change, reached)
        state = os.fstat(old.fileno())
        if not changed + more or state.st_size < reached or not _is_at(old.fileno(), path):
            return 0
        new.flush()
        _liken(new.fileno(), state)
        os.replace(_name_beside(path), path)
        fcntl.flock(old, fcntl.LOCK_UN)
        os.fsync(new.fileno())
        sync_folder(path.parent)
    return changed + more


def first(path: Path) -> bytes:
    """The first line of a file, without its break; empty when it has none. Raises OSError."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.readline(LONGEST).rstrip(b"\n")


def sync_folder(folder: Path) -> None:
    """Make names that were given in it last."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _carry_over(old: IO[bytes], new: IO[bytes], change: Callable[[bytes], bytes | None], since: int) -> tuple[int, int]:
    """Change all whole lines from a place on; how many are others now, and the place that was reached."""
    old.seek(0, os.SEEK_END)  # forgets what was read ahead, which may be other bytes by now
    old.seek(since)
    changed = 0
    while (line := old.readline()).endswith(b"\n"):
        since += len(line)
        after = change(line[:-1])
        if after is not None:
            new.write(after + b"\n")
        changed += after != line[:-1]
    return changed, since


def _name_beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """An empty file beside this one, for one at a time; it is gone afterwards, unless it took another name."""
    place = _name_beside(path)
    with open(os.open(place, os.O_RDWR | os.O_CREAT, OWNER), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(file.fileno(), place):
            raise BlockingIOError(errno.EAGAIN, "somebody else is writing it anew")
        try:
            file.truncate()
            yield file
        finally:
            if _is_at(file.fileno(), place):
                place.unlink()


def _liken(file: int, like: os.stat_result) -> None:
    """Give it the same owner and rights."""
    mine = os.fstat(file)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(file, like.st_uid, like.st_gid)
    os.fchmod(file, stat.S_IMODE(like.st_mode))


def _is_at(file: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
