"""What it costs to ask of each packet whether, and how far, a person may be heard."""

import time
from random import Random
from typing import Any

import numpy as np

from worker.asking import today
from worker.audio.opus import OpusDecoder
from worker.audio.rtp import parse
from worker.bench.ear.sound import stream
from worker.privacy.consent import Consent
from worker.privacy.law import Law
from worker.privacy.levels import Level

KNOWN = (20, 10_000)
HEADER = bytes([0x80, 111]) + bytes(10)
PACE_S = 0.001
"""Between two packets of 20 people who talk; a processor that wakes up for each works more slowly than in one go."""


def measure(quick: bool) -> dict[str, Any]:
    """Microseconds of what is asked of one packet of one speaker: once before it is decoded, and three times while its
    sound is held. In turn with decoding one Opus packet, in one go and `paced`, with a pause before each; its header
    is read first, as in the worker.
    """
    count = 1_000 if quick else 20_000
    return {"bar_us": 5} | {f"{known}_known": _measure(known, count) for known in KNOWN}


def _measure(known: int, count: int) -> dict[str, Any]:
    consent, chance = Consent(Law(today())), Random(known)
    speakers = [f"p{number}" for number in range(known)]
    for number, speaker in enumerate(speakers):
        consent.present(speaker, speaker)
        consent.record(speaker, Level.PRESENCE if number % 3 == 2 else Level.METRICS, "page")
    asked = [chance.choice(speakers) for _ in range(count)]
    found = {name: _timed(consent, asked[:most], pace_s) for name, pace_s, most in _WAYS}
    figures: dict[str, Any] = {}
    for name, (asking, decoding) in found.items():
        ratio = round(float(np.median(decoding) / np.median(asking)), 1)
        figures[name] = {"asking_us": _spread(asking), "decoding_us": _spread(decoding), "times_less": ratio}
    return figures


_WAYS = (("in_one_go", 0.0, 20_000), ("paced", PACE_S, 5_000))


def _timed(consent: Consent, asked: list[str], pace_s: float) -> tuple[list[float], list[float]]:
    """Microseconds of each asking, and of each decoding."""
    decoder, packets = OpusDecoder(), stream(0, 4.0, 4.0)
    asking, decoding = [], []
    for number, speaker in enumerate(asked):
        payload = packets[number % len(packets)].payload
        if pace_s:
            time.sleep(pace_s)
        parse(HEADER + payload)
        began = time.perf_counter_ns()
        consent.may_hear(speaker)
        consent.level(speaker)
        consent.level(speaker)
        consent.level(speaker)
        between = time.perf_counter_ns()
        decoder.decode(payload)
        decoding.append((time.perf_counter_ns() - between) / 1000)
        asking.append((between - began) / 1000)
    return asking, decoding


def _spread(values: list[float]) -> dict[str, float]:
    return {f"p{cut}": round(float(np.percentile(values, cut)), 2) for cut in (50, 99)}
