"""What any engine of the worker says of windows of sound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker import config
from worker.audio import Samples
from worker.emotion import CLASSES, ENGINES, Emotion, EmotionModel
from worker.errors import ConfigError
from worker.lab.corpora import Clip
from worker.lab.splits import FOLDS
from worker.registry import build

Values = NDArray[np.float64]
FOLD = "{fold}"
"""Stands for the fold's number in the name of a model file of which there is one for each."""


UNSAID = "The model does not say which split it was trained by: whether it knows these speakers was not checked."


@dataclass(frozen=True, slots=True)
class Held:
    """Who is held out from whom, by a split file."""

    fold_of: Mapping[str, int]
    """Speaker to the fold in which they are; see `splits.held_out`."""
    fold: int
    """The one that a single model was trained for."""
    digest: str
    """Of the file."""

    def left(self, clips: Sequence[Clip], every_fold: bool) -> list[Clip]:
        """The clips by which one model may be judged, or five, each of one fold, which is a slice then. Speakers who
        are not in the file were learned from by none."""
        folds = range(FOLDS) if every_fold else (self.fold,)
        left = [clip for clip in clips if self.fold_of.get(clip.speaker, self.fold) in folds]
        return [self._sliced(clip) for clip in left] if every_fold else left

    def _sliced(self, clip: Clip) -> Clip:
        fold = self.fold_of.get(clip.speaker)
        return clip if fold is None else replace(clip, slices={**clip.slices, "fold": str(fold)})

    def note(self, about: Mapping[str, Any], engine: str, fold: int) -> dict[str, str]:
        """What to say of a model that does not tell; ConfigError when it tells that it knows these speakers."""
        if "splits" not in about:
            return {"note": UNSAID}
        if about["splits"] != self.digest:
            raise ConfigError(
                f"--splits is not the file by which {engine} was trained: name the splits.csv of its run."
            )
        if about["fold"] != fold:
            raise ConfigError(
                f"{engine} learned from speakers of fold {fold}: it is judged with --fold {about['fold']}."
            )
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Of n windows."""

    emotions: Sequence[Emotion]
    window_ms: Values
    """Milliseconds each window took, shape (n,)."""

    @property
    def probabilities(self) -> Values:
        """Shape (n, 6) over CLASSES; NaN where an engine names no classes."""
        table = [[one.scores.get(name, np.nan) for name in CLASSES] for one in self.emotions]
        return np.array(table, np.float64).reshape(-1, len(CLASSES))

    @property
    def heard(self) -> NDArray[np.bool_]:
        """Shape (n,): whether it would name a class at all."""
        return np.array([one.speech and one.confidence > 0 for one in self.emotions], bool)


class Judge(Protocol):
    about: Mapping[str, Any]

    def __call__(self, windows: Sequence[Samples], speakers: Sequence[str]) -> Verdicts:
        """Each window for itself, as a newcomer's first; `speakers` names who is heard in each."""
        ...

    def stream(self, windows: Sequence[Samples], speaker: str) -> Verdicts:
        """Windows of one speaker, one after the other."""
        ...

    def counts(self) -> Mapping[str, float]:
        """Windows by how they were answered, of engines that count them."""
        ...


class Engine:
    """One of the worker's engines."""

    def __init__(self, model: EmotionModel, about: Mapping[str, Any]) -> None:
        self._model, self.about = model, about

    def __call__(self, windows: Sequence[Samples], speakers: Sequence[str]) -> Verdicts:
        return self._ask(windows, False)

    def stream(self, windows: Sequence[Samples], speaker: str) -> Verdicts:
        return self._ask(windows, True)

    def counts(self) -> Mapping[str, float]:
        counts = getattr(self._model, "counts", dict)
        return dict(counts())

    def _ask(self, windows: Sequence[Samples], connected: bool) -> Verdicts:
        said, took, state = [], [], None
        for window in windows:
            began = perf_counter()
            [(emotion, after)] = self._model.predict([(window, state)])
            took.append(1000 * (perf_counter() - began))
            said.append(emotion)
            state = after if connected else None
        return Verdicts(said, np.array(took))


class Folds:
    """Five models, of which each is asked about the speakers that it did not learn from."""

    def __init__(self, engines: Sequence[Engine], fold_of: Mapping[str, int]) -> None:
        """`fold_of` says in which fold a speaker is held out; others are put before the first model."""
        self._engines, self._fold_of = engines, fold_of
        self.about: Mapping[str, Any] = {**engines[0].about, "folds": len(engines)}

    def __call__(self, windows: Sequence[Samples], speakers: Sequence[str]) -> Verdicts:
        said = [self._of(s)([window], [s]) for window, s in zip(windows, speakers, strict=True)]
        return Verdicts([one.emotions[0] for one in said], np.array([float(one.window_ms[0]) for one in said]))

    def stream(self, windows: Sequence[Samples], speaker: str) -> Verdicts:
        return self._of(speaker).stream(windows, speaker)

    def counts(self) -> Mapping[str, float]:
        return {}

    def _of(self, speaker: str) -> Engine:
        return self._engines[max(0, self._fold_of.get(speaker, 0))]


def judge(engine: str, held: Held | None = None) -> Judge:
    """A model file that ends in .onnx or .npz, the engine of a configuration (.yaml), or an engine by its name.

    A file with FOLD in its name stands for five, each asked about those whom `held` keeps from it.
    Raises ConfigError when it cannot be made, and when it says of itself that it is not held out from them.
    """
    if FOLD not in engine:
        return _engine(engine, held, held.fold if held else 0)
    if held is None:
        raise ConfigError(f"--engine {engine} is one model for each fold: say with --splits who is held out where.")
    return Folds([_engine(engine.replace(FOLD, str(fold)), held, fold) for fold in range(FOLDS)], held.fold_of)


def _engine(engine: str, held: Held | None, fold: int) -> Engine:
    kinds = {".onnx": "onnx", ".npz": "egemaps"}
    suffix = Path(engine).suffix
    section: dict[str, Any] = {"kind": engine}
    if suffix in kinds:
        section = {"kind": kinds[suffix], "model": engine}
    elif suffix in (".yaml", ".yml"):
        section = dict(config.read(Path(engine)).emotion or {})
        if not section:
            raise ConfigError(f"{engine} has no emotion engine to judge: name one in its section 'emotion'.")
    model = build(ENGINES, section, "--engine")
    about = {"engine": section["kind"], **getattr(model, "about", {})}
    return Engine(model, about | (held.note(about, engine, fold) if held else {}))
