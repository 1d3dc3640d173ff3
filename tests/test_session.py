"""One room from joining to closing, with written rooms and speakers."""

import asyncio

import numpy as np
import pytest

from tests.consenting import recorded
from tests.fakes import NOON
from worker.audio import RATE, AudioChunk
from worker.audio.windows import Windows
from worker.conversation.syllables import Stretches
from worker.emotion import Emotion
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering
from worker.errors import EngineError, RoomError
from worker.events import (
    EmotionEstimated,
    EmotionUnavailable,
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
from worker.rooms import ListenerJoined, Tick
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
