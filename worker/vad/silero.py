"""Silero voice-activity detection: one ONNX session for every speaker of the process."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field

from worker.audio import RATE, Samples
from worker.errors import ConfigError
from worker.vad import WINDOW

CONTEXT = 64
"""Samples of the window before that the model hears again in front of each window (silero-vad 5 and later)."""

MODEL = "silero_vad/data/silero_vad.onnx"
INSTALL = "pip install --no-deps silero-vad"

State: TypeAlias = tuple[NDArray[np.float32], Samples]
"""The recurrent state, shape (2, 128), and the last 64 samples."""

SILENT: State = (np.zeros((2, 128), np.float32), np.zeros(CONTEXT, np.float32))


class Silero:
    """Speech probability of 32 ms windows. The model keeps nothing: state is an argument and a result."""

    def __init__(self, threads: Annotated[int, Field(ge=1, le=256)] = 1) -> None:
        """Raises ConfigError when the model file is not installed or not readable."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 3
        path = model_path()
        try:
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ConfigError(f"{path} is not a readable model; repair it with: {INSTALL} --force-reinstall") from error

    def predict(self, batch: Sequence[tuple[Samples, State | None]]) -> list[tuple[float, State]]:
        """For each (512 samples, state or None at first): (speech probability 0..1, next state)."""
        if not batch:
            return []
        states = [state or SILENT for _, state in batch]
        heard = np.stack([np.concatenate([state[1], window]) for (window, _), state in zip(batch, states, strict=True)])
        if heard.shape[1] != CONTEXT + WINDOW:
            raise ValueError(f"a window has {WINDOW} samples, not {heard.shape[1] - CONTEXT}")
        memory = np.stack([state[0] for state in states], axis=1)
        probabilities, memory = self._session.run(
            None, {"input": heard.astype(np.float32, copy=False), "state": memory, "sr": np.array(RATE, np.int64)}
        )
        return [
            (float(probabilities[i, 0]), (memory[:, i].copy(), heard[i, -CONTEXT:].copy())) for i in range(len(batch))
        ]


def model_path() -> Path:
    """The model file of the installed distribution, found without importing it: importing it would need torch.

    Raises ConfigError with the command that installs it.
    """
    try:
        path = Path(str(distribution("silero-vad").locate_file(MODEL)))
    except PackageNotFoundError:
        raise ConfigError(f"silero-vad is not installed; install it with: {INSTALL}") from None
    if not path.is_file():
        raise ConfigError(f"silero-vad is installed without its model; repair it with: {INSTALL} --force-reinstall")
    return path
