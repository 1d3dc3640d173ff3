"""The explainable baseline: openSMILE's eGeMAPS functionals of a window, and a support vector machine in numpy."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import CLASSES, Emotion
from worker.emotion.files import read_file
from worker.errors import ConfigError

FEATURES = 88
"""Of eGeMAPSv02 (Eyben et al. 2016): pitch, loudness, spectrum and pauses, each summed up over the window."""
SHORTEST = RATE // 10
"""Samples below which a window is lengthened with silence: openSMILE gives nothing for less than 60 ms."""
LEVEL = 0.05
"""Root mean square that every window is brought to, since browsers regulate levels and openSMILE's loudness would
follow them."""
LARGEST = 100_000_000
"""Bytes of a model file: room for 130,000 vectors."""
LICENCE = "openSMILE may be used for research, teaching and in private, not in products (audEERING Research License)"

Table = NDArray[np.float64]
Extractor = Callable[[Samples], NDArray[np.float32]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Svm:
    """One support vector machine with a radial kernel for each of CLASSES against the rest; all share their vectors."""

    mean: Table
    """Shape (FEATURES,), as is `scale`: what is taken off functionals, and what they are then divided by."""
    scale: Table
    vectors: Table
    """Shape (n, FEATURES): scaled functionals of clips that were learned from."""
    weights: Table
    """Shape (n, 6): how much each vector speaks for each class."""
    offsets: Table
    """Shape (6,)."""
    about: Mapping[str, Any]
    """`gamma` of the kernel, `temperature`, and what the model learned from; fit for JSON."""

    def decide(self, functionals: Table) -> Table:
        """Distances from each class's border, shape (n, 6), of functionals of shape (n, FEATURES)."""
        seen = (functionals - self.mean) / self.scale
        apart = (seen**2).sum(axis=1)[:, np.newaxis] + (self.vectors**2).sum(axis=1) - 2 * seen @ self.vectors.T
        return np.asarray(np.exp(-self.about["gamma"] * np.maximum(apart, 0)) @ self.weights + self.offsets)

    def probabilities(self, functionals: Table) -> Table:
        """Shape (n, 6) over CLASSES, calibrated."""
        logits = self.decide(functionals) / self.about["temperature"]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


PARTS = ("mean", "scale", "vectors", "weights", "offsets")


class Egemaps:
    """Classes of windows of 1 to 3 s, whoever speaks. It says nothing of valence and arousal."""

    def __init__(self, model: str) -> None:
        """`model` is a file of `undertone lab train --engine egemaps`; none is shipped.

        Raises ConfigError when it cannot be used, or when openSMILE is not installed.
        """
        self.svm = load(Path(model))
        self.about = self.svm.about
        self._functionals = extractor()
        log.warning(f"{LICENCE}.", engine="egemaps")

    def predict(self, batch: Sequence[tuple[Samples, None]]) -> list[tuple[Emotion, None]]:
        """For each (window of mono 16 kHz samples, None): (Emotion, None)."""
        if not batch:
            return []
        heard = np.array([self._functionals(window) for window, _ in batch], np.float64)
        return [
            (Emotion(None, float(row.max()), scores=dict(zip(CLASSES, map(float, row), strict=True))), None)
            for row in self.svm.probabilities(heard)
        ]


def extractor() -> Extractor:
    """From mono 16 kHz samples to functionals, shape (FEATURES,); ConfigError when openSMILE is not installed."""
    try:
        import opensmile
    except ModuleNotFoundError as error:
        raise ConfigError(f"egemaps needs {error.name}: pip install 'undertone[egemaps]'. {LICENCE}.") from None
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )

    def functionals(window: Samples) -> NDArray[np.float32]:
        said: NDArray[np.float32] = smile(levelled(window), RATE).reshape(FEATURES)
        return said

    return functionals


def levelled(window: Samples) -> Samples:
    """A window at LEVEL and at least SHORTEST long; silence stays what it is."""
    if len(window) < SHORTEST:
        window = np.pad(window, (0, SHORTEST - len(window)))
    strength = float(np.sqrt(np.mean(np.square(window, dtype=np.float64))))
    return window * np.float32(LEVEL / max(strength, 1e-5))


def load(path: Path) -> Svm:
    """The model in a file that `save` wrote; nothing is unpickled.

    Raises ConfigError, naming the file, when it cannot be read or is no such model.
    """
    content = read_file(path, LARGEST)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > LARGEST:
                raise ValueError("it unpacks to more than a model")
            about = json.loads(str(file["about"]))
            arrays = {name: np.asarray(file[name], np.float64) for name in PARTS}
            svm = Svm(**arrays, about=about)
            fits = _fits(svm)
    except Exception as error:  # zip, numpy and JSON have exceptions of their own for each kind of damage
        raise ConfigError(
            f"{path} is no model of 'undertone lab train --engine egemaps', or is damaged ({type(error).__name__})."
        ) from None
    if not fits:
        raise ConfigError(f"{path} was made for another version of Undertone, or is damaged: train it again.")
    return svm


def save(svm: Svm, path: Path) -> None:
    """Write a model as arrays and one string of JSON; replaces the file at once, so that it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    arrays = {name: getattr(svm, name) for name in PARTS} | {"about": np.array(json.dumps(dict(svm.about)))}
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(path)


def _fits(svm: Svm) -> bool:
    count = len(svm.vectors)
    shapes = ((FEATURES,), (FEATURES,), (count, FEATURES), (count, len(CLASSES)), (len(CLASSES),))
    arrays = [getattr(svm, name) for name in PARTS]
    return (
        tuple(svm.about["classes"]) == CLASSES
        and svm.about["level"] == LEVEL
        and tuple(array.shape for array in arrays) == shapes
        and all(bool(np.isfinite(array).all()) for array in arrays)
        and bool((svm.scale > 0).all())
        and svm.about["gamma"] > 0
        and svm.about["temperature"] > 0
    )
