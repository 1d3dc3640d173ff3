"""Recordings of any kind as float32 at 16 kHz, a block at a time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from worker.audio import RATE, Samples
from worker.errors import ConfigError

LOWEST_RATE = 8_000
"""Samples per second below which speech is no longer intelligible: telephony's rate."""
HIGHEST_RATE = 768_000
"""Samples per second above which a header is damaged: no recorder for sound goes further."""
MOST_CHANNELS = 64
SMALLEST_HOLE_S = 0.1
"""A smaller step in a file's timestamps is a decoder's priming or rounding, not missing sound."""
LARGEST_HOLE_S = 3600.0
"""A larger step is a broken timestamp."""
CUT_SHORT_S = 0.5
"""How far the end may lie before the length that the file gives; lengths are often estimates."""


class Recording:
    """One file that was found to hold sound. Memory does not grow with its length."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when `path` holds nothing that can be heard."""
        self.path = path
        self.problem: str | None = None
        """After `blocks`: what was wrong with the file, as the end of a sentence; None when it was read whole."""
        with closing(self._open()) as container:
            stream = self._stream(container)
            first = next(self._frames(container, stream), None)
            if first is None:
                raise ConfigError(f"{path} holds no sound that can be decoded: convert it to WAV and try again.")
            self.channels: int = first.layout.nb_channels
            self._rate: int = first.sample_rate
            self.duration_s: float | None = container.duration / av.time_base if container.duration else None
            """Seconds; an estimate of some formats, None when the file does not say."""
        if self._rate < LOWEST_RATE:
            raise ConfigError(f"{path} has {self._rate} samples per second: speech needs at least {LOWEST_RATE}.")
        if self.channels > MOST_CHANNELS:
            raise ConfigError(f"{path} has {self.channels} channels: split it into files of at most {MOST_CHANNELS}.")

    def blocks(self, block_s: float = 0.1, mono: bool = False) -> Generator[Samples, None, None]:
        """Arrays of shape (channels, n), or (1, n) of their mean; all of the same length but the last.

        A hole in the file's timestamps becomes silence; what cannot be decoded is passed over and told in `problem`.
        """
        size = round(block_s * RATE)
        held: list[Samples] = []
        count = total = 0
        self.problem = None
        for piece in self._pieces():
            held.append(np.clip(piece.mean(axis=0, keepdims=True) if mono else piece, -1, 1))
            count += piece.shape[1]
            total += piece.shape[1]
            if count >= size:
                joined = np.concatenate(held, axis=1)
                for start in range(0, count - size + 1, size):
                    yield joined[:, start : start + size]
                held, count = [joined[:, count - count % size :]], count % size
        if count:
            yield np.concatenate(held, axis=1)
        if self.duration_s is not None and total / RATE < self.duration_s - CUT_SHORT_S:
            self.problem = f"stops after {total / RATE:.1f} s of {self.duration_s:.1f} s"

    def _pieces(self) -> Iterator[Samples]:
        # Packed samples: PyAV reads planar frames of eight or more channels out of bounds.
        resampler = av.AudioResampler(format="flt", rate=RATE)
        with closing(self._open()) as container:
            stream = self._stream(container)
            given, origin = 0, None
            for frame in self._frames(container, stream):
                if (frame.sample_rate, frame.layout.nb_channels) != (self._rate, self.channels):
                    self.problem = "changes its format on the way; only the first is heard"
                    continue
                if frame.time is not None:
                    origin = self._origin(container, frame.time) if origin is None else origin
                    hole = frame.time - origin - given / self._rate
                    if SMALLEST_HOLE_S < hole < LARGEST_HOLE_S:
                        given += round(hole * self._rate)
                        yield from self._silence(hole)
                given += frame.samples
                yield from map(self._unpack, resampler.resample(frame))
            if given:
                yield from map(self._unpack, resampler.resample(None))

    @staticmethod
    def _origin(container: Any, first: float) -> float:
        """Second 0 of the file, whose sound may begin later than its pictures."""
        start = container.start_time
        return first if start is None else min(first, float(start / av.time_base))

    def _silence(self, seconds: float) -> Iterator[Samples]:
        left = round(seconds * RATE)
        while left > 0:
            yield np.zeros((self.channels, min(left, RATE)), np.float32)
            left -= RATE

    def _unpack(self, frame: Any) -> Samples:
        packed: Samples = frame.to_ndarray()
        planar = np.ascontiguousarray(packed.reshape(-1, self.channels).T)
        return np.nan_to_num(planar, copy=False, posinf=0, neginf=0)

    def _open(self) -> Any:
        try:
            if not self.path.is_file():
                what = "is a folder" if self.path.is_dir() else "does not exist"
                raise ConfigError(f"{self.path} {what}: give the path of a recording.")
            if self.path.stat().st_size == 0:
                raise ConfigError(f"{self.path} is empty: give the path of a recording.")
            # A playlist or a name with a colon must not lead to the network.
            return av.open(f"file:{self.path}", metadata_errors="ignore", options={"protocol_whitelist": "file"})
        except MemoryError as error:
            raise ConfigError(f"{self.path} has a damaged header: record or export it again.") from error
        except PermissionError as error:
            raise ConfigError(f"{self.path} may not be read: check its permissions.") from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path} is not a recording that can be read, or it is damaged: try WAV.") from error

    def _stream(self, container: Any) -> Any:
        if not container.streams.audio:
            raise ConfigError(f"{self.path} has no sound: give a file with an audio track.")
        stream = container.streams.audio[0]
        if stream.codec_context is None or stream.channels == 0:
            raise ConfigError(f"{self.path} has a sound track without channels: record or export it again.")
        if stream.codec_context.sample_rate > HIGHEST_RATE:
            rate = stream.codec_context.sample_rate
            raise ConfigError(f"{self.path} claims {rate} samples per second: record or export it again.")
        return stream

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        packets = container.demux(stream)
        while (packet := self._past_damage(next, packets, None)) is not None:
            yield from self._past_damage(packet.decode) or ()

    def _past_damage(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except FFmpegError:
            self.problem = "is damaged; what can be decoded is heard"
            return None


def open_recording(path: Path) -> Recording:
    """A file as a recording; raises ConfigError with one sentence that names it and what to do."""
    return Recording(path)
