"""Engines as they are heard live, with answers that are known."""

import numpy as np
import pytest

from tests.made import voice
from tests.speech import silence, speech
from worker.audio import RATE
from worker.emotion import CLASSES, Emotion
from worker.lab.corpora import Clip
from worker.lab.judge import Verdicts
from worker.lab.streams import live, voiced
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


def test_voice_is_told_from_silence():
    sound = np.concatenate([silence(1.0), speech("anna")[: 2 * RATE]])
    found = voiced(sound, Silero())
    assert not found[: RATE // 2].any()
    assert found[RATE:].mean() > 0.5
