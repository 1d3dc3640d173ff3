"""Makes the synthetic guests' voices in worker/rooms/voices with espeak-ng: python tests/make_voices.py"""

import subprocess
import tempfile
import wave
from pathlib import Path

import av
import numpy as np

FOLDER = Path(__file__).parent.parent / "worker" / "rooms" / "voices"
RATE = 48_000
ROUND_S = 32
"""Every voice is as long, so that guests who begin together keep taking turns."""

LINES = {
    "1-robin": (
        "en-us+m3",
        [
            (0.5, 150, 45, 60, "Good morning. Shall we begin with the plan for this week?"),
            (10.5, 155, 50, 70, "That sounds fine to me. We have two days before the review."),
            (21.0, 185, 75, 130, "Wait, really? That is wonderful news! I did not expect that at all!"),
        ],
    ),
    "2-kim": (
        "en-gb+f2",
        [
            (5.5, 145, 55, 70, "Yes. The first part is ready, and the tests are running now."),
            (16.0, 150, 55, 75, "By the way, the customer called. They want to start next month."),
            (26.5, 140, 50, 60, "I thought you would like it. Let us write it down."),
        ],
    ),
}


def say(voice: str, speed: int, pitch: int, loudness: int, text: str) -> np.ndarray:
    """One sentence as float32 mono at 48 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        options = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-a", str(loudness), "-w", file.name]
        subprocess.run(["espeak-ng", *options, text], check=True)
        with wave.open(file.name) as sound:
            rate = sound.getframerate()
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768
    at = np.arange(0, len(pcm) * RATE // rate) * rate / RATE
    return np.interp(at, np.arange(len(pcm)), pcm).astype(np.float32)


def write(path: Path, sound: np.ndarray) -> None:
    """Ogg Opus, 20 ms packets, 24 kb/s."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=24_000)
        stream.codec_context.options = {"application": "voip"}
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.rate = RATE
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=960)
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (voice, lines) in LINES.items():
        sound = np.zeros(ROUND_S * RATE, np.float32)
        for start, speed, pitch, loudness, text in lines:
            spoken = say(voice, speed, pitch, loudness, text)
            begin = round(start * RATE)
            print(f"{name} {start:5.1f} s to {start + len(spoken) / RATE:5.1f} s")
            sound[begin : begin + len(spoken)] += spoken[: len(sound) - begin]
        write(FOLDER / f"{name}.ogg", sound)


if __name__ == "__main__":
    main()
