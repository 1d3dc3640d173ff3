"""Writing that a crash leaves whole: to the end of a file, or a file at once."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

OWNER = 0o600
ROOT = 0

Mark: TypeAlias = tuple[int, int, int]


def mark(path: Path) -> Mark:
    """Another one when the file is another, or was written since. Raises OSError."""
    state = os.stat(path)
    return state.st_ino, state.st_size, state.st_mtime_ns


def append(path: Path, data: bytes) -> None:
    """All of it to the end of the file and on the disk, or none of it. Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNER)
    try:
        before = os.fstat(file).st_size
        try:
            if os.write(file, data) != len(data):
                raise OSError(0, "only a part was written")
            os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, before)
            raise
    finally:
        os.close(file)


def replace(path: Path, data: bytes, mode: int = OWNER) -> None:
    """The file holds either what it held or all of this, whenever the machine stops; `mode` are its rights then.

    Raises OSError.
    """
    fresh = path.with_name(path.name + ".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER)
    try:
        if os.write(file, data) != len(data):
            raise OSError(0, "only a part was written")
        if os.geteuid() == ROOT and path.exists():  # whose commands must not lock the worker out of its files
            state = os.stat(path)
            os.fchown(file, state.st_uid, state.st_gid)
        os.fchmod(file, mode)
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(fresh, path)
