"""Engines as they are heard live, with answers that are known."""

import numpy as np
import pytest

from tests.made import voice
from tests.speech import silence, speech
from worker.audio import RATE
from worker.emotion import CLASSES, Emotion
from worker.lab.corpora import Clip
from worker.lab.judge import Verdicts
from worker.lab.streams import SURE, asked, every_window, live
from worker.vad.silero import Silero


def said(name, p=0.8):
    scores = {each: p if each == name else (1 - p) / 5 for each in CLASSES}
    return Emotion(0.0, p, 0.0, scores)


class Pattern:
    """Answers with a written pattern of classes, begun anew with each speaker."""

    about = {}

    def __init__(self, *names, p=0.8, asked=None):
        self.names, self.p, self.asked, self.told = names, p, asked or {}, 1000

    def stream(self, windows, speaker):
        return Verdicts([said(self.names[i % len(self.names)], self.p) for i in range(len(windows))], np.ones(1))

    def counts(self):
        self.told += 1  # before what is counted, and after it
        return {who: self.told * count for who, count in self.asked.items()}


def clips(tmp_path, emotion="sad", count=4):
    sounds = [voice(120, 3.0, 0.2)] * count
    return [Clip(tmp_path / str(i), "table:ada", emotion, "table") for i in range(count)], sounds


def test_a_steady_engine_changes_nothing(tmp_path):
    found = live(Pattern("sad"), *clips(tmp_path))
    assert (found["changes a minute"], found["unsmoothed changes a minute"]) == (0, 0)
    assert (found["shown"], found["right when shown"], found["uar of windows"]) == (1, 1, 1)
    assert found["minutes"] == pytest.approx(0.2, rel=0.05)


def test_single_odd_windows_are_smoothed_away(tmp_path):
    found = live(Pattern("sad", "sad", "sad", "sad", "happy", p=0.95), *clips(tmp_path))
    assert found["unsmoothed changes a minute"] > 20
    assert found["label changes a minute"] == 0


def test_an_engine_of_two_minds_shows_little(tmp_path):
    found = live(Pattern("sad", "angry", p=0.7), *clips(tmp_path))
    assert found["shown"] < 0.3


def test_what_an_engine_spares_is_told(tmp_path):
    found = live(Pattern("sad", asked={"model": 3.0, "repeated": 9.0}), *clips(tmp_path))
    assert found["model calls"] == 0.25


def test_too_few_clips_of_a_speaker_are_no_stream(tmp_path):
    assert live(Pattern("sad"), *clips(tmp_path, count=2)) == {}


class Vad:
    """Speech where the sound is not silent; `sure` may be written down for each frame instead."""

    def __init__(self, *sure):
        self.sure = sure

    def predict(self, batch):
        [(samples, state)] = batch
        at = state or 0
        return [(self.sure[at] if at < len(self.sure) else float(samples.any()), at + 1)]


def spans(windows):
    return [(round(w.start, 1), round(w.end, 1)) for w in windows]


def test_an_engine_is_asked_what_the_worker_would_ask_it():
    """From 1 s of voice on, every half a second of it, the last two seconds; pauses are within, silence is not."""
    sound = np.concatenate(
        [silence(1.0), voice(120, 3.0), silence(1.0), voice(120, 0.7), silence(1.0), voice(120, 0.3)]
    )
    assert spans(asked(sound, Vad())) == [(1.0, 2.0), (1.0, 2.5), (1.0, 3.0), (1.5, 3.5), (2.0, 4.0), (5.0, 5.7)]
    assert asked(silence(5.0), Vad()) == []


def test_a_voice_once_heard_is_let_go_as_late_as_the_worker_does():
    doubtful = [0.6] * 10 + [0.4] * 60
    assert spans(asked(voice(120, 70 * 512 / RATE), Vad(*doubtful)))[-1] == (0.0, 2.0)
    assert asked(voice(120, 70 * 512 / RATE), Vad(*[0.4] * 70)) == []


def test_an_engine_is_asked_about_a_person_and_not_about_silence():
    sound = np.concatenate([silence(1.0), speech("anna")[: 2 * RATE]])
    found = asked(sound, Silero())
    assert found
    assert all(window.start > 0.5 for window in found)


def test_every_window_is_the_last_two_seconds_and_a_short_clip_is_one():
    assert spans(every_window(voice(120, 3.05))) == [(0.0, 1.0), (0.0, 1.5), (0.0, 2.0), (0.5, 2.5), (1.0, 3.0)]
    assert len(every_window(voice(120, 0.6))) == 1
    assert SURE == 0.55
