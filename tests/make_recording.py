"""Renders the synthetic guests' conversation, a speaker a channel: python -m tests.make_recording OUT.flac

For `undertone replay`, which takes each channel for a speaker. OUT may be .wav too.
"""

import sys
from pathlib import Path

import av
import numpy as np

from worker.audio import RATE, Samples
from worker.audio.opus import OpusDecoder
from worker.rooms import guests

GUESTS = 4
CODECS = {".flac": "flac", ".wav": "pcm_s16le"}
LAYOUT = "quad"
BLOCK = RATE


def rendered() -> Samples:
    """One round as everyone hears it, 16 kHz, shape (guests, n)."""
    return np.stack([_decoded(guests.guest(number).packets) for number in range(GUESTS)])


def _decoded(packets: list[bytes]) -> Samples:
    decoder = OpusDecoder()
    return np.concatenate([sound for packet in packets if (sound := decoder.decode(packet)) is not None])


def write(path: Path, sound: Samples) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=RATE, layout=LAYOUT, format="s16")
        packed = (sound.T * 32767).round().clip(-32768, 32767).astype(np.int16)
        for start in range(0, len(packed), BLOCK):
            block = np.ascontiguousarray(packed[start : start + BLOCK]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout=LAYOUT)
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or Path(arguments[0]).suffix not in CODECS:
        sys.exit("usage: python -m tests.make_recording OUT.flac|OUT.wav")
    write(Path(arguments[0]), rendered())


if __name__ == "__main__":
    main(sys.argv[1:])
