"""Quiet while nothing changes, loud when something does, and never about one person."""

import asyncio
import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consenting import recorded
from tests.fakes import NOON
from worker.audio import RATE, AudioChunk
from worker.audio.windows import Window, Windows
from worker.emotion import CLASSES, Emotion
from worker.emotion.drift import AT_ONCE, MEANS, MIX, STEPS, DriftWatch, Period, chi_squared, psi
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering
from worker.events import EmotionDrifted, SpeakerJoined, SpeakerLeft
from worker.session import Session
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter

USUAL = (0.4, 0.2, 0.15, 0.15, 0.07, 0.03)
TENSE = (0.25, 0.15, 0.15, 0.35, 0.07, 0.03)


def window(end=2.0, voiced=0.8, level=0.1):
    return Window(end - 2.0, end, np.full(1600, level, np.float32), 2.0 * voiced, False)


def emotion(said=None, confidence=0.7):
    scores = {name: 0.9 if name == said else 0.02 for name in CLASSES} if said else {}
    return Emotion(0.0, confidence, scores=scores)


class Crowd:
    """Voices whose windows are drawn from a seed; each utterance has one class."""

    def __init__(self, watch, seed=0, speakers=20, longest=1):
        self.watch, self.speakers, self.longest = watch, speakers, longest
        self.random = np.random.default_rng(seed)
        self.count = 0

    def hear(self, windows, mix=USUAL, confidence=0.7, noise=0.15, **sound):
        """What was said while that many windows were heard."""
        said, heard = [], 0
        while heard < windows:
            name = str(self.random.choice(CLASSES, p=mix))
            sure = float(np.clip(confidence + noise * self.random.standard_normal(), 0, 1))
            length = min(int(self.random.integers(1, self.longest + 1)), windows - heard)
            for place in range(length):
                who = f"p{self.count % self.speakers}"
                said += self.watch.push(window(float(self.count), **sound), place, who, emotion(name, sure), "fake")
            heard += length
            self.count += 1
        return said


def measures(events):
    return [event.measure for event in events]


def test_a_period_needs_enough_windows():
    watch = DriftWatch(windows=500, speakers=20)
    crowd = Crowd(watch)
    crowd.hear(499)
    assert watch.reference is None
    crowd.hear(1)
    assert watch.reference.windows == 500


def test_a_period_needs_enough_people():
    watch = DriftWatch(windows=50, speakers=20)
    few = Crowd(watch, speakers=19)
    few.hear(200)
    assert watch.reference is None
    assert watch.figures("undertone_drift_confidence") == {}
    for _ in range(10):
        watch.push(window(), 0, "p19", emotion("sad"), "fake")
    assert watch.reference.windows == 50


def test_people_are_counted_anew_after_the_reference():
    watch = DriftWatch(windows=50, speakers=5)
    Crowd(watch, speakers=5).hear(50)
    Crowd(watch, speakers=4).hear(300)
    assert watch.last is watch.reference
    for _ in range(10):
        watch.push(window(), 0, "p4", emotion("sad"), "fake")
    assert watch.last is not watch.reference
    assert watch.last.windows == 50


def test_a_period_reaches_back_until_it_has_enough_people():
    """The second person speaks once, and is needed for long."""
    watch, lengths = DriftWatch(windows=50, speakers=2), []
    Crowd(watch, speakers=2).hear(50)
    for index in range(100):
        watch.push(window(), 0, "p0" if index else "p1", emotion("sad"), "fake")
        lengths.append(0 if watch.last is watch.reference else watch.last.windows)
    assert lengths[48:100:10] == [0, 50, 60, 70, 80, 90]
    assert len(watch._steps) <= STEPS + 1


def test_the_last_period_moves_on_by_a_fifth():
    watch = DriftWatch(windows=50, speakers=5)
    crowd, ends = Crowd(watch, speakers=5), []
    for _ in range(150):
        crowd.hear(1)
        if watch.last is not None and (not ends or ends[-1][1] is not watch.last):
            ends.append((crowd.count, watch.last))
    assert [at for at, _ in ends] == [50, 100, 110, 120, 130, 140, 150]
    assert all(period.windows == 50 for _, period in ends)


def test_a_room_of_twelve_has_periods_by_default():
    watch = DriftWatch()
    Crowd(watch, speakers=12).hear(1000)
    assert watch.last is not watch.reference


def test_what_is_held_is_bounded_in_a_room_of_few():
    watch = DriftWatch(windows=50, speakers=5)
    Crowd(watch, speakers=2).hear(3000)
    assert len(watch._steps) <= STEPS + 1
    assert watch.reference is None


@pytest.mark.parametrize("longest", [1, 8])
@pytest.mark.parametrize("size", [50, 100, 500, 1000])
def test_it_is_quiet_on_more_of_the_same(size, longest):
    """At small sizes chance alone may speak once in fifty periods, at the usual one never."""
    said, runs = [], max(10, 2500 // size)
    for seed in range(runs):
        crowd = Crowd(DriftWatch(size, 5), seed, speakers=5, longest=longest)
        said += crowd.hear(4 * size)
    assert len(said) <= (3 * runs / 50 if size < 500 else 0)


def beyond_by_chance(longest, together):
    """The share of pairs of samples of one population whose index exceeds its limit."""
    random, beyond = np.random.default_rng(1), 0
    for _ in range(400):
        pair = []
        for _ in range(2):
            period = Period()
            for said in random.choice(CLASSES, 60, p=USUAL):
                for place in range(random.integers(1, longest + 1)):
                    period.add(np.zeros(len(MEANS)), str(said), place if together else 0)
            pair.append(period)
        index, limit = psi(*pair)
        beyond += index > limit
    return beyond / 400


@pytest.mark.parametrize("longest", [1, 8])
def test_the_index_exceeds_its_limit_about_once_in_a_hundred_times(longest):
    assert beyond_by_chance(longest, together=True) < 0.03


def test_windows_of_one_utterance_taken_for_independent_would_be_drift():
    assert beyond_by_chance(8, together=False) > 0.3


@pytest.mark.parametrize(("freedom", "exact"), [(1, 6.635), (2, 9.210), (5, 15.086), (6, 16.812)])
def test_the_limit_is_that_of_the_printed_tables(freedom, exact):
    assert chi_squared(freedom) == pytest.approx(exact, rel=0.02)


def test_an_index_is_what_its_formula_says():
    pair = [Period(), Period()]
    for period, counts in zip(pair, ({"sad": 500, "happy": 500}, {"sad": 800, "happy": 200}), strict=True):
        for said, count in counts.items():
            for _ in range(count):
                period.add(np.zeros(len(MEANS)), said, 0)
    index, limit = psi(*pair)
    assert index == pytest.approx(0.3 * np.log(0.8 / 0.5) + 0.3 * np.log(0.5 / 0.2), rel=0.02)
    assert limit == pytest.approx(6.635 * 2 / 1000, rel=0.02)


def test_utterances_of_equal_length_count_once_each():
    period = Period()
    for _ in range(30):
        for place in range(4):
            period.add(np.zeros(len(MEANS)), None, place)
    assert period.windows == 120
    assert period.size == 30


def test_a_mix_that_moved_is_said_when_it_lasts_and_once():
    watch = DriftWatch(windows=500)
    crowd = Crowd(watch, longest=3)
    assert crowd.hear(1000) == []
    assert crowd.hear(500, TENSE) == []
    [event] = crowd.hear(400, TENSE)
    assert (event.measure, event.windows, event.engine) == (MIX, 500, "fake")
    assert event.now > event.reference > 0
    assert crowd.hear(1000, TENSE) == []
    figures = watch.figures("undertone_drift_class_mix")
    assert figures["psi"] > figures["limit"] == pytest.approx(event.reference, rel=0.2)


def test_half_an_odd_period_is_not_a_moved_mix():
    crowd = Crowd(DriftWatch(windows=500))
    said = crowd.hear(500) + crowd.hear(250, TENSE) + crowd.hear(750) + crowd.hear(250, TENSE) + crowd.hear(750)
    assert said == []


def test_confidence_that_slips_is_said_at_once_and_again_only_after_it_recovered():
    watch = DriftWatch()
    crowd = Crowd(watch)
    assert crowd.hear(1000) == []
    assert crowd.hear(500, confidence=0.66) == []
    [event] = crowd.hear(500, confidence=0.58)
    assert event.measure == "confidence"
    assert event.reference == pytest.approx(0.7, abs=0.02)
    assert 0.58 < event.now < 0.9 * event.reference
    assert event.at < crowd.count - 50  # before the whole period is over
    assert crowd.hear(500, confidence=0.58) == []
    assert crowd.hear(400) + crowd.hear(300, confidence=0.5) == []  # not for a whole period
    assert crowd.hear(1000) == []
    assert measures(crowd.hear(500, confidence=0.5)) == ["confidence"]
    assert watch.alarms() == {"confidence": 2, "voiced_ratio": 0, "level_dbfs": 0, MIX: 0}
    assert watch.figures("undertone_drift_confidence")["last"] == pytest.approx(0.5, abs=0.02)


def test_a_tenth_is_the_border():
    for now, expected in ((0.721, []), (0.719, ["confidence"])):
        crowd = Crowd(DriftWatch(50, 5), speakers=5)
        crowd.hear(50, confidence=0.8, noise=0)
        assert measures(crowd.hear(50, confidence=now, noise=0)) == expected


def test_a_slip_that_chance_explains_is_not_said():
    """Confidences so far apart that a period's mean is off by a tenth now and then."""
    said = []
    for seed in range(40):
        crowd = Crowd(DriftWatch(50, 5), seed, speakers=5)
        said += crowd.hear(100, confidence=0.5, noise=0.3)
    assert len(said) <= 2


def test_more_confidence_is_no_drift():
    crowd = Crowd(DriftWatch())
    assert crowd.hear(500, confidence=0.5) + crowd.hear(1000, confidence=0.9) == []


@pytest.mark.parametrize(
    ("before", "after", "measure"),
    [
        ({"level": 0.1}, {"level": 0.03}, "level_dbfs"),
        ({"level": 0.03}, {"level": 0.1}, "level_dbfs"),
        ({"voiced": 0.9}, {"voiced": 0.75}, "voiced_ratio"),
    ],
)
def test_a_changed_sound_is_said_when_it_lasts(before, after, measure):
    crowd = Crowd(DriftWatch())
    assert crowd.hear(1000, **before) == []
    assert crowd.hear(500, **after) == []
    assert measures(crowd.hear(500, **after)) == [measure]
    assert crowd.hear(1000, **before) == []


def test_smaller_changes_of_the_sound_are_other_rooms():
    crowd = Crowd(DriftWatch())
    assert crowd.hear(500, level=0.1, voiced=0.9) + crowd.hear(1500, level=0.06, voiced=0.82) == []


def test_digital_silence_is_a_level_too():
    watch = DriftWatch(50, 1)
    Crowd(watch).hear(50, level=0.0)
    assert watch.figures("undertone_drift_level_dbfs")["last"] == pytest.approx(-120)


def test_an_engine_without_classes_has_no_mix():
    watch = DriftWatch(50, 1)
    for _ in range(150):
        assert watch.push(window(), 0, "ada", emotion(), "prosody") == []
    assert watch.figures("undertone_drift_class_mix") == {}
    assert watch.figures("undertone_drift_confidence") == {"reference": pytest.approx(0.7), "last": pytest.approx(0.7)}


def test_what_is_no_speech_is_a_class_of_its_own():
    watch = DriftWatch(50, 1)
    for _ in range(50):
        watch.push(window(), 0, "ada", Emotion(0.0, 0.9, scores={"happy": 1.0}, speech=False), "fake")
    assert watch.last.classes == {"not_speech": 50}


def held(thing, seen=None):
    """All that can be reached from an object, its key apart, as one text."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return ""
    seen.add(id(thing))
    return repr(thing) + "".join(held(part, seen) for part in gc.get_referents(thing) if not callable(part))


def people(watch):
    return set().union(*(step.people for step in watch._steps))


NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=16)


@settings(deadline=None, max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(0, 120))
def test_no_person_outlives_a_period_and_no_pseudonym_is_held_at_all(names, more):
    watch = DriftWatch(windows=50, speakers=1)
    for index in range(50 + more):
        watch.push(window(), 0, names[index % len(names)], emotion("sad"), "fake")
    assert not any(name in held(watch) for name in names)
    before = people(watch)
    for _ in range(60):
        watch.push(window(), 0, "somebody else", emotion("sad"), "fake")
    assert before.isdisjoint(people(watch))


@settings(deadline=None, max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=60))
def test_sums_are_the_same_whoever_spoke(names):
    one, other = DriftWatch(1000, 1), DriftWatch(1000, 1)
    for index, name in enumerate(names):
        for watch, who in ((one, name), (other, "ada")):
            watch.push(window(), index % 3, who, emotion("sad"), "fake")
    assert [repr(step.period) for step in one._steps] == [repr(step.period) for step in other._steps]


def test_the_same_people_have_other_hashes_in_another_watch():
    seen = []
    for _ in range(2):
        watch = DriftWatch(50, 1)
        watch.push(window(), 0, "ada", emotion("sad"), "fake")
        seen.append(watch._steps[-1].people)
    assert seen[0].isdisjoint(seen[1])


async def test_drift_is_said_though_the_speaker_whose_window_showed_it_has_left():
    """The engine is still at work when ada leaves: nothing is said of her, and of all what there is to say."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def engine(item):
        asked.set()
        await gone.wait()
        return emotion("sad"), None

    async def vad(item):
        return 1.0, None

    class Slipped:
        def push(self, window, place, speaker, emotion, engine):
            return [EmotionDrifted(window.end, "confidence", 0.7, 0.5, 500, engine)]

    class Room:
        lockstep = False

        async def __aiter__(self):
            yield SpeakerJoined(0.0, "ada", "Ada", 1)
            yield AudioChunk("ada", 0.0, np.full(RATE * 5 // 4, 0.5, np.float32))
            await asked.wait()
            yield SpeakerLeft(1.3, "ada")
            while not any(isinstance(event, SpeakerLeft) for event in said):
                await asyncio.sleep(0)
            gone.set()

    class Listeners:
        def put(self, envelope):
            said.append(envelope.event)

    said = []
    models = Models(vad, engine, "fake", Slipped())
    session = Session(
        Room(),
        recorded(),
        lambda speaker, _: Speaker(speaker, models, Segmenter(speaker), Windows(), Smoother()),
        (),
        Numbering("quiet", 1, NOON),
        Listeners(),
    )
    async with asyncio.timeout(10):
        await session.run()
    kinds = [type(event).__name__ for event in said]
    assert kinds[-3:] == ["SpeakerLeft", "EmotionDrifted", "RoomClosed"]
    assert "EmotionEstimated" not in kinds


async def test_a_speaker_says_which_windows_are_of_one_utterance_and_what_the_watch_says():
    async def engine(item):
        return emotion("sad", 0.8 if watch.reference is None else 0.5), None

    watch = DriftWatch(50, 1)
    speaker = Speaker("ada", Models(engine, engine, "fake", watch), Segmenter("ada"), Windows(), Smoother())
    said = []
    for utterance in range(25):
        for at in (0.0, 0.5, 1.0, 1.5):
            said += await speaker.feel(window(10.0 * utterance + at + 2))
    assert watch.reference.size == pytest.approx(50 / 4, rel=0.05)
    drifted = [event for event in said if isinstance(event, EmotionDrifted)]
    assert [(e.measure, e.at, e.engine) for e in drifted] == [("confidence", 243.5, "fake")]


def test_what_is_said_at_once_is_a_measure():
    assert {*MEANS, MIX} > AT_ONCE
