"""Who agrees to less, at whatever moment: from then on nothing is worked out of them, said of them, or shown."""

import asyncio
import random
import threading

import numpy as np
import pytest

from tests.consenting import TERMS, agree, consent, law
from tests.fakes import NOON
from tests.test_session import Ears, Engine, Gate, Listeners, Room, join, talk
from worker.audio.windows import Windows
from worker.batch import Batcher
from worker.coaching.coach import Coach
from worker.conversation.dynamics import Dynamics
from worker.conversation.engagement import Engagements
from worker.conversation.shifts import Shifts
from worker.conversation.syllables import Stretches
from worker.conversation.talk_time import TalkTimes
from worker.emotion import Emotion
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering
from worker.events import (
    ConversationMeasured,
    EmotionAbstained,
    EmotionEstimated,
    EmotionShifted,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechMeasured,
    TalkTime,
)
from worker.privacy.consent import Consent, Terms
from worker.privacy.levels import LEVELS, Level
from worker.rooms import Tick
from worker.session import Session
from worker.sinks.snapshot import Snapshot
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter


class Pauses(Room):
    """Gives its script; after each `...` in it everything else has had its turn."""

    async def __aiter__(self):
        for item in self.script:
            if item is ...:
                for _ in range(100):
                    await asyncio.sleep(0)
            elif callable(item):
                item()
            else:
                yield item


async def heard(policy, *script, engine=None, observers=()):
    ears = Ears(policy=policy, engine=engine, observers=observers)
    ears.session._room = Pauses(*script)
    return await ears.run()


async def test_what_waits_for_the_engine_is_not_heard_after_a_no():
    """The engine is busy with Bo when Ada, whose voice waits for it, withdraws."""
    policy, free, given = consent(), threading.Event(), []
    agree(policy, "ada")
    agree(policy, "bo")

    def predict(batch):
        given.extend(round(float(np.abs(window).max()), 1) for window, _ in batch)
        assert free.wait(10)
        return [(Emotion(0.5, 0.9), None) for _ in batch]

    engine = Batcher(predict, "test")
    try:
        await heard(
            policy, join("bo"), join("ada"), *talk("bo", 0.0, 1.2, 0.8), ..., *talk("ada", 0.0, 1.2), ...,
            lambda: agree(policy, "ada", False), Tick(1.3), free.set, ..., engine=engine,
        )  # fmt: skip
    finally:
        engine.close()
    assert given == [0.8]


async def test_a_no_that_a_yes_follows_at_once_parts_what_was_before_from_what_comes():
    policy, engine = consent(), Engine()
    agree(policy, "ada")
    engine.gate.clear()

    def change():
        agree(policy, "ada", False)
        agree(policy, "ada")

    said = await heard(
        policy, join(), *talk("ada", 0.0, 1.2), ..., change, engine.gate.set, ..., Tick(1.3), ..., engine=engine
    )
    assert engine.asked == 1
    assert not [event for event in said if isinstance(event, EmotionEstimated)]
    assert [event.level for event in said if isinstance(event, SpeakerAnalysed)] == ["presence", "emotion"]


async def test_who_withdraws_after_they_left_is_told_of_no_more():
    policy = consent()
    agree(policy, "ada")
    said = await heard(
        policy, join(), *talk("ada", 0.0, 1.2), ..., SpeakerLeft(2.0, "ada"), ..., Tick(3.5),
        lambda: agree(policy, "ada", False), Tick(4.0), Tick(7.0), observers=[TalkTimes()],
    )  # fmt: skip
    assert [list(event.speakers) for event in said if isinstance(event, TalkTime)] == [["ada"]] * 3 + [[]] * 5
    assert SpeakerAnalysed(4.0, "ada", False) in said


# -- any sequence -----------------------------------------------------------------------------------------------------

WHO = ("ada", "bo", "cy")
OF_PRESENCE = (SpeakerJoined, SpeakerLeft, SpeakerAnalysed, SpeechEnded)
"""What may be said of anybody; that speech ended is how a no closes what had begun."""
NEEDS = {SpeechMeasured: Level.PROSODY} | dict.fromkeys(
    (EmotionEstimated, EmotionAbstained, EmotionShifted), Level.EMOTION
)
RULES = """
- {name: tone, on: emotion_shifted, me: others, needs: emotion, when: event.now > -2, text: T, reason: R}
- {name: run, when: me.run_s > 1, text: T, reason: "{me.name}"}
- {name: cut_in, on: interrupted, me: by, when: event.overlap_s > 0, text: "{event.speaker}", reason: R}
"""


class Strict(Listeners):
    """Holds every event, and the state that they add up to, against what each person agrees to at that moment."""

    def __init__(self, policy):
        super().__init__()
        self.policy, self.snapshot, self.beyond = policy, Snapshot("quiet", 1), []

    def put(self, envelope):
        super().put(envelope)
        if not envelope.audience:
            self.snapshot.fold(envelope)
        event, speakers = envelope.event, self.snapshot.as_dict()["data"]["speakers"]
        self.beyond += [(who, event) for who in WHO if self._is_beyond(event, who, self.policy.level(who))]
        self.beyond += [(who, one) for who, one in speakers.items() if self._shows_more(one, LEVELS[one["level"]])]

    def _is_beyond(self, event, who, level):
        if level is Level.PRESENCE and not isinstance(event, OF_PRESENCE) and f"'{who}'" in repr(event):
            return True
        if isinstance(event, ConversationMeasured) and who in event.speakers and level < Level.PROSODY:
            return event.speakers[who].syllables_per_s is not None
        return getattr(event, "speaker", None) == who and level < NEEDS.get(type(event), Level.PRESENCE)

    def _shows_more(self, one, level):
        talks = one["speaking"] or one["talk"]["seconds"]
        return (level < Level.EMOTION and one["emotion"]) or (level is Level.PRESENCE and talks)


class Unsteady:
    """People who come, leave, come anew, talk, and change their minds, at random."""

    lockstep = False

    def __init__(self, policy, chance):
        self._policy, self._chance, self._at = policy, chance, 0.0
        self._here, self._talking, self._feeds = set(), set(), dict.fromkeys(WHO, 0)

    async def __aiter__(self):
        for _ in range(250):
            for item in self._act(self._chance.random(), self._chance.choice(WHO)):
                yield item
            for who in sorted(self._here):
                for chunk in talk(who, self._at, 0.1, 0.9 if who in self._talking else 0.0):
                    yield chunk
            self._at = round(self._at + 0.1, 6)
            yield Tick(self._at)
            await asyncio.sleep(0)

    def _act(self, lot, who):
        if lot < 0.02 and who in self._here:
            self._here.remove(who)
            return [SpeakerLeft(self._at, who)]
        if lot < 0.05:
            return self._come(who)
        if lot < 0.13:
            for _ in range(self._chance.choice([1, 1, 2])):
                self._answer(who)
        elif lot < 0.14:
            self._policy.assign(who, self._chance.choice(["adult", "minor", "nobody knows"]))
        elif lot < 0.145:
            self._policy.restate(Terms("a test", f"v{self._chance.randint(1, 3)}"))
        elif lot < 0.2:
            self._talking ^= {who}
        return []

    def _come(self, who):
        again = who in self._here
        self._here.add(who)
        self._feeds[who] += self._chance.random() < 0.3
        self._policy.present(who, f"feed {self._feeds[who]}")
        self._chance.choice([lambda: self._answer(who), lambda: self._policy.lapse(who, "restated"), lambda: None])()
        joined = SpeakerJoined(self._at, who, who.title())
        return [SpeakerLeft(self._at, who, "replaced"), joined] if again else [joined]

    def _answer(self, who):
        self._policy.record(who, self._chance.choice(list(Level)), "page", self._policy.terms)


@pytest.mark.parametrize("seed", range(12))
async def test_no_sequence_of_events_says_more_than_people_agree_to(tmp_path, seed):
    rules, chance = tmp_path / "rules.yaml", random.Random(seed)
    rules.write_text(RULES)
    policy, gate = Consent(law(), TERMS), Gate()

    async def engine(item):
        await asyncio.sleep(chance.choice([0.0, 0.001]))
        return Emotion(chance.random(), 0.9, valence=0.0), None

    def speaker(who, level):
        models, stretches = Models(gate.vad, engine, "fake"), Stretches(who) if level >= Level.PROSODY else None
        feels = (Windows(), Smoother()) if level is Level.EMOTION else (None, None)
        return Speaker(who, models, Segmenter(who), *feels, stretches)

    brief = dict.fromkeys(
        ("bridge_s", "take_floor_s", "back_channel_s", "overlap_s", "yields_s", "interruption_s"), 0.4
    )
    dynamics = Dynamics(every_s=1.0, **brief)
    often = {"per_minute": 1000, "per_hour": 1000, "rule_cooldown_s": 0.0, "wait_while_speaking": False}
    coach = Coach(dynamics, [str(rules)], emotion=True, **often)
    observers = [TalkTimes(0.5), dynamics, Engagements(), Shifts(0.01, 0.2), coach]
    strict = Strict(policy)
    await Session(Unsteady(policy, chance), policy, speaker, observers, Numbering("quiet", 1, NOON), strict).run()
    assert strict.beyond == []
    assert {event.type.partition(".")[0] for event in strict.events} >= {"speech", "conversation", "talk_time"}
