"""What any engine says of windows of sound: a model file, or an engine of the worker by its name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import ENGINES, EmotionModel
from worker.emotion.features import features
from worker.errors import ConfigError
from worker.lab.corpora import CLASSES
from worker.lab.metrics import softmax
from worker.registry import load

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Of n windows."""

    probabilities: Values
    """Shape (n, 6) over CLASSES; NaN where an engine names no classes."""
    affect: Values
    """Shape (n, 2): valence and arousal, NaN where unknown."""
    speech: Values
    """Shape (n,): how sure it is that this is speech; 1 for an engine that does not say."""
    heard: NDArray[np.bool_]
    """Whether it would name a class at all."""
    window_ms: Values
    """Milliseconds each window took."""


class Judge(Protocol):
    about: Mapping[str, Any]

    def __call__(self, windows: Sequence[Samples]) -> Verdicts: ...


class ModelFile:
    """An ONNX file made by `undertone lab calibrate`, one thread."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError, naming the file, when it is no such model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            held = self._session.get_modelmeta().custom_metadata_map
            self.about: Mapping[str, Any] = {key: json.loads(value) for key, value in held.items()}
            warmth = {float(key): float(value) for key, value in self.about["temperature"].items()}
            self._threshold = float(self.about["speech"]["threshold"])
        except Exception as error:  # onnxruntime has an exception of its own for each kind of damage
            raise ConfigError(f"{path} is no model of 'undertone lab calibrate' ({type(error).__name__}).") from error
        if tuple(self.about["classes"]) != CLASSES:
            raise ConfigError(f"{path} knows other classes than {', '.join(CLASSES)}.")
        self._lengths, self._warmth = np.array(sorted(warmth)), np.array([warmth[key] for key in sorted(warmth)])

    def __call__(self, windows: Sequence[Samples]) -> Verdicts:
        outputs, took = [], []
        for window in windows:
            began = perf_counter()
            outputs.append(self._session.run(None, {"shown": features(window)[np.newaxis]})[0][0])
            took.append(1000 * (perf_counter() - began))
        table = np.array(outputs, np.float64)
        seconds = np.array([len(window) / RATE for window in windows])
        warmth = np.interp(seconds, self._lengths, self._warmth)[:, np.newaxis]
        speech = 1 / (1 + np.exp(-table[:, -1]))
        count = len(CLASSES)
        return Verdicts(
            probabilities=softmax(table[:, :count] / warmth),
            affect=table[:, count : count + 2],
            speech=speech,
            heard=speech >= self._threshold,
            window_ms=np.array(took),
        )


class Engine:
    """One of the worker's engines, asked about each window as a newcomer's first."""

    def __init__(self, name: str) -> None:
        self._model: EmotionModel = load(ENGINES, name)()
        self.about: Mapping[str, Any] = {"engine": name}

    def __call__(self, windows: Sequence[Samples]) -> Verdicts:
        said, took = [], []
        for window in windows:
            began = perf_counter()
            said.append(self._model.predict([(window, None)])[0][0])
            took.append(1000 * (perf_counter() - began))
        scores = np.array([[one.scores.get(name, np.nan) for name in CLASSES] for one in said])
        unknown = np.nan
        affect = [[unknown if v is None else v for v in (one.valence, one.arousal)] for one in said]
        heard = np.array([one.confidence > 0 for one in said])
        return Verdicts(scores, np.array(affect), np.ones(len(said)), heard, np.array(took))


def judge(engine: str) -> Judge:
    """A model file where `engine` ends in .onnx, else an engine by its name in a configuration."""
    return ModelFile(Path(engine)) if engine.endswith(".onnx") else Engine(engine)
