"""Writes one line of JSON per event to a file."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.envelope import Envelope
from worker.errors import ConfigError, SinkError
from worker.lines import OWNER, Lines, first
from worker.sinks import Keeping

AGAIN_S = 0.005
"""Seconds until a file is asked for again that is just being replaced, which takes less than that."""
ATTEMPTS = 400


class JsonlSink:
    """Every event is on its way to the disk when `send` returns; a line is written whole or not at all.

    A file that is made is its owner's alone to read. `append` false empties an existing one first. With `prompts`, what
    is said to one person alone is in it as well. Lines are sealed where `keeping` has keys. Raises ConfigError when the
    file cannot be opened, or its first line was sealed with another key.
    """

    def __init__(self, path: Path, append: bool = True, prompts: bool = False, keeping: Keeping | None = None) -> None:
        self.private = prompts
        self._path, self._seal = Path(path), keeping.seal if keeping is not None else None
        self.check_options({"path": self._path})
        try:
            if append and self._seal is not None:
                self._seal.unseal(first(self._path), str(self._path))
            self._lines = Lines(self._path, empty=not append, mode=OWNER)
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
        line = envelope.as_json().encode()
        if self._seal is not None:
            line = self._seal.seal(line)
        try:
            for _ in range(ATTEMPTS):
                if self._lines.append(line):
                    return
                await asyncio.sleep(AGAIN_S)
        except OSError as error:
            code, advice = "jsonl_write", f"{self._path} cannot be written ({error.strerror}): free space on its disk."
            raise SinkError(advice, code) from None
        raise SinkError(f"{self._path} is held by another process: end that process.", "jsonl_held")

    async def close(self) -> None:
        self._lines.close()
