"""Model files: what is asked of them, and what is no model of ours."""

import numpy as np
import pytest

from tests.made import voice
from tests.made_model import write_model
from worker.audio import RATE
from worker.emotion import CLASSES
from worker.emotion.model import LARGEST, Model
from worker.errors import ConfigError, EngineError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "made.onnx")


def windows():
    tones = [voice(hertz, seconds, 0.3) for hertz in (110, 180, 260) for seconds in (1.0, 1.3, 2.0, 3.0)]
    return [*tones, np.zeros(RATE, np.float32), np.zeros(10, np.float32)]


def test_probabilities_of_a_batch_equal_those_of_single_windows(path):
    model = Model(path)
    together, alone = model(windows()), [model([window]) for window in windows()]
    for i, one in enumerate(alone):
        assert np.allclose(one.probabilities[0], together.probabilities[i], atol=1e-6)
        assert np.allclose(one.affect[0], together.affect[i], atol=1e-6)
        assert one.heard[0] == together.heard[i]
    assert np.allclose(together.probabilities.sum(axis=1), 1)


def test_silence_is_not_speech_and_a_voice_is(path):
    said = Model(path)([voice(150, 2.0, 0.3), np.zeros(2 * RATE, np.float32)])
    assert said.heard.tolist() == [True, False]


def test_shorter_windows_are_less_sure_by_their_temperature(path):
    long, short = Model(path)([voice(150, 3.0, 0.0), voice(150, 1.0, 0.0)]).probabilities
    assert long.max() > short.max()


def test_no_windows_are_no_answers(path):
    said = Model(path)([])
    assert said.probabilities.shape == (0, len(CLASSES))
    assert said.heard.shape == (0,)


@pytest.mark.parametrize("cut", [0, 1, 100, 500, -1])
def test_a_truncated_file_is_refused_by_name(path, tmp_path, cut):
    part = tmp_path / "part.onnx"
    part.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ConfigError, match=r"part\.onnx"):
        Model(part)


@pytest.mark.parametrize("content", [b"\x80\x04\x95pickle", b"PK\x03\x04", b"\x08\x08" * 5_000, b"text\n"])
def test_a_foreign_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "other.onnx").write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        Model(tmp_path / "other.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"about": {"classes": ["happy", "sad"]}},
        {"about": {"features": 1}},
        {"about": {"features": None}},
        {"about": {"temperature": {}}},
        {"about": {"temperature": {"1.0": "warm"}}},
        {"about": {"temperature": {"1.0": 0.0}}},
        {"about": {"temperature": {"1.0": float("nan")}}},
        {"about": {"speech": None}},
        {"name": "input"},
        {"outputs": 4},
        {"channels": 80},
    ],
)
def test_another_kind_of_model_is_refused_by_name(tmp_path, change):
    with pytest.raises(ConfigError, match=r"made\.onnx"):
        Model(write_model(tmp_path / "made.onnx", **change))


def test_a_missing_and_a_huge_file_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="name a model file that exists"):
        Model(tmp_path / "none.onnx")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ConfigError, match="larger than"):
        Model(tmp_path / "huge.onnx")


def test_a_network_that_fails_is_the_engines_failure(path, monkeypatch):
    model = Model(path)

    class Broken:
        def run(self, *_):
            raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "_session", Broken())
    with pytest.raises(EngineError, match="failed"):
        model([voice(150, 1.0, 0.0)])
