"""The engine that ships."""

import numpy as np
import pytest

from tests.made import voice
from tests.made_model import write_model
from worker.audio import RATE
from worker.emotion import CLASSES, onnx
from worker.emotion.onnx import Onnx
from worker.errors import ConfigError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "made.onnx")


def test_a_window_gets_classes_affect_and_whether_it_is_speech(path):
    [(voiced, state), (silent, _)] = Onnx(str(path)).predict(
        [(voice(150, 2.0, 0.3), None), (np.zeros(RATE, np.float32), None)]
    )
    assert state is None
    assert tuple(voiced.scores) == CLASSES
    assert sum(voiced.scores.values()) == pytest.approx(1)
    assert voiced.confidence == max(voiced.scores.values())
    assert (voiced.speech, silent.speech) == (True, False)
    assert voiced.margin > 0 > silent.margin
    assert -1 <= voiced.valence <= 1


def test_nothing_asked_nothing_answered(path):
    assert Onnx(str(path)).predict([]) == []


def test_another_file_in_the_place_of_the_one_that_ships_is_refused(path, monkeypatch):
    monkeypatch.setattr(onnx, "SHIPPED", path)
    with pytest.raises(ConfigError, match="install Undertone again"):
        Onnx()
