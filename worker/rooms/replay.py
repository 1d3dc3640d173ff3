"""Recordings as if they were a room: the same files give the same events, byte for byte."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import structlog

from worker.audio import RATE, AudioChunk, Samples
from worker.audio.files import Recording, open_recording
from worker.errors import ConfigError
from worker.events import SpeakerJoined, SpeakerLeft
from worker.rooms import RoomItem, Tick

log = structlog.get_logger()


class _Source:
    """One recording and the speakers in it, read one block ahead so that its last block is known as such."""

    def __init__(self, recording: Recording, speakers: list[str], block_s: float) -> None:
        self.speakers = speakers
        self._recording = recording
        self._blocks = recording.blocks(block_s, mono=len(speakers) == 1)
        self._ahead = next(self._blocks, None)

    @property
    def ended(self) -> bool:
        return self._ahead is None

    def take(self) -> Samples:
        """The next block, shape (speakers, n); empty when there is none."""
        block, self._ahead = self._ahead, next(self._blocks, None)
        if self.ended and self._recording.problem:
            log.warning(f"A recording {self._recording.problem}.", speakers=self.speakers)
        return np.zeros((len(self.speakers), 0), np.float32) if block is None else block

    def close(self) -> None:
        self._blocks.close()


class ReplayRoom:
    """Several files are one speaker each; one file with several channels is a speaker per channel."""

    lockstep = True
    started = datetime(1970, 1, 1, tzinfo=UTC)

    def __init__(
        self,
        files: list[Path],
        name: str = "replay",
        realtime: bool = False,
        channels_as_speakers: bool = True,
        block_s: float = 0.1,
        progress: Callable[[float, float], None] | None = None,
    ) -> None:
        """Raises ConfigError for a file that holds no sound.

        `realtime` gives each block when its last sample would have been spoken, else at once. `progress` is called
        with the seconds done and the seconds in all; the worker gives it, a file does not.
        """
        if not files:
            raise ConfigError("replay has no files: name at least one recording.")
        if not 0.01 <= block_s <= 10:
            raise ConfigError(f"replay: block_s is {block_s}; set it between 0.01 and 10 seconds.")
        self.name = name
        self.behind_s = 0.0
        """In real time: the most that a block was given after its time, because the listener was busy."""
        self._recordings = [open_recording(Path(file)) for file in files]
        self._split = channels_as_speakers and len(files) == 1
        self._realtime, self._block_s, self._progress = realtime, block_s, progress
        self._closing = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        names = _distinct(self._names())
        speakers = [f"s{number}" for number in range(1, len(names) + 1)]
        for speaker, name in zip(speakers, names, strict=True):
            yield SpeakerJoined(0.0, speaker, name)
        playing = sources = self._sources(speakers)
        begun, given = time.monotonic(), 0
        try:
            while playing:
                items = list(_block(playing, given))
                given += max(len(item.samples) for item in items if isinstance(item, AudioChunk))
                at = given / RATE
                await self._until(begun + at)
                if self._closing.is_set():
                    return
                for item in items:
                    yield item
                yield Tick(at)
                self._report(at)
                playing = [source for source in playing if not source.ended]
        finally:
            for source in sources:
                source.close()

    async def send(self, message: str, to: str | None = None) -> bool:
        """A recording has no listeners."""
        return True

    async def close(self) -> None:
        self._closing.set()

    def _names(self) -> Iterator[str]:
        for recording in self._recordings:
            stem = recording.path.stem
            if self._split and recording.channels > 1:
                yield from (f"{stem}, channel {channel}" for channel in range(1, recording.channels + 1))
            else:
                yield stem

    def _sources(self, speakers: list[str]) -> list[_Source]:
        if self._split:
            return [_Source(self._recordings[0], speakers, self._block_s)]
        pairs = zip(self._recordings, speakers, strict=True)
        return [_Source(recording, [speaker], self._block_s) for recording, speaker in pairs]

    async def _until(self, due: float) -> None:
        """Wait for a block's time, or only let others run; ends early when the room is closed."""
        left = due - time.monotonic() if self._realtime else 0.0
        if left > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), left)
        else:
            await asyncio.sleep(0)
            self.behind_s = max(self.behind_s, -left)

    def _report(self, at: float) -> None:
        if self._progress is not None:
            known = [recording.duration_s or 0.0 for recording in self._recordings]
            self._progress(at, max(at, *known))


def _block(sources: list[_Source], given: int) -> Iterator[AudioChunk | SpeakerLeft]:
    """The next sound of everyone after `given` samples, then who has no more."""
    left: list[SpeakerLeft] = []
    for source in sources:
        for speaker, samples in zip(source.speakers, source.take(), strict=True):
            yield AudioChunk(speaker, given / RATE, samples)
            if source.ended:
                left.append(SpeakerLeft((given + len(samples)) / RATE, speaker, "ended"))
    yield from left


def _distinct(names: Iterator[str]) -> list[str]:
    """The same names, a repeated one with a number behind it."""
    distinct: list[str] = []
    for name in names:
        number, unused = 1, name
        while unused in distinct:
            number += 1
            unused = f"{name} ({number})"
        distinct.append(unused)
    return distinct
