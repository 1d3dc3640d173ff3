"""Recordings that tests make: voices of pulses, and corpora of them."""

import csv
import wave
from pathlib import Path

import numpy as np

from worker.audio import RATE, Samples


def voice(hertz: float, seconds: float, glide: float = 0.0) -> Samples:
    """Harmonics of a pitch that moves by `glide` octaves, four syllables a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(hertz * 2 ** (glide * time / seconds)) / RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 15))
    return (0.1 * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def write_wav(path: Path, sound: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())


def corpus(folder: Path, speakers: int = 10) -> Path:
    """A CSV file with three clips of each speaker: sad falls, angry rises, neutral stays. Also voices and noise."""
    lines = []
    glides = {"sad": -0.5, "neutral": 0.0, "angry": 0.7}
    for number in range(speakers):
        for emotion, glide in glides.items():
            name = f"s{number}-{emotion}.wav"
            write_wav(folder / name, voice(100 + 12 * number, 1.3, glide))
            lines.append([name, f"s{number}", emotion, "FM"[number % 2], "low" if number % 3 else "high"])
    for number in range(10):
        write_wav(folder / f"u{number}.wav", voice(90 + 15 * number, 1.2, 0.3))
        lines.append([f"u{number}.wav", f"u{number}", "unlabelled", "", ""])
        noise = np.random.default_rng(number).normal(0, 0.1, RATE).astype(np.float32)
        write_wav(folder / f"n{number}.wav", noise)
        lines.append([f"n{number}.wav", "", "noise:hiss", "", ""])
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "speaker", "emotion", "gender", "intensity"], *lines])
    return table
