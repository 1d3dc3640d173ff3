"""Files of lines that the worker adds to: events, and letters that no webhook took."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.data.person import Census, Whom
from worker.data.records import Message, about_message, learn, parsed, place, without_message, written
from worker.data.stores import Tally, Unreached
from worker.errors import ConfigError
from worker.lines import rewrite
from worker.privacy.sealing import Seal

ATTEMPTS = 20
PAUSE_S = 0.25
"""Between attempts, where somebody else is writing the file anew."""


class LinesStore:
    """One file, of the sink `jsonl` or with dead letters, sealed or not. Lines that are no records stay as they are.

    A file that does not exist holds nothing. A worker may go on adding lines meanwhile.
    """

    def __init__(self, path: Path, seal: Seal, name: str = "jsonl") -> None:
        self.name = name
        self._path, self._seal = path, seal

    async def look(self, census: Census) -> None:
        await asyncio.to_thread(self._look, census)

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._export, whom)

    async def erase(self, whom: Whom) -> Tally:
        for _ in range(ATTEMPTS):
            tally = Tally()
            try:
                if await asyncio.to_thread(self._rewrite, whom, tally) or not tally.records:
                    tally.notes = self._torn()
                    return tally
            except BlockingIOError:
                pass  # as where the file was exchanged meanwhile
            await asyncio.sleep(PAUSE_S)
        raise Unreached(f"{self._path} is being written anew by others: try again.")

    def _look(self, census: Census) -> None:
        for message in self._messages():
            learn(message, census)

    def _export(self, whom: Whom) -> list[dict[str, Any]]:
        return [own for message in self._messages() if (own := about_message(message, whom)) is not None]

    def _messages(self) -> Iterator[Message]:
        if not self._path.is_file():  # also what only takes, such as /dev/stdout
            return
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if (message := parsed(self._opened(line.rstrip(b"\n")))) is not None:
                        yield message
        except OSError as error:
            raise Unreached(f"{self._path} cannot be read ({error.strerror}): see to its rights.") from None

    def _opened(self, line: bytes) -> bytes:
        try:
            return self._seal.unseal(line, str(self._path))
        except ConfigError as error:
            raise Unreached(str(error)) from None

    def _rewrite(self, whom: Whom, tally: Tally) -> int:
        try:
            return rewrite(self._path, lambda line: self._without(line, whom, tally))
        except BlockingIOError:
            raise
        except OSError as error:
            reason = f"{self._path} cannot be written anew ({error.strerror}): see to its folder and its disk."
            raise Unreached(reason) from None

    def _torn(self) -> list[str]:
        """What the end of a file may still hold that a crash left, where nobody can tell whom it is of."""
        if not self._path.is_file() or not self._path.stat().st_size:
            return []
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            whole = file.read() == b"\n"
        return [] if whole else [f"The last line of {self._path} is not whole: look into it."]

    def _without(self, line: bytes, whom: Whom, tally: Tally) -> bytes | None:
        message = parsed(self._opened(line))
        if message is None:
            tally.unread += bool(line.strip())
            return line
        left = without_message(message, whom)
        if left is message:
            return line
        tally.note(place(message), gone=left is None)
        return None if left is None else self._seal.seal(written(left))
