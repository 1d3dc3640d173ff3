"""Trains the `egemaps` engine: functionals of every clip, and one support vector machine for each class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio import RATE
from worker.emotion import CLASSES
from worker.emotion.egemaps import FEATURES, LEVEL, Svm, Table, extractor
from worker.errors import ConfigError
from worker.lab import metrics
from worker.lab.batches import by_side
from worker.lab.corpora import Clip
from worker.lab.evaluate import WHOLE_S
from worker.lab.sound import decode
from worker.lab.store import Store

FILE = "model.npz"
COSTS = (1.0, 3.0, 10.0)
WIDTHS = (0.25, 0.5, 1.0)
"""Of the kernel: gamma is one of these by FEATURES, as functionals are scaled to a variance of 1."""

Step = Callable[[int, int], None]
Index = NDArray[np.int64]


def functionals(store: Store, step: Step = lambda done, total: None) -> Table:
    """Of every clip with one of CLASSES, as it is, cut to WHOLE_S: shape (clips, FEATURES), others are NaN.

    They are computed once and kept in `egemaps.npy` beside the other features. ConfigError without openSMILE, or when
    the file is of other clips.
    """
    path, shape = store.folder / "egemaps.npy", (len(store.clips), FEATURES)
    if path.exists():
        held: Table = np.load(path, allow_pickle=False)
        if held.shape != shape:
            raise ConfigError(f"{path} is of other clips: delete it.")
        return held.astype(np.float64)
    hear, table = extractor(), np.full(shape, np.nan, np.float32)
    for number, clip in enumerate(store.clips):
        if clip.emotion in CLASSES:
            table[number] = hear(decode(clip.path)[: round(WHOLE_S * RATE)])
        step(number + 1, len(table))
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, table, allow_pickle=False)
    part.replace(path)
    return table.astype(np.float64)


def train(
    clips: Sequence[Clip],
    table: Table,
    sides: Mapping[str, str],
    about: Mapping[str, Any],
    say: Callable[[dict[str, float]], None] = lambda figures: None,
    step: Step = lambda done, total: None,
) -> Svm:
    """The machine of the costs and kernels here that hears the development speakers best, calibrated on them.

    `table` is of `functionals`; `about` says `fold`, `splits` (their digest) and `without` (corpora to leave out).
    `say` is given the figures of each that was tried. ConfigError when there is nobody to learn from or to choose by.
    """
    without = about["without"]
    learnt, dev = named(clips, sides, "train", without), named(clips, sides, "dev", without)
    corpora = {clips[i].corpus: clips[i].licence for i in learnt}
    about = {"classes": CLASSES, "level": LEVEL, "corpora": corpora, "temperature": 1.0, **about}
    goals, truth = truths(clips, learnt), truths(clips, dev)
    mean, scale = scaler(table[learnt])
    seen, tried = (table[learnt] - mean) / scale, []
    for cost in COSTS:
        for width in WIDTHS:
            vectors, weights, offsets = machines(seen, goals, cost, width / FEATURES)
            choice = {"cost": cost, "gamma": width / FEATURES}
            svm = Svm(mean, scale, vectors, weights, offsets, about | choice)
            uar = metrics.uar(truth, svm.decide(table[dev]).argmax(axis=1))
            say(choice | {"development UAR": uar, "vectors": len(vectors)})
            tried.append((uar, svm))
            step(len(tried), len(COSTS) * len(WIDTHS))
    best = max(tried, key=lambda pair: pair[0])[1]
    return calibrate(best, clips, table, sides)


def calibrate(svm: Svm, clips: Sequence[Clip], table: Table, sides: Mapping[str, str]) -> Svm:
    """The same with the temperature that explains the development speakers best, and the figures it gives."""
    dev = named(clips, sides, "dev", svm.about["without"])
    truth, logits = truths(clips, dev), svm.decide(table[dev])
    warmth = metrics.temperature(truth, logits)
    sure = metrics.softmax(logits, warmth)
    figures = {
        "uar": metrics.uar(truth, sure.argmax(axis=1)),
        "ece": metrics.ece(truth, sure),
        "ece before": metrics.ece(truth, metrics.softmax(logits)),
        "brier": metrics.brier(truth, sure),
    }
    arrays = (svm.mean, svm.scale, svm.vectors, svm.weights, svm.offsets)
    return Svm(*arrays, {**svm.about, "temperature": round(warmth, 4), "development": figures})


def scaler(table: Table) -> tuple[Table, Table]:
    """Mean and standard deviation of each functional; 1 for one that never changes."""
    spread = table.std(axis=0)
    return table.mean(axis=0), np.where(spread > 0, spread, 1.0)


def machines(seen: Table, goals: Index, cost: float, gamma: float) -> tuple[Table, Table, Table]:
    """Vectors, weights and offsets as `Svm` has them, from scaled functionals and their classes."""
    svc = _svc()
    weights, offsets = np.zeros((len(seen), len(CLASSES))), np.full(len(CLASSES), ABSENT)
    for number in np.unique(goals):
        one = svc(C=cost, gamma=gamma, class_weight="balanced", cache_size=500).fit(seen, goals == number)
        weights[one.support_, number] = one.dual_coef_[0]
        offsets[number] = one.intercept_[0]
    used = np.flatnonzero(np.abs(weights).sum(axis=1))
    return seen[used], weights[used], offsets


ABSENT = -10.0
"""Offset of a class that nobody taught: as far from its border as no answer is."""


def named(clips: Sequence[Clip], sides: Mapping[str, str], side: str, without: Sequence[str] = ()) -> list[int]:
    """Indices of one side's clips that have one of CLASSES; ConfigError when they are fewer than two classes."""
    mine = by_side(clips, sides, side)
    found = [i for i in mine if clips[i].emotion in CLASSES and clips[i].corpus not in without]
    if len({clips[i].emotion for i in found}) < 2:
        raise ConfigError(f"the side {side!r} has fewer than two emotions: prepare more labelled speakers.")
    return found


def truths(clips: Sequence[Clip], chosen: Sequence[int]) -> Index:
    return np.array([CLASSES.index(clips[i].emotion) for i in chosen], np.int64)


def _svc() -> Any:
    try:
        from sklearn.svm import SVC
    except ModuleNotFoundError as error:
        raise ConfigError(f"training egemaps needs {error.name}: pip install 'undertone[egemaps]'.") from None
    return SVC
