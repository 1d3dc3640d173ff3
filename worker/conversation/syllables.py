"""How fast, how loud and how high and low speech is, without its words, in stretches of about 2 s."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.conversation.pitch import spread_st
from worker.events import SpeechMeasured

Levels = NDArray[np.float64]

STRETCH_S = 2.0
"""Voiced sound in a stretch."""
HOP, FRAME = 160, 400
"""Levels are taken every 10 ms over 25 ms."""
LOWEST_HZ, HIGHEST_HZ = 300.0, 3300.0
"""The band of the vowels' first formants."""
SMOOTH = 5
"""Levels that a smoothed one is the mean of: 50 ms."""
NUCLEUS_DB = 2.0
"""How far a nucleus stands above the dips on both sides (de Jong and Wempe 2009)."""
BELOW_DB, LOUD_PERCENT, MEMORY = 25.0, 99.0, 1000
"""Nothing is a nucleus this far below the percentile of the last 1000 levels: 10 s (de Jong and Wempe 2009)."""
APART = 10
"""Levels between two nuclei at least: 100 ms."""
VOICED, PITCH, SHORTEST_LAG, LONGEST_LAG = 0.45, 640, 40, 224
"""Correlation that shows a voice, within 40 ms, at lags of 2.5 to 14 ms: 71 to 400 Hz."""
LEAST_SNR_DB = 10.0
"""With louder noise neither rate nor pitch is said (judgement)."""
MARGIN = 8_000 // 2
"""Samples, 0.25 s, on both sides of a stretch that only show what its first and last peaks stand beside."""
QUIET_S = 2.0
"""Over how long the level of what is no speech is averaged."""
SILENT = 1e-10


class Stretches:
    """One per speaker, fed with every frame. Stretches are disjoint, and go on over the pauses between utterances."""

    def __init__(self, speaker: str) -> None:
        self._speaker = speaker
        self._noise: float | None = None
        """Mean square of the sound that is no speech."""
        self._loud: Levels = np.zeros(0)
        self.reset()

    def reset(self) -> None:
        """What follows does not join what was heard: less than a stretch of it is left out."""
        self._pieces: list[Samples] = []
        self._power = self._voiced_s = 0.0
        self._start = 0.0
        self._before = False

    def push(self, start: float, samples: Samples, voiced: bool, speaking: bool) -> SpeechMeasured | None:
        """Take the next sound, shape (n,); see Windows.push."""
        power = float(np.dot(samples, samples)) / len(samples)
        if not (speaking or voiced):
            rate = min(1.0, len(samples) / RATE / QUIET_S)
            self._noise = power if self._noise is None else self._noise + rate * (power - self._noise)
            return None
        seconds = len(samples) / RATE
        if self._voiced_s == 0:
            self._start = start
        self._pieces.append(samples)
        if voiced:
            self._voiced_s += seconds
            self._power += power * seconds
        if self._voiced_s < STRETCH_S:
            return None
        return self._measure(start + seconds)

    def _measure(self, end: float) -> SpeechMeasured:
        sound = np.concatenate(self._pieces)
        level = self._power / self._voiced_s
        levels = band_levels(sound)
        self._loud = np.concatenate([self._loud, levels])[-MEMORY:]
        first = MARGIN // HOP if self._before else 0
        places = nuclei(sound, levels, float(np.percentile(self._loud, LOUD_PERCENT)) - BELOW_DB)
        count = sum(first <= place < len(levels) - MARGIN // HOP for place in places)
        counted_s = self._voiced_s - (0.0 if self._before else MARGIN / RATE)
        clear = self._clear(level)
        rate = count / counted_s if clear else None
        spread = spread_st(sound[2 * MARGIN if self._before else 0 :]) if clear else None
        found = SpeechMeasured(end, self._speaker, self._start, rate, 10 * float(np.log10(level + SILENT)), spread)
        self.reset()
        self._pieces, self._before = [sound[-2 * MARGIN :]], True
        return found

    def _clear(self, level: float) -> bool:
        return self._noise is None or level >= self._noise * 10 ** (LEAST_SNR_DB / 10)


def band_levels(sound: Samples) -> Levels:
    """Level between 300 and 3300 Hz in dB, every 10 ms, smoothed over 50 ms; shape (frames,)."""
    taper = np.hanning(FRAME).astype(np.float32)
    spectrum = np.fft.rfft(sliding_window_view(sound, FRAME)[::HOP] * taper, 512)
    low, high = round(LOWEST_HZ * 512 / RATE), round(HIGHEST_HZ * 512 / RATE)
    band = spectrum[:, low : high + 1]
    power = (band.real**2 + band.imag**2).sum(axis=1)
    padded = np.pad(10 * np.log10(power + SILENT), SMOOTH // 2, mode="edge")
    smooth: Levels = np.convolve(padded, np.full(SMOOTH, 1 / SMOOTH), "valid")
    return smooth


def nuclei(sound: Samples, levels: Levels, least: float) -> list[int]:
    """Places, in levels, of the syllables' nuclei; de Jong and Wempe 2009 without Praat."""
    peaks = [place for place in _standing_out(levels) if levels[place] >= least]
    kept: list[int] = []
    for place, voiced in zip(peaks, _are_voiced(sound, peaks), strict=True):
        if not voiced:
            continue
        if kept and place - kept[-1] < APART:
            kept[-1] = max(kept[-1], place, key=lambda one: levels[one])
        else:
            kept.append(place)
    return kept


def _standing_out(levels: Levels) -> list[int]:
    """Peaks that stand NUCLEUS_DB above the lowest level since the last one and before the next; silence came first."""
    found: list[int] = []
    rising, top, place, dip = True, -np.inf, 0, np.inf
    for i, now in enumerate(levels.tolist()):
        if rising and now > top:
            top, place = now, i
        elif rising and top - now >= NUCLEUS_DB:
            found.append(place)
            rising, dip = False, now
        elif not rising and now - dip >= NUCLEUS_DB:
            rising, top, place = True, now, i
        dip = min(dip, now)
    return found


def _are_voiced(sound: Samples, places: list[int]) -> list[bool]:
    """Whether the sound around each place repeats itself as a voice does."""
    if not places:
        return []
    middle = np.array(places) * HOP + FRAME // 2
    starts = np.clip(middle - PITCH // 2, 0, max(0, len(sound) - PITCH))
    around = np.stack([sound[start : start + PITCH] for start in starts]).astype(np.float64)
    around -= around.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(around, 2 * PITCH)
    own = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * PITCH)[:, : LONGEST_LAG + 1]
    overlap = 1 - np.arange(SHORTEST_LAG, LONGEST_LAG + 1) / PITCH
    strength = own[:, SHORTEST_LAG:] / np.maximum(own[:, :1], SILENT) / overlap
    return [bool(one) for one in strength.max(axis=1) >= VOICED]
