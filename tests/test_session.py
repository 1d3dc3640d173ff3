"""One room from joining to closing, with written rooms and speakers."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consenting import agree, recorded
from tests.consenting import consent as new_consent
from tests.fakes import NOON
from worker.audio import RATE, AudioChunk
from worker.audio.windows import Windows
from worker.conversation.syllables import Stretches
from worker.conversation.talk_time import TalkTimes
from worker.emotion import Emotion
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering
from worker.errors import EngineError, RoomError
from worker.events import (
    EmotionEstimated,
    EmotionUnavailable,
    PromptAnswered,
    RoomClosed,
    RoomOpened,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
    Talk,
    TalkTime,
)
from worker.privacy.levels import Level
from worker.rooms import Answered, ListenerJoined, Tick
from worker.session import WAITING, Session
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter


class Room:
    """Gives what is written; an Event is waited for, a callable is called, an exception is raised."""

    def __init__(self, *script, lockstep=False):
        self.script, self.lockstep = script, lockstep

    async def __aiter__(self):
        for item in self.script:
            await asyncio.sleep(0)
            if isinstance(item, Exception):
                raise item
            if isinstance(item, asyncio.Event):
                await item.wait()
            elif callable(item):
                item()
            else:
                yield item


class Listeners:
    def __init__(self):
        self.events, self.numbers, self.welcomed = [], [], []

    def put(self, envelope):
        self.events.append(envelope.event)
        self.numbers.append(envelope.seq)

    async def settle(self):
        """Always up to date."""

    async def welcome(self, listener, behind):
        self.welcomed.append((listener, behind, len(self.events)))


class Gate:
    """A model that waits while its gate is shut for that speaker's loudness; knows voice by loudness."""

    def __init__(self):
        self.slow, self.gate, self.calls = set(), asyncio.Event(), 0

    async def vad(self, item):
        loudness = round(float(np.abs(item[0]).max()), 2)
        self.calls += 1
        if loudness in self.slow:
            await self.gate.wait()
        return float(loudness > 0.5), None


class Engine:
    def __init__(self, *script):
        self.asked, self.gate, self._script = 0, asyncio.Event(), list(script)
        self.gate.set()

    async def __call__(self, item):
        self.asked += 1
        await self.gate.wait()
        if self._script and isinstance(answer := self._script.pop(0), Exception):
            raise answer
        return Emotion(0.5, 0.9), None


class Ears:
    """A session with everything written."""

    def __init__(self, *script, engine=None, observers=(), lockstep=False, policy=None, by_level=False):
        self.listeners, self.models = Listeners(), Gate()
        models = Models(self.models.vad, engine, "fake")

        def speaker(who, level):
            feels = (Windows(), Smoother(), Stretches(who)) if level is Level.EMOTION or not by_level else ()
            return Speaker(who, models, Segmenter(who), *feels)

        self.session = Session(
            Room(*script, lockstep=lockstep),
            policy or recorded(),
            speaker,
            observers,
            Numbering("quiet", 1, NOON),
            self.listeners,
        )

    async def run(self):
        async with asyncio.timeout(10):
            await self.session.run()
        return self.events

    @property
    def events(self):
        return self.listeners.events

    def types(self, *speakers):
        return [event.type.rsplit(".", 1)[0] for event in self.events if getattr(event, "speaker", None) in speakers]


def talk(speaker, start, seconds, loudness=0.9):
    count = round(seconds / 0.1)
    return [AudioChunk(speaker, start + n * 0.1, np.full(RATE // 10, loudness, np.float32)) for n in range(count)]


def join(speaker="ada", at=0.0, generation=1):
    return SpeakerJoined(at, speaker, speaker.title(), generation, level="emotion")


def utterance(speaker, start, end):
    near = pytest.approx
    return [
        SpeechStarted(near(start, abs=0.04), speaker),
        SpeechEnded(near(end, abs=0.04), speaker, near(start, abs=0.04)),
    ]


def without_emotion(events):
    return [event for event in events if not isinstance(event, EmotionEstimated)]


def without_consent(events):
    return [event for event in events if not isinstance(event, SpeakerAnalysed)]


BOTH = pytest.mark.parametrize("lockstep", [False, True], ids=["live", "lockstep"])


@BOTH
async def test_a_room_from_opening_to_closing(lockstep):
    ears = Ears(join(), *talk("ada", 0.0, 2.0), Tick(2.0), SpeakerLeft(2.0, "ada"), Tick(2.1), lockstep=lockstep)
    assert await ears.run() == [
        RoomOpened(0.0),
        join(),
        *utterance("ada", 0.0, 2.0),
        SpeakerLeft(2.0, "ada"),
        RoomClosed(2.1, "ended"),
    ]
    assert ears.listeners.numbers == list(range(1, 7))


@BOTH
async def test_emotion_is_told(lockstep):
    ears = Ears(join(), *talk("ada", 0.0, 2.0), Tick(2.0), lockstep=lockstep, engine=Engine())
    felt = [event for event in await ears.run() if isinstance(event, EmotionEstimated)]
    assert {event.arousal for event in felt} == {0.5}


@BOTH
async def test_an_engine_that_fails_is_told_and_the_room_goes_on(lockstep):
    engine = Engine(EngineError("away", "timeout"))
    ears = Ears(
        join(), *talk("ada", 0.0, 1.2), Tick(1.2), *talk("ada", 1.2, 2.0), Tick(3.2), engine=engine, lockstep=lockstep
    )
    events = await ears.run()
    assert [event.reason for event in events if isinstance(event, EmotionUnavailable)] == ["timeout"]
    assert events[-1].reason == "ended"


class Teller:
    """Answers an utterance's start with talk time, and a tick with another."""

    def push(self, event):
        return [TalkTime(event.at, {"started": Talk(0.0, 0.0)})] if isinstance(event, SpeechStarted) else []

    def tick(self, at):
        return [TalkTime(at, {"ticked": Talk(0.0, 0.0)})]

    def close(self, at):
        return []


@BOTH
async def test_what_follows_from_an_event_is_told_after_it(lockstep):
    ears = Ears(join(), *talk("ada", 0.0, 0.5), Tick(0.5), observers=[Teller()], lockstep=lockstep)
    events = await ears.run()
    started = next(index for index, event in enumerate(events) if isinstance(event, SpeechStarted))
    assert events[started + 1] == TalkTime(events[started].at, {"started": Talk(0.0, 0.0)})
    assert TalkTime(0.5, {"ticked": Talk(0.0, 0.0)}) in events


@BOTH
async def test_a_listener_is_welcomed_in_its_turn(lockstep):
    ears = Ears(join(), ListenerJoined("bo", True), SpeakerLeft(1.0, "ada"), lockstep=lockstep)
    await ears.run()
    assert ears.listeners.welcomed == [("bo", True, 2)]


@BOTH
async def test_a_room_that_fails_closes_and_says_why(lockstep):
    ears = Ears(join(), *talk("ada", 0.0, 1.0), Tick(1.0), RoomError("The platform is away."), lockstep=lockstep)
    with pytest.raises(RoomError, match="platform"):
        await ears.run()
    assert ears.events[-1] == RoomClosed(1.0, "failed")


async def test_what_was_heard_before_a_failure_is_told():
    ears = Ears(join(), *talk("ada", 0.0, 1.0), RoomError("The platform is away."))
    with pytest.raises(RoomError):
        await ears.run()
    assert ears.types("ada") == ["speaker.joined", "speech.started", "speech.ended"]


@pytest.mark.parametrize("lockstep", [False, True])
async def test_a_bug_ends_the_session(lockstep):
    ears = Ears(join(), *talk("ada", 0.0, 3.0), Tick(3.0), engine=Engine(ZeroDivisionError()), lockstep=lockstep)
    with pytest.raises((ZeroDivisionError, ExceptionGroup)) as caught:
        await ears.run()
    assert caught.group_contains(ZeroDivisionError) if not lockstep else caught.type is ZeroDivisionError
    assert ears.events[-1].reason == "failed"


# -- lockstep ---------------------------------------------------------------------------------------------------------


def conversation():
    """Two who talk at once, a block of each between ticks."""
    items = [join("ada"), join("bo")]
    for block in range(60):
        ada, bo = (0.9 if block % 30 < 15 else 0.0), (0.8 if block % 20 > 10 else 0.0)
        items += talk("ada", block / 10, 0.1, ada) + talk("bo", block / 10, 0.1, bo) + [Tick((block + 1) / 10)]
    return [*items, SpeakerLeft(6.0, "ada", "ended"), SpeakerLeft(6.0, "bo", "ended")]


async def test_the_same_recording_gives_the_same_events():
    """Even if the models answer in another order."""

    async def told(delays):
        ears = Ears(*conversation(), lockstep=True, engine=Engine(), observers=[Teller()])
        heard = ears.models.vad

        async def uneven(item):
            answer = await heard(item)
            for _ in range(delays[ears.models.calls % len(delays)]):
                await asyncio.sleep(0)
            return answer

        ears.session._make_speaker = lambda speaker, _: Speaker(
            speaker, Models(uneven, Engine(), "fake"), Segmenter(speaker), Windows(), Smoother()
        )
        return await ears.run()

    first = await told([0])
    assert len([event for event in first if isinstance(event, EmotionEstimated)]) > 5
    assert await told([3, 0, 1]) == await told([0, 5]) == first


async def test_everything_before_a_tick_is_told_before_it():
    ears = Ears(*conversation(), lockstep=True, observers=[Teller()])
    ticked = 0.0
    for event in await ears.run():
        if isinstance(event, TalkTime) and "ticked" in event.speakers:
            ticked = event.at
        elif isinstance(event, SpeechStarted):
            assert event.at > ticked - 0.2


async def test_a_speaker_is_asked_in_the_order_of_joining():
    ears = Ears(join("bo"), join("ada"), *talk("bo", 0, 0.2), *talk("ada", 0, 0.2), Tick(0.2), lockstep=True)
    speakers = [event.speaker for event in await ears.run() if isinstance(event, SpeechStarted)]
    assert speakers == ["bo", "ada"]


# -- live -------------------------------------------------------------------------------------------------------------


async def test_one_slow_speaker_holds_up_nobody_and_loses_the_oldest():
    """0.7 is slow: its queue fills while 0.9 goes on; what was not heard is counted in seconds."""
    ears, seen = Ears(), []

    def look():
        seen.append(ears.types("ada"))
        ears.models.gate.set()

    too_much = [chunk for n in range(WAITING + 40) for chunk in talk("bo", n / 10, 0.1, 0.7)]
    ears.session._room = Room(
        join("ada"), join("bo"), too_much[0], *talk("ada", 0, 1.0), *talk("ada", 1.0, 0.6, 0.0), *too_much[1:], look
    )
    ears.models.slow.add(0.7)
    await ears.run()
    assert seen == [["speaker.joined", "speech.started", "speech.ended"]]
    assert ears.session.dropped_s == pytest.approx((39) * 0.1)
    assert "speech.started" in ears.types("bo")


async def test_a_slow_engine_hears_the_newest_window_only():
    engine = Engine()
    engine.gate.clear()
    ears = Ears(join(), *talk("ada", 0.0, 5.0), *talk("ada", 5.0, 0.1, 0.0), engine.gate.set, engine=engine)
    felt = [event.at for event in await ears.run() if isinstance(event, EmotionEstimated)]
    assert engine.asked == len(felt) == 2
    assert felt == [pytest.approx(1.0, abs=0.1), pytest.approx(5.0, abs=0.3)]
    assert ears.session.skipped == 7  # one each half second in between


async def test_a_slow_engine_holds_up_no_voice_activity():
    engine = Engine()
    engine.gate.clear()
    ears, seen = Ears(engine=engine), []
    ears.session._room = Room(
        join(), *talk("ada", 0, 2.0), *talk("ada", 2, 1.0, 0.0), *[Tick(3.0)] * 9,
        lambda: seen.append(ears.types("ada")), engine.gate.set,
    )  # fmt: skip
    await ears.run()
    assert seen == [["speaker.joined", "speech.started", "speech.measured", "speech.ended"]]


async def test_who_leaves_ends_the_utterance_and_nothing_is_said_after():
    engine = Engine()
    engine.gate.clear()
    ears = Ears(
        join(), join("bo"), *talk("ada", 0.0, 3.0), SpeakerLeft(3.0, "ada"), *talk("bo", 3, 1.0), engine.gate.set,
        *talk("ada", 4.0, 1.0), Tick(5.0), engine=engine,
    )  # fmt: skip
    await ears.run()
    assert ears.types("ada") == ["speaker.joined", "speech.started", "speech.measured", "speech.ended", "speaker.left"]


async def test_who_comes_back_waits_for_their_own_last_word():
    """The old connection still hears when the new one joins, is muted and unmuted."""
    ears = Ears()
    ears.session._room = Room(
        join(), *talk("ada", 0, 1.0, 0.7), SpeakerLeft(1.0, "ada", "replaced"),
        join(at=1.1, generation=2), SpeakerMuted(1.1, "ada"), SpeakerUnmuted(1.2, "ada"), *talk("ada", 1.2, 1.0),
        lambda: ears.models.gate.set(), SpeakerLeft(2.2, "ada"),
    )  # fmt: skip
    ears.models.slow.add(0.7)
    assert without_emotion(await ears.run()) == [
        RoomOpened(0.0),
        join(),
        *utterance("ada", 0.0, 1.0),
        SpeakerLeft(1.0, "ada", "replaced"),
        join(at=1.1, generation=2),
        SpeakerMuted(1.1, "ada"),
        SpeakerUnmuted(1.2, "ada"),
        *utterance("ada", 1.2, 2.2),
        SpeakerLeft(2.2, "ada"),
        RoomClosed(pytest.approx(2.2), "ended"),
    ]


async def test_who_comes_back_later_is_a_new_voice():
    ears = Ears(join(), SpeakerLeft(1.0, "ada"), Tick(1.1), Tick(1.2), join(at=2.0, generation=2), Tick(2.1))
    await ears.run()
    assert ears.types("ada") == ["speaker.joined", "speaker.left", "speaker.joined"]


async def test_muting_ends_the_utterance():
    ears = Ears(
        join(), *talk("ada", 0, 1.0), *[Tick(1.0)] * 20, SpeakerMuted(1.1, "ada"), *[Tick(1.2)] * 9,
        SpeakerUnmuted(2.0, "ada"), *talk("ada", 2.0, 1.0),
    )  # fmt: skip
    await ears.run()
    kinds = ears.types("ada")
    assert sorted(kinds[:4]) == ["speaker.joined", "speaker.muted", "speech.ended", "speech.started"]
    assert kinds[4:] == ["speaker.unmuted", "speech.started", "speech.ended"]


async def test_a_sound_that_stops_coming_ends_the_utterance():
    ears = Ears(join(), *talk("ada", 0, 1.0), Tick(1.0), Tick(1.5), Tick(2.0), *[Tick(2.1)] * 20, join("bo", at=2.1))
    await ears.run()
    assert ears.types("ada", "bo") == ["speaker.joined", "speech.started", "speech.ended", "speaker.joined"]


async def test_sound_of_nobody_is_ignored():
    assert await Ears(*talk("ada", 0, 1.0), SpeakerLeft(1.0, "ada")).run() == [
        RoomOpened(0.0),
        RoomClosed(0.0, "ended"),
    ]


# -- consent ----------------------------------------------------------------------------------------------------------


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
