"""What ten people who all talk at once cost: processor, memory and lost sound, in real time."""

import asyncio
import json
import resource
import shutil
import subprocess
import sys
import time
import wave
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from worker import config, supervisor
from worker.audio import RATE, Samples

SPEAKERS = 10
MOST_WORK_S = 600.0
TEXT = (
    "Let me begin with what we saw last week, because it surprised all of us. The first machine was ready in time, "
    "but nobody had told the people who were waiting for it. So they waited, and they waited, and in the end they "
    "went home. I think we can do better, and I would like to hear from each of you how you would go about it."
)
VOICES = ("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5")


def run(quick: bool) -> dict[str, Any]:
    """Plays 20 s, or 60 s, in a process of its own, so that nothing else counts."""
    seconds = 20 if quick else 60
    with TemporaryDirectory() as folder:
        voices = make_voices(Path(folder), seconds)
        command = [sys.executable, "-m", "worker.bench.replay", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_WORK_S)  # noqa: S603
        if done.returncode != 0:
            raise RuntimeError(f"the measured process failed: {done.stderr.strip()[-2000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"speakers": SPEAKERS, "seconds": seconds, "voices": voices, **figures}


async def measure(folder: Path) -> dict[str, Any]:
    """Replays every WAV of a folder in real time, one speaker each."""
    events = folder / "events.jsonl"
    settings = config.settle(
        {
            "room": {"kind": "replay", "files": sorted(folder.glob("*.wav")), "realtime": True},
            "sinks": [{"kind": "jsonl", "path": events}],
        }
    )
    late: list[float] = []
    begun, worked = time.perf_counter(), time.process_time()
    session = await supervisor.replay(settings, lambda at, _: late.append(time.perf_counter() - begun - at))
    wall, work = time.perf_counter() - begun, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    kinds = Counter(event["type"].removeprefix("io.undertone.") for event in said)
    return {
        "core_share": round(work / wall, 3),
        "wall_s": round(wall, 2),
        "peak_memory_mb": round(peak, 1),
        "dropped_s": round(session.dropped_s, 3),
        "behind_p50_ms": round(1000 * float(np.percentile(late, 50)), 1),
        "behind_max_ms": round(1000 * max(late), 1),
        "heard_speakers": len({event["subject"] for event in said if event["type"].endswith("speech.started.v1")}),
        "emotions": sum(count for kind, count in kinds.items() if kind.startswith("emotion.")),
        "events": len(said),
    }


def make_voices(folder: Path, seconds: float) -> str:
    """Writes one WAV per speaker, 16 kHz mono, speech without an end; says what made them."""
    spoken = shutil.which("espeak-ng")
    for number, voice in enumerate(VOICES):
        path = folder / f"voice{number}.wav"
        if spoken is not None:
            speech, rate = _speak(spoken, path, voice, 140 + 6 * number)
        else:
            speech, rate = _hum(90.0 + 17 * number, number), RATE
        # Everyone begins at another word, so that ten onsets do not fall together.
        sound = np.resize(np.roll(speech, number * len(speech) // SPEAKERS), round(seconds * rate))
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return "espeak-ng" if spoken is not None else "made tones (espeak-ng is not installed)"


def _speak(program: str, path: Path, voice: str, words_per_minute: int) -> tuple[Samples, int]:
    command = [program, "-v", f"en+{voice}", "-s", str(words_per_minute), "-w", str(path), TEXT]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603
    with wave.open(str(path), "rb") as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return pcm.astype(np.float32) / np.float32(32768), file.getframerate()


def _hum(pitch: float, seed: int) -> Samples:
    """10 s of a pulse train through three moving formants, four syllables a second: enough like a voice for a VAD."""
    at = np.arange(10 * RATE) / RATE
    wander = pitch * (1 + 0.12 * np.sin(2 * np.pi * 0.4 * at + seed))
    phase = 2 * np.pi * np.cumsum(wander) / RATE
    sound = np.zeros(len(at))
    for harmonic in range(1, int(3600 / pitch)):
        hertz = harmonic * wander
        formants = ((500, 200, 90), (1500, 500, 140), (2500, 200, 200))
        gain = sum(
            1 / (1 + ((hertz - mid - by * np.sin(2 * np.pi * 2 * at)) / width) ** 2) for mid, by, width in formants
        )
        sound += gain / harmonic**0.5 * np.sin(harmonic * phase)
    sound *= np.clip(0.6 + np.sin(2 * np.pi * 4 * at), 0, 1)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
