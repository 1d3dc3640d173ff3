"""One speaker, from sound to emotion, with a written voice activity."""

import numpy as np
import pytest

from worker.audio import RATE, AudioChunk
from worker.audio.windows import Window, Windows
from worker.conversation.syllables import Stretches
from worker.emotion import CLASSES, Emotion
from worker.emotion.smoothing import Smoother
from worker.errors import EngineError
from worker.events import (
    EmotionAbstained,
    EmotionEstimated,
    EmotionUnavailable,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
)
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter

FRAME_S = 0.032


async def loud_is_voice(item):
    """The probability is the loudest sample; the state counts the windows heard in a row."""
    samples, state = item
    return float(np.abs(samples).max()), (state or 0) + 1


class Engine:
    """Answers from a script, then always the same; keeps what it was asked."""

    def __init__(self, *script):
        self.asked, self._script = [], list(script)

    async def __call__(self, item):
        self.asked.append(item)
        answer = self._script.pop(0) if self._script else Emotion(0.5, 0.9)
        if isinstance(answer, Exception):
            raise answer
        return answer, len(self.asked)


def make(engine=None):
    return Speaker(
        "ada", Models(loud_is_voice, engine, "fake"), Segmenter("ada"), Windows(), Smoother(), Stretches("ada")
    )


async def hear(speaker, *stretches, start=0.0):
    """Sound of (seconds, loudness) in 20 ms chunks; None as loudness is sound that does not come."""
    found, at = [], start
    for seconds, loudness in stretches:
        for _ in range(round(seconds / 0.02)):
            if loudness is not None:
                found += await speaker.hear(AudioChunk("ada", at, np.full(320, loudness, np.float32)))
            at = round(at + 0.02, 6)
    return found


def events(found):
    return [item for item in found if not isinstance(item, Window)]


def near(at):
    return pytest.approx(at, abs=FRAME_S)


async def test_speech_between_silences_is_an_utterance():
    found = await hear(make(), (0.5, 0.0), (1.5, 0.9), (0.8, 0.0))
    assert events(found) == [SpeechStarted(near(0.5), "ada"), SpeechEnded(near(2.0), "ada", near(0.5))]


async def test_windows_are_of_the_speech_and_come_as_it_goes_on():
    found = await hear(make(), (0.5, 0.0), (3.0, 0.9), (0.8, 0.0))
    windows = [item for item in found if isinstance(item, Window)]
    assert [window.end for window in windows] == [near(0.5 + after) for after in (1.0, 1.5, 2.0, 2.5, 3.0)][
        : len(windows)
    ]
    assert len(windows) >= 4
    assert [window.provisional for window in windows] == [True] + [False] * (len(windows) - 1)
    assert all(np.abs(window.samples).max() == np.float32(0.9) for window in windows)
    assert isinstance(found[0], SpeechStarted)


async def test_a_short_utterance_has_its_only_window_at_its_end():
    found = await hear(make(), (0.5, 0.0), (0.7, 0.9), (0.8, 0.0))
    assert [type(item) for item in found] == [SpeechStarted, SpeechEnded, Window]
    assert found[2].end == near(1.2)


async def test_of_less_than_half_a_second_of_voice_nothing_is_felt():
    assert [type(item) for item in await hear(make(), (0.5, 0.0), (0.44, 0.9), (0.8, 0.0))] == [
        SpeechStarted,
        SpeechEnded,
    ]
    found = await hear(make(), (0.5, 0.0), (0.3, 0.9), (0.3, 0.0), (0.14, 0.9), (0.8, 0.0))
    assert [type(item) for item in found] == [SpeechStarted, SpeechEnded], "the pause within does not count"
    assert [type(item) for item in await hear(make(), (0.5, 0.0), (0.6, 0.9), (0.8, 0.0))][-1] is Window


async def test_every_two_seconds_of_voice_are_measured_and_a_cut_begins_anew():
    speaker = make()
    found = await hear(speaker, (0.5, 0.0), (1.5, 0.9), (0.8, 0.0), (2.0, 0.9))
    (measured,) = [item for item in found if isinstance(item, SpeechMeasured)]
    assert (measured.at, measured.window_start, measured.level_dbfs) == (
        pytest.approx(3.3, abs=0.1),
        near(0.5),
        pytest.approx(-0.9, abs=0.2),
    )
    speaker.stop(4.8)
    assert not any(isinstance(item, SpeechMeasured) for item in await hear(speaker, (1.9, 0.9), start=5.0))


async def test_stopping_ends_the_utterance_where_the_sound_did():
    speaker = make()
    await hear(speaker, (1.0, 0.9))
    found = speaker.stop(5.0)
    assert events(found) == [SpeechEnded(near(1.0), "ada", 0.0)]
    assert speaker.stop(6.0) == []


async def test_sound_that_stops_coming_ends_the_utterance_after_a_while():
    speaker = make()
    await hear(speaker, (1.0, 0.9))
    assert speaker.tick(1.59) == []
    assert events(speaker.tick(1.7)) == [SpeechEnded(near(1.0), "ada", 0.0)]
    assert speaker.tick(9.0) == []


async def test_silence_that_still_comes_ends_nothing_early():
    speaker = make()
    await hear(speaker, (1.0, 0.9), (0.3, 0.0))
    assert speaker.tick(1.35) == []


async def test_a_long_hole_divides_utterances_and_the_memory_of_the_voice_activity():
    memory = []

    async def vad(item):
        memory.append(item[1])
        return await loud_is_voice(item)

    speaker = Speaker("ada", Models(vad, None, "none"), Segmenter("ada"), Windows(), Smoother())
    found = events(await hear(speaker, (1.0, 0.9), (5.0, None), (1.0, 0.9)))
    assert found == [
        SpeechStarted(0.0, "ada"),
        SpeechEnded(near(1.0), "ada", 0.0),
        SpeechStarted(near(6.0), "ada"),
    ]
    assert memory.count(None) == 2
    assert memory[:3] == [None, 1, 2]


async def test_a_window_is_felt_and_the_state_goes_along():
    engine = Engine()
    speaker = make(engine)
    windows = [Window(at - 2, at, np.ones(2 * RATE, np.float32), 2.0, False) for at in (2.0, 2.5)]
    (first,), (second,) = await speaker.feel(windows[0]), await speaker.feel(windows[1])
    assert isinstance(first, EmotionEstimated)
    assert (second.at, second.speaker, second.window_start, second.arousal, second.engine) == (
        2.5,
        "ada",
        0.5,
        0.5,
        "fake",
    )
    assert [state for _, state in engine.asked] == [None, 1]
    assert engine.asked[1][0] is windows[1].samples


async def test_an_engine_that_fails_is_said_so_and_asked_again():
    engine = Engine(EngineError("it is away", "timeout"), Emotion(None, 0.1))
    speaker = make(engine)
    window = Window(0.0, 2.0, np.ones(2 * RATE, np.float32), 2.0, False)
    assert await speaker.feel(window) == [EmotionUnavailable(2.0, "ada", 0.0, "timeout", "fake")]
    assert await speaker.feel(window) == [EmotionAbstained(2.0, "ada", 0.0, "unsure", "fake")]


async def test_an_abstention_is_said_again_after_a_failure():
    engine = Engine(Emotion(None, 0.1), EngineError("it is away", "timeout"), Emotion(None, 0.1))
    speaker = make(engine)
    windows = [Window(at - 2, at, np.ones(2 * RATE, np.float32), 2.0, False) for at in (2.0, 2.5, 3.0)]
    said = [type(event) for window in windows for event in await speaker.feel(window)]
    assert said == [EmotionAbstained, EmotionUnavailable, EmotionAbstained]


async def test_a_voice_is_labelled_from_its_first_window_and_afresh_after_a_silence():
    classes = {"happy": 0.8, "neutral": 0.2}, {"sad": 0.8, "neutral": 0.2}
    happy, sad = (Emotion(0.0, 0.8, scores=dict.fromkeys(CLASSES, 0.0) | scores) for scores in classes)
    speaker = make(Engine(happy, happy, sad))
    found = await hear(speaker, (1.6, 0.9), (2.6, 0.0), (1.2, 0.9))
    felt = [event for item in found if isinstance(item, Window) for event in await speaker.feel(item)]
    assert [(event.label, event.provisional) for event in felt] == [
        ("positive", True),
        ("positive", False),
        ("low", True),
    ]


async def test_a_bug_in_an_engine_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        await make(Engine(ZeroDivisionError())).feel(Window(0.0, 2.0, np.ones(9, np.float32), 2.0, False))


async def test_without_an_engine_nothing_is_felt():
    assert await make().feel(Window(0.0, 2.0, np.ones(9, np.float32), 2.0, False)) == []


async def test_what_the_level_leaves_off_is_not_there_to_be_heard_by():
    """At `metrics` voice activity alone is asked; nothing is measured, and no window is made for an engine."""
    asked = []

    async def engine(item):
        asked.append(item)

    bare = Speaker("ada", Models(loud_is_voice, engine, "fake"), Segmenter("ada"))
    found = await hear(bare, (0.5, 0.0), (5.0, 0.9), (0.8, 0.0))
    assert [type(item) for item in found] == [SpeechStarted, SpeechEnded]
    assert not asked


async def test_where_nobody_may_be_heard_there_is_no_model_to_ask():
    deaf = Speaker("ada", Models(None, None, "none"), Segmenter("ada"))
    assert await hear(deaf, (0.5, 0.0), (5.0, 0.9)) == []
