"""Sounds that are no one's speech, made for training: a model must say that it does not know them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from worker.audio import RATE, Samples
from worker.lab.augment import Pool, babble, coloured, pick
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.sound import fit, seeded
from worker.lab.vocal import breath, cough, cry, laugh

CORPUS = "made"
SECONDS = 4
KINDS = {
    "babble": 300,
    "music": 250,
    "tones": 100,
    "noise": 150,
    "taps": 150,
    "grains": 150,
    "laugh": 200,
    "cough": 150,
    "breath": 150,
    "cry": 200,
}
"""What is made, and how many of each."""


def clips() -> Iterator[Clip]:
    """Each stands for its own speaker; its sound comes from `make`."""
    for kind, count in KINDS.items():
        for number in range(count):
            yield Clip(Path(f"{kind}-{number}"), f"{CORPUS}:{kind}-{number}", NOT_SPEECH, CORPUS, licence="synthetic")


def make(name: str, pool: Pool) -> Samples:
    """The sound of one of `clips`: the same name and pool give the same sound, shape (SECONDS * RATE,)."""
    kind = name.split("-")[0]
    random = seeded(CORPUS, name)
    makers: dict[str, Callable[[Pool, np.random.Generator], Samples]] = {
        "babble": lambda pool, random: babble(pool.voices, SECONDS * RATE, random, int(random.integers(4, 12))),
        "music": music,
        "tones": tones,
        "noise": noise,
        "taps": taps,
        "grains": grains,
        **{made.__name__: _held(made) for made in (laugh, cough, breath, cry)},
    }
    sound = makers[kind](pool, random)
    if kind != "noise" and random.random() < 0.5:
        sound = sound + coloured(len(sound), random) * np.float32(10 ** random.uniform(-2.5, -0.5))
    return np.asarray(sound / max(float(np.abs(sound).max()), 1e-6) * random.uniform(0.1, 0.9), np.float32)


def _held(made: Callable[[Pool, int, np.random.Generator], Samples]) -> Callable[[Pool, np.random.Generator], Samples]:
    return lambda pool, random: made(pool, SECONDS * RATE, random)


def music(pool: Pool, random: np.random.Generator) -> Samples:
    """Chords of plucked or bowed harmonic tones on a beat, often with drums."""
    out = np.zeros(SECONDS * RATE, np.float32)
    beat = round(RATE * random.uniform(0.2, 0.6))
    root = random.uniform(80, 300)
    decay, harmonics = random.uniform(0.5, 8), int(random.integers(2, 12))
    drums = random.random() < 0.5
    for at in range(0, len(out), beat):
        time = np.arange(min(2 * beat, len(out) - at)) / RATE
        for step in random.choice([0, 2, 4, 5, 7, 9, 11, 12, 16], size=random.integers(1, 4)):
            hertz = root * 2 ** (step / 12)
            phase = 2 * np.pi * hertz * (time + 0.002 * np.sin(2 * np.pi * 5 * time) / 5)
            tone = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1) if k * hertz < 7_000)
            out[at : at + len(time)] += (tone * np.exp(-decay * time) * np.minimum(1, time * 100)).astype(np.float32)
        if drums:
            hit = random.standard_normal(len(time)) * np.exp(-time * random.uniform(15, 60))
            out[at : at + len(time)] += (2 * hit).astype(np.float32)
    return out


def tones(pool: Pool, random: np.random.Generator) -> Samples:
    """Dialling, ringing, alarms, hum: one to three steady tones, switched on and off."""
    time = np.arange(SECONDS * RATE) / RATE
    out = sum(np.sin(2 * np.pi * hertz * time) for hertz in 2 ** random.uniform(5.6, 12, size=random.integers(1, 4)))
    if random.random() < 0.4:
        hum = random.choice([50, 60])
        out = sum(np.sin(2 * np.pi * k * hum * time) / k for k in range(1, 20))
    if random.random() < 0.6:
        out = out * ((time * random.uniform(0.3, 8)) % 1 < random.uniform(0.2, 0.9))
    return np.asarray(out, np.float32)


def noise(pool: Pool, random: np.random.Generator) -> Samples:
    """Steady, swelling or gusty noise, down to the hiss of a silent line."""
    out = coloured(SECONDS * RATE, random)
    knots = random.uniform(0.05, 1, size=random.integers(2, 12)) if random.random() < 0.6 else np.ones(2)
    return (out * np.interp(np.linspace(0, 1, len(out)), np.linspace(0, 1, len(knots)), knots)).astype(np.float32)


def taps(pool: Pool, random: np.random.Generator) -> Samples:
    """Keys, clicks, knocks: short resonant bursts in an irregular rhythm."""
    out = 1e-4 * random.standard_normal(SECONDS * RATE).astype(np.float32)
    at = 0
    while (at := at + round(RATE * random.exponential(0.18) + 400)) < len(out) - 3_000:
        time = np.arange(3_000) / RATE
        ring = np.sin(2 * np.pi * random.uniform(150, 5_000) * time) * np.exp(-time * random.uniform(50, 300))
        burst = random.standard_normal(3_000) * np.exp(-time * random.uniform(60, 500))
        out[at : at + 3_000] += ((ring + random.uniform(0.2, 2) * burst) * random.uniform(0.2, 1)).astype(np.float32)
    return out


def grains(pool: Pool, random: np.random.Generator) -> Samples:
    """A piece of a voice repeated, held or breathed: what laughs, coughs, moans, pants and screams have in common."""
    voice = fit(pick(pool.voices, random), 4 * RATE, int(random.integers(RATE * 4)))
    length = round(RATE * random.uniform(0.03, 0.25))
    places = random.integers(0, len(voice) - length, size=12)
    at = max(places, key=lambda place: float(np.mean(np.square(voice[place : place + length]))))
    grain = voice[at : at + length] * np.hanning(length)
    if random.random() < 0.5:  # breathed: its spectrum without its pitch
        phase = np.exp(2j * np.pi * random.random(length // 2 + 1))
        grain = np.fft.irfft(np.abs(np.fft.rfft(grain)) * phase, length) * np.hanning(length)
    period = round(length * random.uniform(0.5, 2.5)) + 1
    out = np.zeros(SECONDS * RATE + length)
    for place in range(0, SECONDS * RATE, period):
        shift = random.uniform(0.97, 1.03) * (1.6 if random.random() < 0.05 else 1)
        warped = np.interp(np.arange(0, length - 1, shift), np.arange(length), grain)
        warped = warped[: len(out) - place]
        out[place : place + len(warped)] += warped * random.uniform(0.5, 1)
    time = np.arange(len(out)) / RATE
    phrase = random.uniform(0.6, 3)
    swell = np.abs(np.sin(np.pi * time / phrase + random.uniform(0, 3))) ** random.uniform(0.2, 2)
    return (out * swell)[: SECONDS * RATE].astype(np.float32)
