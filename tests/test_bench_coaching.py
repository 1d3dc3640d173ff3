"""The written speech of the bench, and what it weighs; how soon prompts come is for the bench itself."""

from itertools import pairwise

from tests.conversing import only
from worker.bench import coaching as bench
from worker.conversation.dynamics import Dynamics
from worker.events import SpeakerJoined, SpeechEnded, SpeechStarted


def test_each_condition_holds_from_where_it_is_written():
    script, dynamics, runs, silences = bench.Script(), Dynamics(), [], []
    for tick in range(1, round(3 * bench.ROUND_S / 0.04)):
        for event in script.tick(tick * 0.04):
            list(dynamics.push(event))
        list(dynamics.tick(tick * 0.04))
        figures = dynamics.figures()
        runs.append(any(person.run_s >= bench.RUN_S for person in figures.people.values()))
        silences.append(figures.room.silence_s >= bench.SILENCE_S)
    for holds, name in ((runs, "run"), (silences, "silence")):
        begun = [(place + 2) * 0.04 for place, (before, now) in enumerate(pairwise(holds)) if now and not before]
        for number in (1, 2):
            moment = number * bench.ROUND_S + bench.HOLDS[name]
            assert any(0 <= at - moment < 0.05 for at in begun), (name, number)


def test_speech_is_known_as_late_as_it_is():
    said = list(bench.Script().tick(2 * bench.ROUND_S))
    (joined,), (started, _), (ended,) = (only(kind, said) for kind in (SpeakerJoined, SpeechStarted, SpeechEnded))
    assert joined.at == 0
    assert ended.started == started.at == bench.ROUND_S
    assert ended.at - started.at == bench.SPOKEN_S


def test_twenty_people_weigh_little():
    found = bench.four_hours(0.05)
    assert found["floor_changes"] > 30
    assert 10_000 < found["state_bytes"]["all"] < 1_000_000
    assert 5_000 < found["figures_event_bytes"] < 16_000
