"""Writes one line of JSON per event to a file."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from worker.envelope import Envelope
from worker.errors import ConfigError, SinkError


class JsonlSink:
    """Every event is on its way to the disk when `send` returns; a line is written whole or not at all.

    `append` false empties an existing file first. With `prompts`, what is said to one person alone is in it as well.
    Raises ConfigError when the file cannot be opened.
    """

    def __init__(self, path: Path, append: bool = True, prompts: bool = False) -> None:
        self.private = prompts
        self._path = Path(path)
        self.check_options({"path": self._path})
        try:
            self._file = open(self._path, "ab" if append else "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written ({error.strerror}): change `path`.") from None

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError when there can be no such file; opens nothing."""
        path = Path(options["path"])
        if not path.parent.is_dir():
            raise ConfigError(f"the folder {path.parent} does not exist: create it, or change `path`.")
        if path.is_dir():
            raise ConfigError(f"{path} cannot be written (Is a directory): change `path`.")

    async def send(self, envelope: Envelope) -> None:
        line = envelope.as_json().encode() + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(0, "only a part of a line was written")
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            code, advice = "jsonl_write", f"{self._path} cannot be written ({error.strerror}): free space on its disk."
            raise SinkError(advice, code) from None

    async def close(self) -> None:
        self._file.close()
