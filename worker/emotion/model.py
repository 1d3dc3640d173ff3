"""A trained model as a file: opened, checked, and asked about windows of sound."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import CLASSES
from worker.emotion.features import CHANNELS, RECIPE, Table, features
from worker.emotion.files import read_file
from worker.errors import ConfigError, EngineError

LARGEST = 100_000_000
"""Bytes; no model that is meant to run beside a call is larger."""
LEAST = 1e-9
"""Of what is left to certainty: a bound of 1 has finite log-odds."""
AFFECT = slice(len(CLASSES), len(CLASSES) + 2)

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of n windows."""

    probabilities: Values
    """Shape (n, 6) over CLASSES, calibrated."""
    affect: Values
    """Shape (n, 2): valence and arousal in -1 to 1."""
    speech: Values
    """Shape (n,): how sure it is that this is one person's speech, 0 to 1."""
    margin: Values
    """Shape (n,): by how much that is above the bound for the window's length, in log-odds."""
    heard: NDArray[np.bool_]
    """Shape (n,): whether that is sure enough to say anything."""


class Model:
    """An ONNX file of `undertone lab calibrate`, with its calibration in its metadata. Keeps nothing of a voice."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Raises ConfigError, naming the file, when it cannot be read or is no such model."""
        content = read_file(path, LARGEST)
        self.digest = hashlib.sha256(content).hexdigest()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 4
        try:
            # From memory, so that a file cannot name other files to be read as its weights.
            self._session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
            held = self._session.get_modelmeta().custom_metadata_map
            self.about: Mapping[str, Any] = {key: json.loads(value) for key, value in held.items()}
            self._warmth = _by_seconds(self.about["temperature"])
            self._threshold = _by_seconds(self.about["speech"]["threshold"])
            known, recipe = tuple(self.about["classes"]), self.about["features"]
        except Exception as error:  # onnxruntime has an exception of its own for each kind of damage
            raise ConfigError(
                f"{path} is no model of 'undertone lab calibrate', or is damaged ({type(error).__name__})."
            ) from None
        if known != CLASSES or recipe != RECIPE or not self._answers():
            raise ConfigError(f"{path} was made for another version of Undertone: calibrate it again with this one.")

    def __call__(self, windows: Sequence[Samples]) -> Answers:
        """What is heard in windows of mono 16 kHz sound; windows of one length are one run of the network.

        The answer to a window does not depend on what else is asked: nothing is padded. Raises EngineError when the
        network can't be run.
        """
        tables = [features(window) for window in windows]
        outputs = np.zeros((len(tables), AFFECT.stop + 1))
        for members in _by_length(tables):
            shown = np.stack([tables[i] for i in members])
            try:
                outputs[members] = self._session.run(None, {"shown": shown})[0]
            except Exception as error:  # onnxruntime's own exceptions have no common base
                raise EngineError(f"the emotion model failed ({type(error).__name__}).", "model_failed") from error
        seconds = [len(window) / RATE for window in windows]
        logits = outputs[:, : len(CLASSES)] / np.interp(seconds, *self._warmth)[:, np.newaxis]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(logits) else logits
        speech = 1 / (1 + np.exp(-outputs[:, -1]))
        bound = np.interp(seconds, *self._threshold)
        margin = outputs[:, -1] - np.log(bound / np.maximum(1 - bound, LEAST))
        shares = odds / odds.sum(axis=1, keepdims=True)
        return Answers(shares, outputs[:, AFFECT], speech, margin, speech >= bound)

    def _answers(self) -> bool:
        """Whether the graph takes and gives what it should, and numbers come out."""
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        if [i.name for i in takes] != ["shown"] or len(gives) != 1:
            return False
        for windows, frames in ((2, 98), (1, 150)):
            try:
                given = self._session.run(None, {"shown": np.zeros((windows, frames, CHANNELS), np.float32)})[0]
            except Exception:  # whatever is wrong with it, it is not ours
                return False
            if given.shape != (windows, AFFECT.stop + 1) or not np.isfinite(given).all():
                return False
        return True


def _by_seconds(values: Mapping[str, float]) -> tuple[Values, Values]:
    """Window lengths in seconds and their values, to interpolate between; ValueError unless all are positive."""
    seconds, numbers = zip(*sorted((float(key), float(value)) for key, value in values.items()), strict=True)
    if not all(0 < number < np.inf for number in numbers):
        raise ValueError("neither a temperature nor a threshold")
    return np.array(seconds), np.array(numbers)


def _by_length(tables: Sequence[Table]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for i, table in enumerate(tables):
        groups.setdefault(len(table), []).append(i)
    return list(groups.values())
