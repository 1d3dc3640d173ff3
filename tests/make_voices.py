"""Makes the synthetic guests' clips in worker/rooms/voices with espeak-ng: python -m tests.make_voices"""

import subprocess
import tempfile
import wave
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from worker.rooms.guests import script

FOLDER = Path(__file__).parent.parent / "worker" / "rooms" / "voices"
RATE = 48_000
PACKET = RATE // 50
BIT_RATE = 12_000
PAUSE_S = 0.2
"""Longer pauses within a clip are cut to this, so that whoever listens takes each clip for one utterance."""
QUIET = 0.004
LEAD, TAIL = 1, 3
"""Packets of silence around the sound: a clip begins and ends in the silence that it is joined to."""


def say(voice: str, text: str, speed: int, pitch: int, loudness: int) -> np.ndarray:
    """One clip as float32 mono at 48 kHz, without silence around it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        options = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-a", str(loudness), "-w", file.name]
        subprocess.run(["espeak-ng", *options, text], check=True)
        with wave.open(file.name) as sound:
            rate = sound.getframerate()
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768
    at = np.arange(0, len(pcm) * RATE // rate) * rate / RATE
    return _without_pauses(np.interp(at, np.arange(len(pcm)), pcm).astype(np.float32))


def _without_pauses(sound: np.ndarray) -> np.ndarray:
    """Cut at both ends, and wherever silence lasts longer than `PAUSE_S`."""
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    kept = sound[loud[0] : loud[-1] + 1]
    loud = loud - loud[0]
    longest = round(PAUSE_S * RATE)
    keep = np.ones(len(kept), bool)
    for before, after in pairwise(loud):
        keep[before + longest : after] = False
    return kept[keep]


def write(path: Path, sound: np.ndarray) -> None:
    """Ogg Opus in packets of 20 ms, with silence around the sound."""
    packets = -(-len(sound) // PACKET)
    padded = np.zeros((LEAD + packets + TAIL) * PACKET, np.float32)
    padded[LEAD * PACKET : LEAD * PACKET + len(sound)] = sound
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=BIT_RATE)
        stream.codec_context.options = {"application": "voip"}
        frame = av.AudioFrame.from_ndarray((padded * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.rate = RATE
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=PACKET)
        for part in [*resampler.resample(frame), None]:
            container.mux(stream.encode(part))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    play = script()
    for number, (who, guest) in enumerate(play["guests"].items(), 1):
        for clip, (manner, text) in play["clips"].get(who, {}).items():
            sound = say(guest["voice"], text, **play["manners"][manner])
            write(FOLDER / f"{number}-{who}-{clip}.ogg", sound)
            print(f"{who} {clip}: {len(sound) / RATE:.2f} s, peak {np.abs(sound).max():.2f}")


if __name__ == "__main__":
    main()
