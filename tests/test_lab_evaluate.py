"""All figures of an engine, with one whose answers are known."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.made import corpus, voice, write_wav
from tests.made_model import write_model
from tests.speech import speech
from worker.audio import RATE
from worker.emotion import CLASSES, Emotion
from worker.errors import ConfigError
from worker.lab.corpora import NOT_SPEECH, Clip, read
from worker.lab.evaluate import evaluate, onset, shared
from worker.lab.judge import UNSAID, Held, Verdicts, judge
from worker.lab.report import page
from worker.lab.stress import MADE


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
    found = evaluate(Listener(), clips, stressed=False)
    figures = found["corpora"]["table"]
    assert figures["clips"] == 30
    assert figures["speakers"] == 10
    assert figures["classes"] == ["neutral", "sad", "angry"]
    assert figures["uar"] > 0.9
    assert figures["uar interval"][0] <= figures["uar"] <= figures["uar interval"][1]
    assert figures["angry shown"]["precision"] > 0.9
    assert set(figures["slices"]) == {"gender", "intensity"}
    assert figures["window ms"] == {"p50": 1, "p99": 1}
    assert figures["labels shown"]["tense"]["by chance"] == pytest.approx(1 / 3)
    assert figures["labels shown"]["tense"]["precision"] > 0.9
    assert figures["labels shown"]["positive"] == {"shown": 0, "precision": None, "by chance": 0}
    assert figures["angry shown"]["by chance"] == pytest.approx(1 / 3)
    assert found["not speech"]["table"]["heard as speech without voice activity"] == 0
    assert found["not speech"]["table"]["false verdicts without the speech score"] == 1
    json.dumps(found)
    markup = page(found)
    assert "few speakers" not in markup
    for shown in (
        "ECE of four",
        "by chance",
        "Confusion",
        "Reliability",
        "Right at coverage",
        "UAR by gender",
        f"{figures['uar']:.3f} (",
    ):
        assert shown in markup
    ElementTree.fromstring(re.sub(r"<(!doctype|meta)[^>]*>", "", markup))  # every element is closed


def test_an_unsure_listener_shows_nothing(clips):
    figures = evaluate(Listener(sure=0.2), clips, stressed=False)["corpora"]["table"]
    assert figures["shown"] < 0.1
    assert figures["angry shown"]["missed"] > 0.9


def test_lines_levels_and_short_windows(clips):
    few = [clip for clip in clips if clip.speaker in ("s1", "s2")]
    found = evaluate(Listener(), few)
    figures = found["corpora"]["table"]
    assert found["noise"] == MADE
    for shown in (MADE, "; few speakers)"):
        assert shown in page(found)
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
    folds = judge(name, Held({"ada": 0, "ben": 3}, 0, ""))
    said = folds([window] * 3, ["ada", "ben", "guest"]).probabilities
    for row, fold in ((0, 0), (1, 3), (2, 0)):
        assert np.allclose(said[row], judge(name.replace("{fold}", str(fold)))([window], [""]).probabilities)
    with pytest.raises(ConfigError, match="--splits"):
        judge(name)


def test_a_model_that_says_who_it_knows_is_not_judged_by_them(tmp_path):
    path = str(write_model(tmp_path / "m1.onnx", {"splits": "ab", "fold": 1}))
    assert "note" not in judge(path, Held({}, 1, "ab")).about
    with pytest.raises(ConfigError, match="learned from speakers of fold 0: it is judged with --fold 1"):
        judge(path, Held({}, 0, "ab"))
    with pytest.raises(ConfigError, match="--splits is not the file"):
        judge(path, Held({}, 1, "cd"))
    assert "note" not in judge(path).about


def test_each_of_five_models_says_its_own_fold(tmp_path):
    for fold in range(5):
        write_model(tmp_path / f"m{fold}.onnx", {"splits": "ab", "fold": fold})
    judge(str(tmp_path / "m{fold}.onnx"), Held({}, 0, "ab"))
    write_model(tmp_path / "m4.onnx", {"splits": "ab", "fold": 3})
    with pytest.raises(ConfigError, match=r"m4\.onnx learned from speakers of fold 4"):
        judge(str(tmp_path / "m{fold}.onnx"), Held({}, 0, "ab"))


def test_a_model_that_does_not_say_is_judged_and_that_is_said(tmp_path, clips):
    model = judge(str(write_model(tmp_path / "m.onnx")), Held({}, 0, "ab"))
    found = evaluate(model, clips[:3], False)
    assert found["engine"]["note"] == UNSAID
    assert UNSAID in page(found)


def test_five_folds_are_a_slice(clips):
    held = Held({"s1": 0, "s2": 3, "s3": -1}, 0, "")
    mine = [clip for clip in clips if clip.speaker in ("s1", "s2", "s3")]
    assert {(c.speaker, c.slices["fold"]) for c in held.left(mine, every_fold=True)} == {("s1", "0"), ("s2", "3")}
    assert {c.speaker for c in held.left(mine, every_fold=False)} == {"s1"}


class Every:
    """Takes every sound for a sad voice."""

    about = {}

    def __call__(self, windows, speakers):
        return Verdicts([Emotion(0.0, 0.9, 0.0, {c: 0.9 if c == "sad" else 0.02 for c in CLASSES})] * len(windows), [])

    def stream(self, windows, speaker):
        return self(windows, [speaker] * len(windows))


def test_false_verdicts_are_a_share_of_what_the_worker_would_ask(tmp_path):
    """Of a voice and of a hiss, of which voice activity lets the voice alone through."""
    write_wav(tmp_path / "a.wav", np.concatenate([np.zeros(RATE, np.float32), speech("anna")[: 3 * RATE]]))
    write_wav(tmp_path / "b.wav", np.random.default_rng(0).normal(0, 0.01, 4 * RATE).astype(np.float32))
    found = {}
    for name in ("a", "b"):
        clip = Clip(tmp_path / f"{name}.wav", name, NOT_SPEECH, "few")
        found[name] = evaluate(Every(), [clip])["not speech"]["few"]
        assert found[name]["windows"] == 7
        assert found[name]["false verdicts without voice activity"] == 1
    assert 0 < found["a"]["asked"] < 7
    assert found["a"]["false verdicts"] == 1
    assert found["a"]["false verdicts a minute"] == pytest.approx(found["a"]["asked"] * 15)
    assert (found["b"]["asked"], found["b"]["false verdicts"], found["b"]["false verdicts a minute"]) == (0, None, 0)


def test_a_clip_of_noise_shorter_than_a_window(tmp_path):
    write_wav(tmp_path / "n.wav", np.random.default_rng(0).normal(0, 0.1, RATE * 6 // 10).astype(np.float32))
    (tmp_path / "few.csv").write_text("path,speaker,emotion\nn.wav,,noise:hiss\n")
    [clip] = read(f"csv:{tmp_path}/few.csv")
    assert clip.emotion == NOT_SPEECH
    assert evaluate(Listener(), [clip])["not speech"]["few"]["windows"] == 1
