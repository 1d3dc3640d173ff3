"""How far the pitch of a voice moves: found in every 20 ms of a stretch of speech, without its words."""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from worker.audio import RATE, Samples

Table = NDArray[np.floating]

COARSE = 4
"""Samples of which the mean is taken: pitch needs no more than 4000 a second, and costs a quarter then."""
COARSE_HZ = RATE // COARSE
FRAME, HOP, FFT = 192, 80, 256
"""Frames of 48 ms, three periods of a pitch of 63 Hz (Boersma 1993), every 20 ms."""
LAG_HZ = 2 * COARSE_HZ
"""Lags are 1/8000 s apart, before a parabola through the peak."""
LOWEST_HZ, HIGHEST_HZ = 70.0, 500.0
BAND_HZ = (60.0, 1000.0)
"""Where pitch is sought: hum and rumble lie below, most noise and the higher formants above."""
VOICED = 0.6
"""Correlation from which a frame has a pitch (judgement: fewer octave errors in noise than with Praat's 0.45)."""
OCTAVE_COST = 0.03
"""Preference for the higher of equal peaks, by octave (Boersma 1993; three times his)."""
QUIET_DB, LOUD_PERCENT = 20.0, 95.0
"""No pitch is sought this far below the percentile of the stretch's levels."""
FLOOR, CEILING = 0.75, 1.5
"""Times the quartiles of what was found at first: pitch is sought once more between these (De Looze and Hirst 2008)."""
WIDEST_ST = 11.0
"""Where the quartiles lie further apart the frames are two voices, creak or octave errors (judgement)."""
LEAST = 25
"""Frames with a pitch: 0.5 s."""
PERCENTILES = (20, 80)
"""The spread lies between these (GeMAPS, Eyben et al. 2016)."""


def spread_st(sound: Samples) -> float | None:
    """Spread of the pitch of one voice's samples, shape (n,), in semitones; None where it can't be told."""
    lags, heights = _peaks(sound)
    found = _best(lags, heights)
    if len(found) < LEAST:
        return None
    low, high = np.percentile(found, [25, 75])
    if _semitones(low, high) > WIDEST_ST:
        return None
    within = (lags >= LAG_HZ / high / CEILING) & (lags <= LAG_HZ / low / FLOOR)
    found = _best(lags, np.where(within, heights, 0))
    return _semitones(*np.percentile(found, PERCENTILES)) if len(found) >= LEAST else None


def _semitones(low: float, high: float) -> float:
    return 12 * float(np.log2(high / low))


def _best(lags: Table, heights: Table) -> Table:
    """Pitch of each frame that has one; shape (voiced frames,)."""
    places = np.argmax(heights - OCTAVE_COST * np.log2(_lags()), axis=1)[:, np.newaxis]
    voiced = np.take_along_axis(heights, places, 1) >= VOICED
    found: Table = LAG_HZ / np.take_along_axis(lags, places, 1)[voiced]
    return found


def _peaks(sound: Samples) -> tuple[Table, Table]:
    """Lag, in 1/8000 s, and height of each peak of the correlation, 0 where there is none: (loud frames, lags) each.

    Boersma (1993): the autocorrelation of the tapered frame over that of the taper, refined by a parabola.
    """
    taper, band, own = _shapes()
    coarse = sound[: len(sound) // COARSE * COARSE].reshape(-1, COARSE) @ np.full(COARSE, 1 / COARSE, np.float32)
    spectrum = np.fft.rfft(sliding_window_view(coarse, FRAME)[::HOP] * taper, FFT)
    power = (spectrum.real**2 + spectrum.imag**2) * band
    level = power.sum(axis=1)
    loud = level > np.percentile(level, LOUD_PERCENT) * 10 ** (-QUIET_DB / 10)
    raw = np.fft.irfft(power[loud], FFT * LAG_HZ // COARSE_HZ)[:, : len(own)]
    like = raw / raw[:, :1] / own
    first = round(_lags()[0])
    before, here, after = like[:, first - 1 : -2], like[:, first:-1], like[:, first + 1 :]
    peak = (here >= before) & (here > after)
    shift = 0.5 * (before - after) / np.where(peak, before - 2 * here + after, -1)
    heights = np.where(peak, np.minimum(here - 0.25 * (before - after) * shift, 1), 0)
    return _lags() + shift, heights


@cache
def _lags() -> Table:
    """Lags at which a peak is looked for; shape (lags,)."""
    return np.arange(int(LAG_HZ / HIGHEST_HZ), int(LAG_HZ / LOWEST_HZ) + 2, dtype=np.float32)


@cache
def _shapes() -> tuple[Table, Table, Table]:
    """The taper, 1 in each bin of the band, and the taper's own correlation up to the lag after the last."""
    taper = np.hanning(FRAME).astype(np.float32)
    hertz = np.fft.rfftfreq(FFT, 1 / COARSE_HZ)
    band = ((hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])).astype(np.float32)
    power = np.abs(np.fft.rfft(taper, FFT)) ** 2
    own = np.fft.irfft(power, FFT * LAG_HZ // COARSE_HZ)[: round(_lags()[-1]) + 2]
    return taper, band, own / own[0]
