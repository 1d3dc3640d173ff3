"""Small models with known answers, in place of a trained one."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from worker.emotion import CLASSES
from worker.emotion.features import BANDS, CHANNELS, RECIPE, STRENGTH

ABOUT = {
    "classes": CLASSES,
    "features": RECIPE,
    "temperature": {"1.0": 2.0, "3.0": 1.0},
    "speech": {"threshold": {"1.0": 0.5, "3.0": 0.5}},
}


def write_model(path, about=None, outputs=9, name="shown", channels=CHANNELS):
    """Hears angry in high sounds, sad in low ones, and speech in what has a pitch; `about` changes the metadata."""
    weights = np.zeros((channels, outputs), np.float32)
    weights[BANDS // 2 : BANDS, 3 % outputs] = 0.05
    weights[: BANDS // 2, 2 % outputs] = 0.05
    weights[STRENGTH, -1] = 10
    bias = np.zeros(outputs, np.float32)
    bias[-1] = -5
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [name], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Gemm", ["mean", "weights", "bias"], ["outputs"]),
        ],
        "made",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "frames", channels])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    known = {key: value for key, value in (ABOUT | (about or {})).items() if value is not None}
    helper.set_model_props(model, {key: json.dumps(value) for key, value in known.items()})
    onnx.save(model, path)
    return path
