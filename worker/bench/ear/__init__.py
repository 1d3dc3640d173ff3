"""What hearing costs and what it keeps, by our receive path and by aiortc's own, over real DTLS-SRTP on loopback."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import numpy as np

from worker.audio.ear import Ear
from worker.audio.gate import OPEN
from worker.audio.rtp import RtpHeader
from worker.bench.ear.sound import SPEAKERS, STEP, floor_us, stream

ROUNDS = 3
TALKING = {"talk_s": 4.0, "cycle_s": 4.0, "loss": [0.0]}
HALF = {"talk_s": 2.0, "cycle_s": 4.0, "loss": [0.0]}
QUIET = {"talk_s": 0.0, "cycle_s": 4.0, "loss": [0.0]}
MIXED = {"talk_s": 1.6, "cycle_s": 8.0, "loss": [0.0]}
LOSSES = {"missing_1": 0.01, "missing_5": 0.05, "missing_10": 0.1, "missing_20": 0.2}
LOSSY = {"talk_s": 4.0, "cycle_s": 4.0, "loss": list(LOSSES.values())}
BURST = 10
"""Packets lost at once, after one second: 200 ms."""
ENDS: dict[str, dict[str, Any]] = {
    "talking": {"speakers": SPEAKERS, "path": "own", "gated": False},
    "talking_stock": {"speakers": SPEAKERS, "path": "stock", "gated": False},
    "half": {"speakers": 20, "path": "own", "gated": True},
    "half_stock": {"speakers": 20, "path": "stock", "gated": False},
    "quiet": {"speakers": 40, "path": "own", "gated": True},
    "mixed": {"speakers": 40, "path": "own", "gated": True, "vad": True},
    "exact": {"speakers": 20, "path": "own", "gated": False, "timed": True},
    "exact_stock": {"speakers": 20, "path": "stock", "gated": False},
}
PATTERNS = {
    "talking": TALKING,
    "talking_stock": TALKING,
    "half": HALF,
    "half_stock": HALF,
    "quiet": QUIET,
    "mixed": MIXED,
}
LONGEST_S = 60.0


class Child:
    """A process that answers a line of JSON with another."""

    def __init__(self, module: str, *arguments: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)  # noqa: S603

    def tell(self, what: str, **request: Any) -> None:
        if self.process.stdin is not None:
            self.process.stdin.write(json.dumps({"do": what, **request}) + "\n")

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            raise RuntimeError("a measured process ended early; its own words are above")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        self.tell(what, **request)
        return self.answer()

    def close(self) -> None:
        self.process.communicate(timeout=LONGEST_S)


@contextmanager
def _far() -> Iterator[Child]:
    child = Child("worker.bench.ear.sender")
    try:
        yield child
    finally:
        child.close()


class Ends:
    """Every measured process, connected; one of them is sent to at a time."""

    def __init__(self, stack: ExitStack) -> None:
        self.far = stack.enter_context(_far())
        self.near: dict[str, tuple[int, Child]] = {}
        for number, (name, options) in enumerate(ENDS.items()):
            child = Child("worker.bench.ear.receiver", json.dumps({"timed": False} | options))
            stack.callback(child.close)
            self.near[name] = (number, child)
        for name, (number, child) in self.near.items():
            offer = self.far.ask("offer", connection=number, speakers=ENDS[name]["speakers"])
            self.far.ask("answer", connection=number, sdp=child.ask("answer", **offer)["sdp"])

    def measure(self, name: str, seconds: float, **pattern: Any) -> dict[str, Any]:
        """Send to one of them for so long; what it found, and what was sent."""
        number, child = self.near[name]
        self.far.tell("send", connection=number, seconds=seconds, **pattern)
        found = child.ask("measure", seconds=seconds)
        return found | self.far.answer()


def run(quick: bool) -> dict[str, Any]:
    """Medians of three rounds, both paths in turn; `ranges` holds the least and the most of each.

    `cpu_gain` compares processor time per talking speaker, aiortc's receiver and resampler over ours. `floor_ratio` is
    ours over libsrtp and libopus alone on the same packets at the same pace. `missing_*` is the share of speech, in
    percent, for which there was neither its packet nor a copy of it: a guess of libopus counts as missing.
    """
    window = 1.0 if quick else 6.0
    with ExitStack() as stack:
        ends = Ends(stack)
        rounds = [{name: ends.measure(name, window, **PATTERNS[name]) for name in PATTERNS} for _ in range(ROUNDS)]
        lossy = ends.measure("exact", 8.0 if quick else 20.0, **LOSSY)
        burst = ends.measure("exact", 2.0 if quick else 4.0, **TALKING, burst=BURST)
        stock = None if quick else ends.measure("exact_stock", 20.0, **LOSSY)
    count = 500 if quick else 3000
    floors = [floor_us(count, 0.02 / SPEAKERS) for _ in range(ROUNDS)]
    figures = _processor(rounds, floors)
    figures |= {name: _missing(lossy, n) for n, name in enumerate(LOSSES)}
    if stock is not None:
        figures |= {f"{name}_stock": _missing_stock(stock, n) for n, name in enumerate(LOSSES)}
    last = rounds[-1]
    return figures | {
        **_delays(burst),
        **_gating(),
        "memory_mb_per_speaker": max(0.0, last["quiet"]["memory_mb"]) / ENDS["quiet"]["speakers"],
        "threads_per_speaker": last["talking"]["threads"] / ENDS["talking"]["speakers"],
        "threads_per_speaker_stock": last["talking_stock"]["threads"] / ENDS["talking_stock"]["speakers"],
        "floor_in_one_go_us": floor_us(count, 0.0),
        "rounds": ROUNDS,
        "window_s": window,
    }


def _processor(rounds: list[dict[str, Any]], floors: list[float]) -> dict[str, Any]:
    def cores(name: str) -> Callable[[dict[str, Any]], float]:
        return lambda found: float(found[name]["cores"])

    per_packet = 1e6 / (50 * ENDS["talking"]["speakers"])
    floor = median(floors)
    of_round: dict[str, Callable[[dict[str, Any]], float]] = {
        "cpu_gain": lambda r: r["talking_stock"]["cores"] / r["talking"]["cores"],
        "cpu_gain_gated": lambda r: r["half_stock"]["cores"] / r["half"]["cores"],
        "cores_40_silent": cores("quiet"),
        "cores_40_mixed": cores("mixed"),
        "floor_ratio": lambda r: r["talking"]["cores"] * per_packet / floor,
        "us_per_packet": lambda r: r["talking"]["cores"] * per_packet,
        "us_per_packet_stock": lambda r: r["talking_stock"]["cores"] * per_packet,
    }
    values = {name: [one(found) for found in rounds] for name, one in of_round.items()}
    ranges = {name: [round(min(found), 3), round(max(found), 3)] for name, found in values.items()}
    return {name: round(median(found), 3) for name, found in values.items()} | {"floor_us": floor, "ranges": ranges}


def _missing(found: dict[str, Any], which: int) -> float:
    """Percent of the packets that were lost on the way and not rebuilt from a copy."""
    mine = range(which, len(found["missed"]), len(LOSSES))
    lost: int = sum(found["missed"][n] - found["rebuilt_each"][n] for n in mine)
    return round(100 * lost / (int(found["frames"]) * len(mine)), 3)


def _missing_stock(found: dict[str, Any], which: int) -> float:
    """Percent of the time for which aiortc gave no sound."""
    mine = range(which, len(found["heard_s"]), len(LOSSES))
    heard: float = sum(found["heard_s"][n] for n in mine)
    return round(100 * (1 - heard / (int(found["frames"]) * 0.02 * len(mine))), 3)


def _delays(found: dict[str, Any]) -> dict[str, float]:
    """Milliseconds from sending a packet to having its sound; and how long after a burst of loss that is so again."""
    when = {(line, timestamp): at for line, timestamp, at in found["sent"]}
    first = min(when.values())
    pairs = [(when[line, ts] - first, at - when[line, ts]) for line, ts, at in found["heard"] if (line, ts) in when]
    before = [delay for began, delay in pairs if began < 0.95]
    usual = float(np.percentile(before, 95))
    after = sorted((began, delay) for began, delay in pairs if began > 1.0 + BURST * 0.02)
    resumed = after[0][0] if after else 0.0
    late = [began - resumed for began, delay in after if delay > max(0.002, 2 * usual)]
    # one packet in a hundred is late on a busy machine anyway: what counts is when they stop coming in a row
    settled = next((at for at in np.arange(0, 1, 0.02) if sum(at <= t < at + 0.1 for t in late) <= 2), 1.0)
    return {
        "delay_p50_ms": round(float(np.percentile(before, 50)) * 1e3, 3),
        "delay_p95_ms": round(usual * 1e3, 3),
        "delay_settled_after_burst_ms": round(float(settled) * 1e3, 1),
    }


def _gating() -> dict[str, Any]:
    """Speech heard with the gate and without, sample by sample, from 20 ms after each opening on."""
    packets = stream(1, 2.0, 4.0) * 3
    sounds: dict[bool, dict[int, Any]] = {}
    for gated in (True, False):
        ear = Ear("p", gated=gated)
        sounds[gated] = {}
        for number, packet in enumerate(packets):
            header = RtpHeader(111, False, number, number * STEP, 1, packet.level, 0, False)
            for chunk in ear.push(header, packet.payload, number * 0.02):
                sounds[gated][round(chunk.start * 50)] = chunk.samples
    loud = [n for n, packet in enumerate(packets) if packet.level < OPEN and n in sounds[True]]
    differing = sum(int((sounds[True][n] != sounds[False][n]).sum()) for n in loud)
    return {"gated_samples_compared": len(loud) * 320, "gated_samples_differing": differing}
