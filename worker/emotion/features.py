"""What the emotion model is shown of a window: the same code in the laboratory and live."""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import prosody

FRAME, HOP, FFT = 400, 160, 512
"""Frames of 25 ms every 10 ms."""
BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 60.0, 7_600.0
SHORTEST = prosody.FRAME
"""Samples below which a window is lengthened with silence."""

STRENGTH, OCTAVE, CONTOUR = BANDS, BANDS + 1, BANDS + 2
"""Columns after the bands: how periodic a frame is (0 to 1), its pitch in octaves above PITCH_HZ, and the pitch above
the window's median, which leaves out how high this speaker's voice is. Both are 0 where there is no pitch."""
CHANNELS = BANDS + 3
PITCH_HZ = 150.0

SILENT = 1e-10
"""Power of a band that is as good as nothing: 16-bit dither lies above it."""
FLOOR = 1e-3
"""Power relative to the voice's (-30 dB) below which sound is the recording's, not the speaker's."""
NOISE, SPAN, OVER = 10, 9, 2.0
"""Steady noise of a band is this percentile over time of its power in means of SPAN frames, and OVER times as much is
taken away (spectral subtraction, Berouti et al. 1979). How far a voice stands out of its noise says how loud it was in
one studio, and nothing in another: a network that sees it learns that and little else (CREMA-D: 17 dB for sad, 33 dB
for angry; EMO-DB: 45 dB and more for all)."""
RECIPE = 2
"""Rises with every change of what the network is shown: a model is good only for what it learned from."""

Table = NDArray[np.float32]


def analyse(samples: Samples) -> Table:
    """Log band powers, pitch strength and octave of mono 16 kHz samples: shape (frames, CHANNELS - 1).

    These depend on the level; `normalise` takes it out of any stretch of them.
    """
    if len(samples) < SHORTEST:
        samples = np.pad(samples, (0, SHORTEST - len(samples)))
    frames = sliding_window_view(samples, FRAME)[::HOP]
    spectrum = np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), FFT)
    power = spectrum.real**2 + spectrum.imag**2
    bands = np.log(power @ filters() + SILENT)
    octave, strength = _pitch(samples)
    centres = np.arange(len(frames)) * HOP + FRAME / 2
    nearest = np.rint((centres - prosody.FRAME / 2) / prosody.HOP).astype(int).clip(0, len(octave) - 1)
    return np.column_stack((bands, strength[nearest], octave[nearest])).astype(np.float32)


def normalise(table: Table) -> Table:
    """What the network sees of a stretch of `analyse`: shape (frames, CHANNELS).

    The same at any gain and, as far as can be, with any steady noise.
    """
    bands = table[:, :BANDS]
    power = np.exp(bands - bands.max())
    power = np.maximum(power - OVER * _steady(power), 0)
    shown = np.log(power / _level(power) + np.float32(FLOOR))
    strength, octave = table[:, STRENGTH] * _loud(power), table[:, OCTAVE]
    voiced = strength >= prosody.VOICED
    middle = np.median(octave[voiced]) if voiced.any() else 0.0
    pitch = (strength, np.where(voiced, octave, 0.0), np.where(voiced, octave - middle, 0.0))
    return np.column_stack((shown, *pitch)).astype(np.float32)


def _level(power: Table) -> np.float32:
    """The mean over time in which a frame counts by its own power, so that pauses do not."""
    frames = power.mean(axis=1)
    return np.float32(np.square(frames).sum() / (frames.sum() + 1e-12) + 1e-12)


def _loud(power: Table) -> NDArray[np.bool_]:
    """Frames in which a pitch can be a voice's (Praat's silence threshold)."""
    level = power.sum(axis=1)
    return np.asarray(level > level.max() * 10 ** (-prosody.QUIET_DB / 10))


def _steady(power: Table) -> Table:
    sums = np.cumsum(np.pad(power, ((1, 0), (0, 0))), axis=0)
    span = min(SPAN, len(power))
    return np.asarray(np.percentile((sums[span:] - sums[:-span]) / span, NOISE, axis=0), np.float32)


def features(window: Samples) -> Table:
    """`normalise` of `analyse`: mono 16 kHz samples to shape (frames, CHANNELS)."""
    return normalise(analyse(window))


@cache
def filters() -> Table:
    """Triangles evenly spaced in mel (O'Shaughnessy 1987), each of area 1: shape (FFT // 2 + 1, BANDS)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / RATE)[:, np.newaxis]
    rise, fall = (bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]
    shape = np.maximum(0, np.minimum(rise, fall))
    weights: Table = (shape / np.maximum(shape.sum(axis=0), 1e-9)).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _pitch(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Octaves above PITCH_HZ and strength of each of prosody's frames."""
    taper = np.hanning(prosody.FRAME).astype(np.float32)
    frames = sliding_window_view(samples, prosody.FRAME)[:: prosody.HOP]
    spectrum = np.fft.rfft(frames * taper, prosody.FFT)
    hertz, strength = prosody.pitches(spectrum.real**2 + spectrum.imag**2, taper)
    return np.log2(hertz / PITCH_HZ), strength
