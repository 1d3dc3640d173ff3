"""All figures of an engine, with one whose answers are known."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.made import corpus, voice, write_wav
from tests.made_model import write_model
from worker.audio import RATE
from worker.emotion import CLASSES, Emotion
from worker.errors import ConfigError
from worker.lab.corpora import NOT_SPEECH, read
from worker.lab.evaluate import evaluate, onset, shared
from worker.lab.judge import Verdicts, judge
from worker.lab.report import page


class Listener:
    """Tells the glide of `tests.made` by the pitch at both ends; noise it does not take for speech."""

    about = {"name": "listener"}

    def __init__(self, sure=0.9):
        self.sure = sure

    def stream(self, windows, speaker):
        return self(windows, [speaker] * len(windows))

    def counts(self):
        return {}

    def __call__(self, windows, speakers):
        said = []
        for window in windows:
            quarter = len(window) // 4
            first, last = (np.mean(np.diff(np.signbit(part))) for part in (window[:quarter], window[-quarter:]))
            rise = last / max(first, 1e-3)
            name = "angry" if rise > 1.15 else "sad" if rise < 0.87 else "neutral"
            scores = {each: self.sure if each == name else (1 - self.sure) / 5 for each in CLASSES}
            said.append(Emotion(0.0, self.sure, 0.0, scores, speech=bool(first < 0.2)))
        return Verdicts(said, np.ones(len(windows)))


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
    figures = evaluate(Listener(sure=0.2), clips, conditions=False)["corpora"]["table"]
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


def test_an_engine_nobody_knows():
    with pytest.raises(ConfigError, match="unknown"):
        judge("oracle")


def test_a_model_file_and_the_engine_of_a_configuration(tmp_path, clips):
    model = write_model(tmp_path / "made.onnx")
    (tmp_path / "mine.yaml").write_text(
        f"room: {{kind: embedded, name: x}}\nemotion: {{kind: onnx, model: {model}}}\n", encoding="utf-8"
    )
    few = [clip for clip in clips if clip.speaker == "table:s1"] or clips[:3]
    one, other = (evaluate(judge(str(tmp_path / name)), few, False) for name in ("made.onnx", "mine.yaml"))
    assert one["engine"]["sha256"] == other["engine"]["sha256"]
    assert one["corpora"]["table"]["confusion"] == other["corpora"]["table"]["confusion"]


def test_each_fold_is_judged_by_the_model_that_did_not_learn_from_it(tmp_path):
    for fold in range(5):
        write_model(tmp_path / f"m{fold}.onnx", {"temperature": {"1.0": 1.0 + fold, "3.0": 1.0 + fold}})
    name, window = str(tmp_path / "m{fold}.onnx"), voice(150, 2.0, 0.3)
    folds = judge(name, {"ada": 0, "ben": 3})
    said = folds([window] * 3, ["ada", "ben", "guest"]).probabilities
    for row, fold in ((0, 0), (1, 3), (2, 0)):
        assert np.allclose(said[row], judge(name.replace("{fold}", str(fold)))([window], [""]).probabilities)
    with pytest.raises(ConfigError, match="--splits"):
        judge(name)


def test_a_clip_of_noise_shorter_than_a_window(tmp_path):
    write_wav(tmp_path / "n.wav", np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype(np.float32))
    (tmp_path / "few.csv").write_text("path,speaker,emotion\nn.wav,,noise:hiss\n")
    [clip] = read(f"csv:{tmp_path}/few.csv")
    assert clip.emotion == NOT_SPEECH
    assert evaluate(Listener(), [clip])["not speech"]["few"]["windows"] == 1
