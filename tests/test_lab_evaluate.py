"""All figures of an engine, with one whose answers are known."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.made import corpus, write_wav
from worker.audio import RATE
from worker.errors import ConfigError
from worker.lab.corpora import CLASSES, NOT_SPEECH, read
from worker.lab.evaluate import evaluate, onset, shared
from worker.lab.judge import Engine, ModelFile, Verdicts, judge
from worker.lab.report import page


class Listener:
    """Tells the glide of `tests.made` by the pitch at both ends; noise it does not take for speech."""

    about = {"name": "listener"}

    def __init__(self, sure=0.9):
        self.sure = sure

    def __call__(self, windows):
        said = np.full((len(windows), len(CLASSES)), (1 - self.sure) / 5)
        heard = []
        for row, window in enumerate(windows):
            quarter = len(window) // 4
            first, last = (np.mean(np.diff(np.signbit(part))) for part in (window[:quarter], window[-quarter:]))
            rise = last / max(first, 1e-3)
            said[row, CLASSES.index("angry" if rise > 1.15 else "sad" if rise < 0.87 else "neutral")] = self.sure
            heard.append(first < 0.2)
        count = len(windows)
        return Verdicts(said, np.zeros((count, 2)), np.ones(count), np.array(heard), np.ones(count))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return read(f"csv:{corpus(tmp_path_factory.mktemp('corpus'))}")


def test_figures_of_a_good_listener(clips):
    found = evaluate(Listener(), clips, conditions=False)
    figures = found["corpora"]["table"]
    assert figures["clips"] == 30
    assert figures["speakers"] == 10
    assert figures["classes"] == ["neutral", "sad", "angry"]
    assert figures["uar"] > 0.9
    assert figures["uar interval"][0] <= figures["uar"] <= figures["uar interval"][1]
    assert figures["angry shown"]["precision"] > 0.9
    assert set(figures["slices"]) == {"gender", "intensity"}
    assert figures["window ms"] == {"p50": 1, "p99": 1}
    assert found["not speech"]["table"]["heard as speech"] == 0
    assert found["not speech"]["table"]["false verdicts without the speech score"] == 1
    json.dumps(found)
    markup = page(found)
    for shown in ("Confusion", "Reliability", "Right at coverage", "UAR by gender", f"{figures['uar']:.3f} ("):
        assert shown in markup
    ElementTree.fromstring(re.sub(r"<(!doctype|meta)[^>]*>", "", markup))  # every element is closed


def test_an_unsure_listener_shows_nothing(clips):
    figures = evaluate(Listener(sure=0.3), clips, conditions=False)["corpora"]["table"]
    assert figures["shown"] < 0.1
    assert figures["angry shown"]["missed"] > 0.9


def test_lines_levels_and_short_windows(clips):
    few = [clip for clip in clips if clip.speaker in ("s1", "s2")]
    figures = evaluate(Listener(), few)["corpora"]["table"]
    assert figures["conditions"]["gain -12 dB"] == figures["uar"]
    assert set(figures["windows"]) == {"0.5 s", "1.0 s", "1.5 s", "2.0 s", "3.0 s"}


def test_an_engine_without_classes_is_only_timed(clips):
    few = [clip for clip in clips if clip.speaker == "s1"]
    figures = evaluate(judge("prosody"), few)["corpora"]["table"]
    assert figures["classes"] == 0
    assert figures["window ms"]["p50"] > 0


def test_probabilities_are_shared_among_the_classes_there_are():
    probabilities, names = shared(np.array([[0.2, 0.1, 0.1, 0.5, 0.1, 0.0]]), np.array([0, 2]))
    assert names == ["neutral", "sad"]
    assert probabilities[0].tolist() == pytest.approx([2 / 3, 0, 1 / 3, 0, 0, 0])


def test_speech_begins_after_the_silence():
    sound = np.concatenate([np.zeros(RATE), np.full(RATE, 0.3)]).astype(np.float32)
    assert onset(sound) == RATE
    assert onset(sound[:100]) == 0


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" + b"\x00" * 60])
def test_a_file_that_is_no_model_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.onnx is no model"):
        ModelFile(path)


def test_an_engine_nobody_knows():
    with pytest.raises(ConfigError, match="unknown"):
        Engine("oracle")


def test_a_clip_of_noise_shorter_than_a_window(tmp_path):
    write_wav(tmp_path / "n.wav", np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype(np.float32))
    (tmp_path / "few.csv").write_text("path,speaker,emotion\nn.wav,,noise:hiss\n")
    [clip] = read(f"csv:{tmp_path}/few.csv")
    assert clip.emotion == NOT_SPEECH
    assert evaluate(Listener(), [clip])["not speech"]["few"]["windows"] == 1
