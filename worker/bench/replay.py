"""What ten people who all talk at once cost: processor, memory and lost sound, in real time."""

import asyncio
import json
import resource
import subprocess
import sys
import time
import wave
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from worker import config, supervisor
from worker.audio import RATE, Samples
from worker.audio.files import open_recording
from worker.bench.policy import EVERYTHING
from worker.events import PREFIX, SpeechStarted, TalkTime

SPEAKERS = 10
LONGEST_S = 180.0
SILENCE = 0.01
"""Peak below which 20 ms of a voice count as a pause."""


def run(quick: bool) -> dict[str, Any]:
    """Plays 20 s, or 60 s, in a process of its own, so that nothing else counts."""
    seconds = 20 if quick else 60
    with TemporaryDirectory() as folder:
        make_voices(Path(folder), seconds)
        command = [sys.executable, "-m", "worker.bench.replay", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)  # noqa: S603
        if done.returncode != 0:
            raise RuntimeError(f"the measured process failed: {done.stderr.strip()[-2000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"speakers": SPEAKERS, "seconds": seconds, **figures}


async def measure(voices: list[Path], events: Path) -> dict[str, Any]:
    """Replays the voices in real time, one speaker each, from the first block to the last: loading models is not in it.

    A replay waits for its listener and drops nothing; a worker that is too slow shows as blocks ever further behind.
    A block is behind by how much longer after its end it was answered than the promptest one.
    """
    settings = config.settle(
        {
            "room": {"kind": "replay", "files": voices, "realtime": True},
            "policy": EVERYTHING,
            "sinks": [{"kind": "jsonl", "path": events}],
        }
    )
    marks: list[tuple[float, float, float]] = []
    session = await supervisor.replay(
        settings, lambda at, _: marks.append((time.perf_counter(), time.process_time(), at))
    )
    clock, work, at = np.array(marks).T
    late = clock - at - (clock - at).min()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "core_share": round(float((work[-1] - work[0]) / (clock[-1] - clock[0])), 3),
        "peak_memory_mb": round(peak, 1),
        "dropped_s": round(session.dropped_s, 3),
        "behind_p50_ms": round(1000 * float(np.percentile(late, 50)), 1),
        "behind_max_ms": round(1000 * float(late.max()), 1),
        **_heard(events),
    }


def _heard(events: Path) -> dict[str, Any]:
    """Proof that the chain worked while it was measured."""
    said = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    spoken = {event["subject"] for event in said if event["type"] == PREFIX + SpeechStarted.type}
    talk = next(event["data"]["speakers"] for event in reversed(said) if event["type"] == PREFIX + TalkTime.type)
    return {
        "speakers_heard": len(spoken),
        "talk_s": round(sum(speaker["seconds"] for speaker in talk.values()), 1),
        "emotions": sum(event["type"].startswith(f"{PREFIX}emotion.") for event in said),
        "events": len(said),
    }


def make_voices(folder: Path, seconds: float) -> None:
    """Writes one WAV per speaker: the guests' voices without pauses, each at its own pace and from its own word."""
    with as_file(files("worker.rooms") / "voices") as voices:
        speech = [_speech(path) for path in sorted(voices.glob("*.ogg"))]
    for number in range(SPEAKERS):
        voice = speech[number % len(speech)]
        rate = round(RATE * (0.9 + 0.02 * number))
        sound = np.resize(np.roll(voice, number * len(voice) // SPEAKERS), round(seconds * rate))
        with wave.open(str(folder / f"voice{number}.wav"), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes((sound * 32767).astype("<i2").tobytes())


def _speech(path: Path) -> Samples:
    blocks = [block[0] for block in open_recording(path).blocks(0.02, mono=True)]
    loud: Samples = np.concatenate([block for block in blocks if np.abs(block).max() > SILENCE])
    return loud


if __name__ == "__main__":
    here = Path(sys.argv[1])
    print(json.dumps(asyncio.run(measure(sorted(here.glob("*.wav")), here / "events.jsonl"))))
