"""What may befall a voice on its way, for judging: lines, levels, and noise of a kind that nothing is trained with."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from worker.audio import RATE, Samples
from worker.lab.augment import band_limited, gained, pick
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.opus import losses, round_trip
from worker.lab.sound import at_snr, fit, read_scaled

MADE = "made: bands that come and go each by itself"
GRAIN = 512
"""Samples of a block whose spectrum is shaped."""
BANDS = 12
KNOTS_S = 0.2
"""Seconds in which a band may change its strength: about the pace of syllables, which is what disturbs a voice most."""
SPREAD = 1.2
"""Standard deviation of a band's strength in nats (10 dB)."""

Change = Callable[[Samples, np.random.Generator], Samples]
Noise = Callable[[int, np.random.Generator], Samples]
"""Samples and a generator, to that much noise."""


def conditions(noise: Noise) -> Mapping[str, Change]:
    """By name, what is done to a clip of shape (n,); `noise` is what is put under it."""

    def line(bits: int, lost: float) -> Change:
        return lambda x, r: round_trip(x, bits, losses(lost, len(x) // 320 + 2, r))

    return {
        "opus 24 kb/s, 5 % lost": line(24_000, 0.05),
        "opus 16 kb/s, 10 % lost": line(16_000, 0.1),
        "opus 16 kb/s, 20 % lost": line(16_000, 0.2),
        "telephone band": lambda x, r: band_limited(x, 300, 3_400),
        "noise at 20 dB": lambda x, r: at_snr(x, noise(len(x), r), 20),
        "noise at 10 dB": lambda x, r: at_snr(x, noise(len(x), r), 10),
        "gain +12 dB": lambda x, r: gained(x, 12),
        "gain -12 dB": lambda x, r: gained(x, -12),
    }


def noise_of(clips: Sequence[Clip]) -> tuple[Noise, str]:
    """Noise to judge by and what it is: the recordings among `clips` that are nobody's sound, else `unsteady`.

    Training mixes in `augment.coloured` and other recordings; who is good at that only has learned a generator.
    """
    others = [clip for clip in clips if clip.emotion == NOT_SPEECH and not clip.gender]
    if not others:
        return unsteady, MADE
    sounds = [read_scaled(clip.path) for clip in others]

    def recorded(samples: int, random: np.random.Generator) -> Samples:
        sound = pick(sounds, random)
        return fit(sound, samples, int(random.integers(len(sound))))

    return recorded, f"recorded: {len(others)} clips of {', '.join(sorted({clip.corpus for clip in others}))}"


def unsteady(samples: int, random: np.random.Generator) -> Samples:
    """Noise of BANDS whose strengths wander, each by itself: shape (samples,), neither steady nor of one colour."""
    step = GRAIN // 2
    blocks = samples // step + 2
    white = random.standard_normal((blocks, GRAIN))
    knots = random.normal(0, SPREAD, size=(BANDS, max(2, round(blocks * step / RATE / KNOTS_S))))
    places = np.linspace(0, knots.shape[1] - 1, blocks)
    strength = np.stack([np.interp(places, np.arange(knots.shape[1]), band) for band in knots], axis=1)
    edges = np.geomspace(60, RATE / 2, BANDS + 1)[1:-1]
    band_of = np.digitize(np.fft.rfftfreq(GRAIN, 1 / RATE), edges)
    shaped = np.fft.irfft(np.fft.rfft(white) * np.exp(strength)[:, band_of], GRAIN) * np.hanning(GRAIN + 1)[:-1]
    out = np.zeros((blocks + 1) * step)
    for number, block in enumerate(shaped):
        out[number * step : number * step + GRAIN] += block
    noise = out[step : step + samples]
    return np.asarray(0.1 * noise / (np.std(noise) + 1e-9), np.float32)
