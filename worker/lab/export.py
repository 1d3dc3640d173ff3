"""A trained network as one ONNX file that says all about itself, held against the original."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from worker.emotion.features import CHANNELS, Table
from worker.errors import UndertoneError
from worker.lab.network import Network

TOLERANCE = 1e-3
"""Largest difference of an output between the two."""
OPSET = 17
LENGTHS = (98, 150, 298)
"""Frames at which they are compared."""


def export(network: Network, path: Path, about: Mapping[str, Any]) -> float:
    """Write the network as ONNX with `about` (values fit for JSON) in its metadata; returns the largest difference.

    The metadata also holds `parity`, what the network itself answers to `pattern`.

    The graph takes `shown`, shape (batch, frames, CHANNELS), and gives `outputs`, shape (batch, OUTPUTS).
    Raises UndertoneError when what onnxruntime answers differs by more than TOLERANCE.
    """
    network = network.eval()
    example = torch.from_numpy(_example(LENGTHS[-1], 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its successor, which needs one more package
        torch.onnx.export(
            network,
            (example,),
            part,
            input_names=["shown"],
            output_names=["outputs"],
            dynamic_axes={"shown": {0: "batch", 1: "frames"}, "outputs": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(part)
    with torch.no_grad():
        known = {**about, "parity": network(torch.from_numpy(pattern()[np.newaxis]))[0].tolist()}
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in known.items()})
    onnx.save(model, part)
    worst = difference(network, part)
    if not worst <= TOLERANCE:
        part.unlink()
        raise UndertoneError(f"the exported model differs from the trained one by {worst:.2g}.", "parity")
    part.replace(path)
    return worst


def difference(network: Network, path: Path) -> float:
    """The largest between the network's outputs and the file's, over LENGTHS and batches of one and more."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for frames in LENGTHS:
        for count in (1, 3):
            shown = _example(frames, count)
            with torch.no_grad():
                ours = network(torch.from_numpy(shown)).numpy()
            worst = max(worst, float(np.abs(ours - session.run(None, {"shown": shown})[0]).max()))
    return worst


def pattern() -> Table:
    """Waves of shape (98, CHANNELS), the same everywhere and for ever."""
    frame, channel = np.mgrid[:98, :CHANNELS]
    return np.asarray(-5 + 3 * np.sin(0.37 * frame + 1.3 * channel), np.float32)


def _example(frames: int, count: int) -> np.ndarray:
    random = np.random.default_rng(frames + count)
    return random.normal(-5, 3, size=(count, frames, CHANNELS)).astype(np.float32)
