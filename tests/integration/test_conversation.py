"""Synthetic voices in a written conversation, through the whole chain: what is said of it against what was done."""

import json
import random
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.conversing import converse, only
from tests.make_recording import _decoded
from worker.audio import RATE
from worker.config import settle
from worker.events import PREFIX, BackChannel, Interrupted, TurnEnded
from worker.rooms import guests
from worker.supervisor import replay

QUIET = 0.004
"""Below this a sample of a clip is silence."""
LONG = {
    "robin": ("friday", "hours", "others", "page", "urgent", "value"),
    "kim": ("budget", "enough", "ill", "today", "who-pays"),
    "alex": ("calm-down", "me"),
}
ROUNDS = 60
NEAR_S = 0.5
"""How far apart two tellings of one interruption may date it."""


def clip(who, name):
    """Its sound without the silence around it."""
    sound = _decoded(list(guests.clip(who, name)))
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    return sound[loud[0] : loud[-1] + 1]


class Stage:
    """Places clips on tracks, one a speaker."""

    def __init__(self):
        self.said = {who: [] for who in LONG}
        self.placed = []

    def say(self, who, start, sound, seconds=None):
        """Cut after `seconds`; returns when its last loud sample ends."""
        sound = sound[: round(seconds * RATE)] if seconds is not None else sound
        end = start + (np.flatnonzero(np.abs(sound) > QUIET)[-1] + 1) / RATE
        self.placed.append((who, start, sound))
        self.said[who].append((start, end))
        return end

    def write(self, folder: Path, until: float):
        for who in LONG:
            track = np.zeros(round(until * RATE), np.float32)
            for speaker, start, sound in self.placed:
                if speaker == who:
                    place = round(start * RATE)
                    track[place : place + len(sound)] += sound
            track += np.random.default_rng(1).normal(0, 1e-4, len(track)).astype(np.float32)
            with wave.open(str(folder / f"{who}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((np.clip(track, -1, 1) * 32767).astype("<i2").tobytes())


def perform(chance):
    """Somebody else speaks each time: after a pause, a little early, or cutting in; others nod or try to."""
    stage, who, at, cut_in = Stage(), "robin", 1.0, []
    for _ in range(ROUNDS):
        sound = clip(who, chance.choice(LONG[who]))
        kind = chance.choice(["pause", "early", "cut in"])
        end = stage.say(who, at, sound, chance.uniform(2.8, 3.1) if kind == "cut in" else None)
        other, third = chance.sample([name for name in LONG if name != who], 2)
        if end - at > 5.5:
            middle = at + chance.uniform(2.2, 2.5)  # whoever spoke before has been silent for a while
            if chance.random() < 0.5:
                stage.say(third, middle, clip(third, LONG[third][0]), chance.uniform(0.4, 0.7))
            else:
                stage.say(third, middle, clip(third, LONG[third][0]), chance.uniform(1.25, 1.6))
        if kind == "pause":
            at = end + chance.uniform(0.2, 1.5)
        elif kind == "early":
            at = end - chance.uniform(0.1, 0.35)
        else:
            at = end - chance.uniform(0.65, 0.85)
            cut_in.append((who, other, at))
        who = other
    return stage, stage.say(who, at, clip(who, LONG[who][0])) + 2.0, cut_in


@pytest.fixture(scope="module")
def written():
    return perform(random.Random(6))


@pytest.fixture
async def heard(written, tmp_path):
    """What the worker says of it, as (type, data)."""
    stage, until, _ = written
    stage.write(tmp_path, until)
    settings = settle(
        {
            "room": {"kind": "replay", "files": [tmp_path / f"{who}.wav" for who in LONG]},
            "emotion": None,
            "sinks": [{"kind": "jsonl", "path": tmp_path / "events.jsonl"}],
        }
    )
    await replay(settings)
    names = {f"s{number}": who for number, who in enumerate(LONG, 1)}
    lines = (tmp_path / "events.jsonl").read_text()
    for identity, who in names.items():
        lines = lines.replace(f'"{identity}"', f'"{who}"')
    messages = [json.loads(line) for line in lines.splitlines()]
    return [(message["type"].removeprefix(PREFIX), message["data"]) for message in messages]


def matched(found, true):
    """How many of one list have a partner in the other, each used once: (who, by whom, when)."""
    left, count = list(true), 0
    for who, by, at in found:
        partner = next((one for one in left if one[:2] == (who, by) and abs(one[2] - at) <= NEAR_S), None)
        if partner is not None:
            left.remove(partner)
            count += 1
    return count


async def test_what_is_said_of_a_conversation_is_what_was_done(written, heard, record_property):
    stage, until, cut_in = written
    true = converse(stage.said, until)
    assert [(event.speaker, event.by, event.at) for event in only(Interrupted, true)] == cut_in

    talk = [data for kind, data in heard if kind == "conversation.v1"][-1]["speakers"]
    errors = {who: talk[who]["talk_s"] / sum(end - start for start, end in stage.said[who]) - 1 for who in stage.said}

    turns = sorted((data["started"], data["at"], data["speaker"]) for kind, data in heard if kind == "turn.ended.v1")
    due = sorted((event.started, event.at, event.speaker) for event in only(TurnEnded, true))
    assert [turn[2] for turn in turns] == [turn[2] for turn in due]
    apart = [abs(a - b) for one, other in zip(turns, due, strict=True) for a, b in zip(one[:2], other[:2], strict=True)]

    found = [(data["speaker"], data["by"], data["at"]) for kind, data in heard if kind == "interrupted.v1"]
    right = matched(found, cut_in)
    nods = [(data["to"], data["speaker"], data["at"]) for kind, data in heard if kind == "back_channel.v1"]
    nodded = [(event.to, event.speaker, event.at) for event in only(BackChannel, true)]
    figures = {
        "talk_error": float(max(abs(error) for error in errors.values())),
        "turns": len(turns),
        "boundary_p95_s": float(np.percentile(apart, 95)),
        "boundary_max_s": float(max(apart)),
        "boundaries_within_200_ms": sum(one <= 0.2 for one in apart) / len(apart),
        "interruptions": len(cut_in),
        "precision": right / len(found),
        "recall": right / len(cut_in),
        "back_channels": f"{matched(nods, nodded)} right of {len(nods)} found and {len(nodded)} made",
    }
    for name, value in figures.items():
        record_property(name, value)
    print(figures)
    assert figures["talk_error"] <= 0.03
    assert figures["boundaries_within_200_ms"] >= 0.98
    assert figures["precision"] >= 0.9
    assert figures["recall"] >= 0.9
