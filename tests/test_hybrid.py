"""When the model is asked, with two engines that answer from a script."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio import RATE
from worker.emotion import Emotion, hybrid
from worker.emotion.hybrid import Hybrid
from worker.errors import EngineError
from worker.registry import options

SOUND = np.random.default_rng(4).normal(0, 0.1, 60 * RATE).astype(np.float32)
SURE = Emotion(0.0, 0.9)


class Lively:
    """In the place of prosody: answers from a script, then always the same; the state counts a speaker's windows."""

    def __init__(self, *script):
        self.script, self.batches = list(script), []

    def predict(self, batch):
        self.batches.append(len(batch))
        return [(self.script.pop(0) if self.script else SURE, (state or 0) + 1) for _, state in batch]


class Model:
    """In the place of the model: no two answers are alike. Keeps what it was asked."""

    def __init__(self):
        self.asked, self.speech, self.fault = [], True, None

    def predict(self, batch):
        if self.fault is not None:
            raise self.fault
        self.asked.append([window for window, _ in batch])
        assert all(state is None for _, state in batch)
        scores = {"happy": 0.7, "sad": 0.3}
        return [(Emotion(0.5, 0.7, len(self.asked) / 100, scores, speech=self.speech), None) for _ in batch]


@pytest.fixture
def make(monkeypatch):
    def make(*script, **more):
        inner = Lively(*script), Model()
        monkeypatch.setattr(hybrid, "engines", lambda model, threads: inner)
        return Hybrid(**more), *inner

    return make


def window(place, length_s=2.0, hop_s=0.5, start_s=0.0):
    start = round((start_s + place * hop_s) * RATE)
    return SOUND[start : start + round(length_s * RATE)]


def hear(engine, windows, memory=None):
    """The answers, one window at a time, and the memory after them."""
    said = []
    for samples in windows:
        [(emotion, memory)] = engine.predict([(samples, memory)])
        said.append(emotion)
    return said, memory


def run(engine, count, **more):
    return hear(engine, [window(i, **more) for i in range(count)])[0]


def test_an_unchanged_voice_repeats_the_whole_answer_until_it_is_old(make):
    engine, _, model = make(longest_windows=3)
    said = run(engine, 8)
    assert said[0] is said[1] is said[2] is said[3]
    assert said[4] is said[7]
    assert said[4] is not said[3]
    assert said[0] == Emotion(0.5, 0.7, 0.01, {"happy": 0.7, "sad": 0.3})
    assert len(model.asked) == 2
    assert (engine.windows, engine.calls) == (8, 2)
    assert engine.counts() == {"model": 2, "repeated": 6}


def test_nothing_is_repeated_where_that_is_not_wanted(make):
    engine, _, model = make(longest_windows=0)
    run(engine, 5)
    assert len(model.asked) == 5


def test_the_model_is_asked_where_prosody_is_unsure(make):
    engine, _, model = make(SURE, Emotion(0.0, 0.39), Emotion(0.0, 0.4), unsure_below=0.4, longest_windows=9)
    run(engine, 5)
    assert len(model.asked) == 2


def test_a_change_counts_from_when_the_model_was_asked_however_slow(make):
    drift = [Emotion(0.1 * step, 0.9) for step in range(10)]
    engine, _, model = make(*drift, changed_by=0.35, longest_windows=99)
    run(engine, 10)
    assert [asked[0] is not None for asked in model.asked] == [True] * 3
    assert [np.array_equal(asked[0], window(i)) for asked, i in zip(model.asked, (0, 4, 8), strict=True)] == [True] * 3


def test_where_there_is_no_pitch_the_model_is_asked(make):
    mute = Emotion(None, 0.9)
    engine, _, model = make(SURE, mute, SURE, SURE)
    run(engine, 4)
    assert len(model.asked) == 3


def test_what_was_no_speech_is_not_repeated(make):
    engine, _, model = make()
    model.speech = False
    run(engine, 3)
    assert len(model.asked) == 3


def test_an_answer_is_not_carried_into_another_utterance(make):
    engine, _, model = make(longest_windows=99)
    first = [window(0, length) for length in (1.0, 1.5, 2.0)]
    said, memory = hear(engine, first)
    assert len(model.asked) == 1
    assert said[2] is said[0]
    hear(engine, [window(0, 1.0, start_s=30)], memory)
    assert len(model.asked) == 2


def test_a_batch_is_one_pass_of_prosody_and_one_call_of_the_model(make):
    engine, lively, model = make()
    known = hear(engine, [window(0)])[1]
    lively.batches.clear()
    model.asked.clear()
    answers = engine.predict([(window(0, start_s=20), None), (window(1), known), (window(0, start_s=40), None)])
    assert lively.batches == [3]
    assert [len(asked) for asked in model.asked] == [2]
    assert answers[1][0] is known.said
    assert answers[0][1].usual == 1
    assert answers[1][1].usual == 2


def test_an_empty_batch_asks_nobody(make):
    engine, _, model = make()
    assert engine.predict([]) == []
    assert model.asked == []


def test_a_failing_model_is_not_hidden_and_what_was_known_stays(make):
    engine, _, model = make(longest_windows=1)
    _, memory = hear(engine, [window(0), window(1)])
    model.fault = EngineError("it is gone")
    with pytest.raises(EngineError):
        engine.predict([(window(2), memory)])
    model.fault = None
    assert engine.predict([(window(3), memory)])[0][1].usual == 3


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.none() | st.floats(-1, 1), st.floats(0, 1)), max_size=40),
    st.integers(0, 5),
    st.lists(st.integers(1, 4), min_size=40, max_size=40),
)
def test_no_answer_is_older_or_of_another_voice_than_allowed(script, longest, sizes):
    """Batches of several speakers answer each as if they were alone, and none without the model's own word."""
    windows = [window(i) for i in range(len(script))]
    with pytest.MonkeyPatch.context() as patch:
        inner = Lively(*(Emotion(a, c) for a, c in script)), Model()
        patch.setattr(hybrid, "engines", lambda model, threads: inner)
        engine = Hybrid(longest_windows=longest)
    memories, place = {}, 0
    for size in sizes:
        batch = windows[place : place + size]
        answers = engine.predict([(samples, memories.get(i)) for i, samples in enumerate(batch)])
        for i, (emotion, memory) in enumerate(answers):
            assert memory.said is emotion
            assert memory.windows <= longest
            memories[i] = memory
        place += size
    assert engine.windows == len(script)
    assert engine.calls == sum(map(len, inner[1].asked)) <= engine.windows


def test_its_options_are_those_of_the_model_and_when_to_ask():
    names = ["model", "threads", "unsure_below", "changed_by", "longest_windows"]
    assert list(options(Hybrid).model_fields) == names
