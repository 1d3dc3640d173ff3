"""What a session does when somebody agrees, withdraws or chooses another level."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consenting import agree
from tests.consenting import consent as new_consent
from tests.test_session import BOTH, Ears, Engine, Room, join, talk, utterance, without_consent, without_emotion
from worker.audio import RATE, AudioChunk
from worker.conversation.talk_time import TalkTimes
from worker.events import (
    EmotionEstimated,
    PromptAnswered,
    RoomClosed,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeechEnded,
    SpeechStarted,
)
from worker.privacy.levels import Level
from worker.rooms import Answered, Tick


def agreeing(*speakers):
    """Consent of these, and two calls for a script: to withdraw it and to give it again."""
    consent = new_consent()
    for speaker in speakers:
        agree(consent, speaker)
    return consent, lambda: agree(consent, "ada", False), lambda: agree(consent, "ada")


@BOTH
async def test_who_never_agreed_is_not_heard(lockstep):
    consent, _, _ = agreeing("bo")
    ears = Ears(
        join(), join("bo"), *talk("ada", 0, 2.0), Tick(2.0), *talk("bo", 2.0, 0.1), Tick(2.1), policy=consent,
        lockstep=lockstep,
    )  # fmt: skip
    await ears.run()
    assert [event for event in ears.types("ada") if event != "speaker.analysed"] == ["speaker.joined"]
    assert ears.models.calls == 3  # of the other


async def test_who_withdraws_is_heard_no_more_and_the_utterance_ends_where_it_was_heard():
    consent, withdraw, agree = agreeing("ada")
    ears, calls = Ears(engine=Engine(), policy=consent), []
    ears.session._room = Room(
        join(), *talk("ada", 0, 2.0), *[Tick(2.0)] * 9,
        withdraw, lambda: calls.append(ears.models.calls), *talk("ada", 2.0, 2.0), *[Tick(4.0)] * 9,
        lambda: calls.append(ears.models.calls), agree, *talk("ada", 4.0, 1.0), *[Tick(5.0)] * 9,
    )  # fmt: skip
    assert without_emotion(await ears.run())[2:-1] == [
        *utterance("ada", 0, 2.0), SpeakerAnalysed(2.0, "ada", False),
        SpeakerAnalysed(4.0, "ada", True, "emotion"), *utterance("ada", 4.0, 5.0),
    ]  # fmt: skip
    assert calls[0] == calls[1]


async def test_a_change_of_consent_is_said_once():
    consent, withdraw, agree = agreeing()
    ears = Ears(
        SpeakerJoined(0.0, "ada", "Ada", 1, False), Tick(0.1), Tick(0.2), agree, Tick(0.3), Tick(0.4), withdraw,
        agree, Tick(0.5), withdraw, Tick(0.6), SpeakerMuted(0.7, "ada"), SpeakerLeft(0.8, "ada"), agree,
        *[Tick(0.9)] * 9, policy=consent,
    )  # fmt: skip
    changes = [event for event in await ears.run() if isinstance(event, SpeakerAnalysed)]
    yes, no = (
        [SpeakerAnalysed(at, "ada", True, "emotion") for at in (0.3, 0.5)],
        [SpeakerAnalysed(at, "ada", False) for at in (0.5, 0.6)],
    )
    assert changes == [yes[0], no[0], yes[1], no[1]]  # a no that a yes followed at once is one all the same


async def test_who_joins_is_told_as_the_policy_has_them_and_not_as_the_room_had():
    consent, withdraw, _ = agreeing("ada")
    ears = Ears(withdraw, join(), Tick(0.1), SpeakerLeft(0.2, "ada"), join(at=0.3), *[Tick(0.4)] * 9, policy=consent)
    await ears.run()
    assert ears.types("ada") == ["speaker.joined", "speaker.left", "speaker.joined"]
    joined = [event for event in ears.events if isinstance(event, SpeakerJoined)]
    assert [(event.analysed, event.level) for event in joined] == [(False, "presence")] * 2


async def test_another_level_drops_what_is_held_and_is_told():
    """What was being heard and felt at the old level is nobody's; what comes after is at the new one."""
    consent, _, _ = agreeing("ada")

    def lower():
        consent.record("ada", Level.METRICS, "page")

    ears = Ears(
        join(), *talk("ada", 0, 3.0), *[Tick(3.0)] * 9, lower, Tick(3.1), *talk("ada", 4.0, 3.0), *[Tick(7.0)] * 9,
        engine=Engine(), policy=consent, by_level=True,
    )  # fmt: skip
    events = await ears.run()
    [changed] = [event for event in events if isinstance(event, SpeakerAnalysed)]
    assert (changed.analysed, changed.level) == (True, "metrics")
    felt = [event.at for event in events if isinstance(event, EmotionEstimated)]
    assert max(felt) <= 3.0
    begun = [event.started for event in events if isinstance(event, SpeechEnded)]
    assert begun == pytest.approx([0.0, 4.0], abs=0.04)


async def test_what_waits_is_forgotten_when_consent_is_withdrawn():
    """The queue holds a second of sound and one chunk is being heard; 0.7 takes long."""
    consent, withdraw, _ = agreeing("ada")
    ears, seen = Ears(engine=Engine(), policy=consent), []
    ears.models.slow.add(0.7)

    def look():
        live = ears.session._live["ada"]
        seen.append((len(live.sound), len(live.windows), ears.types("ada"), ears.models.calls))

    ears.session._room = Room(
        join(), *talk("ada", 0, 0.5), *talk("ada", 0.5, 1.0, 0.7), withdraw, Tick(1.5), look,
        ears.models.gate.set, *[Tick(2.0)] * 9,
    )  # fmt: skip
    await ears.run()
    waiting, windows, said, calls = seen[0]
    assert (waiting, windows) == (1, 0)  # the tick
    assert said == ears.types("ada") == ["speaker.joined", "speech.started", "speech.ended", "speaker.analysed"]
    assert ears.models.calls - calls <= 4  # the rest of the chunk that was being heard
    assert ears.events[-3:-1] == [utterance("ada", 0.0, 0.5)[1], SpeakerAnalysed(1.5, "ada", False)]


def mixed(start, *stretches):
    """One chunk of (seconds, loudness)."""
    parts = [np.full(round(seconds * RATE), loudness, np.float32) for seconds, loudness in stretches]
    return AudioChunk("ada", start, np.concatenate(parts))


@pytest.mark.parametrize("again", [False, True], ids=["for good", "and agrees again"])
@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([mixed(0.0, (0.3, 0.9), (0.1, 0.7))], []),
        ([*talk("ada", 0.0, 1.0), mixed(1.0, (0.6, 0.0), (0.1, 0.7))], utterance("ada", 0.0, 1.0)),
        ([*talk("ada", 0.0, 1.0), mixed(1.0, (0.6, 0.0), (0.3, 0.9), (0.1, 0.7))], utterance("ada", 0.0, 1.0)),
    ],
    ids=["a start", "an end", "an end and a start"],
)
async def test_what_was_being_heard_at_a_withdrawal_is_not_said(chunks, said, again):
    consent, withdraw, agree = agreeing("ada")
    ears = Ears(policy=consent)
    ears.models.slow.add(0.7)
    ears.session._room = Room(
        join(), *chunks, withdraw, Tick(2.0), *([agree] if again else []), Tick(2.0), ears.models.gate.set,
        *[Tick(3.0)] * 9,
    )  # fmt: skip
    assert without_consent(await ears.run())[2:-1] == said


@pytest.mark.parametrize("again", [False, True], ids=["for good", "and agrees again"])
async def test_what_was_being_felt_at_a_withdrawal_is_not_said(again):
    consent, withdraw, agree = agreeing("ada")
    engine = Engine()
    engine.gate.clear()
    ears = Ears(
        join(), *talk("ada", 0, 3.0), withdraw, *[Tick(3.1)] * 3, *([agree] if again else []), *[Tick(3.2)] * 3,
        engine.gate.set, *[Tick(3.3)] * 9, *talk("ada", 4.0, 1.5), Tick(5.5), engine=engine, policy=consent,
    )  # fmt: skip
    felt = [event.window_start for event in await ears.run() if isinstance(event, EmotionEstimated)]
    assert all(start >= 4.0 for start in felt)
    assert bool(felt) == again


STEPS = {
    "say": lambda at: mixed(at, (0.2, 0.9)),
    "say slowly": lambda at: mixed(at, (0.1, 0.9), (0.1, 0.7)),
    "pause": lambda at: mixed(at, (0.2, 0.0)),
    "tick": Tick,
}
"""What a room may give at a time."""


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*STEPS, "withdraw", "agree", "answer"]), max_size=40))
def test_nothing_begins_without_consent_and_whatever_began_ends(steps):
    consent, withdraw, agree = agreeing("ada")
    ears = Ears(engine=Engine(), policy=consent)
    ears.models.slow.add(0.7)
    put, allowed = ears.listeners.put, []
    ears.listeners.put = lambda envelope: (allowed.append(consent.may_hear("ada")), put(envelope))

    def answer():
        ears.models.gate.set()
        ears.models.gate = asyncio.Event()

    calls = {"withdraw": withdraw, "agree": agree, "answer": answer}
    script = [calls.get(step) or STEPS[step](0.2 * number) for number, step in enumerate(steps)]
    ears.session._room = Room(join(), *script, ears.models.slow.clear, lambda: ears.models.gate.set())
    events = asyncio.run(ears.run())
    assert all(allowed[n] for n, e in enumerate(events) if isinstance(e, SpeechStarted | EmotionEstimated))
    edges = [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)]
    assert len(edges) % 2 == 0
    for begun, ended in zip(edges[::2], edges[1::2], strict=True):
        assert (begun.at, begun.at < ended.at) == (ended.started, True)


class Asker:
    """Has prompted; keeps the answers it is told of, and confirms them."""

    def __init__(self):
        self.told = []

    def push(self, event):
        return []

    tick = close = push

    def answer(self, who, prompt, answer, at):
        self.told.append((who, prompt, answer, at))
        return [PromptAnswered(at, prompt, who, "monologue", answer)] if who == "ada" else []


@pytest.mark.parametrize("lockstep", [True, False])
async def test_an_answer_goes_to_who_asked_and_what_they_say_of_it_to_the_listeners(lockstep):
    asker, plain = Asker(), TalkTimes()
    script = [join(), Tick(1.0), Answered("ada", "c1", "snoozed"), Answered("bo", "c1", "dismissed"), Tick(2.0)]
    ears = Ears(*script, observers=[plain, asker], lockstep=lockstep)
    events = await ears.run()
    ears.session.answer("ada", "c2", "snoozed")  # after the end nobody is asked
    assert asker.told == [("ada", "c1", "snoozed", 1.0), ("bo", "c1", "dismissed", 1.0)]
    assert [event for event in events if isinstance(event, PromptAnswered)] == [
        PromptAnswered(1.0, "c1", "ada", "monologue", "snoozed")
    ]
    assert isinstance(events[-1], RoomClosed)
