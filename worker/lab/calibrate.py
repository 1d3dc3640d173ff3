"""How far a model's own certainty is to be believed, measured on the development speakers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.emotion import CLASSES
from worker.errors import ConfigError
from worker.lab import metrics
from worker.lab.corpora import NOT_SPEECH, OTHER, UNLABELLED, Clip

Outputs = NDArray[np.float32]
Ask = Callable[[Sequence[int], float, int], Outputs]
"""Indices of clips, the seconds of their speech and a view, to the model's outputs."""

LENGTHS_S = (1.0, 1.5, 2.0, 3.0)
HEARD, PASSED = 0.97, 0.05
"""The threshold for speech is as strict as it must be to let this share of other sounds pass, as long as that leaves so
much of the speech: what is stricter than needed takes voices unlike those it knows for noise."""


def calibrate(clips: Sequence[Clip], dev: Sequence[int], ask: Ask, views: int) -> dict[str, Any]:
    """Temperatures and speech thresholds by window length, with the figures they give, fit for JSON.

    Temperatures are those of all views together, since noisy lines are what a model is too sure of; the figures are
    those of the clips as they are.
    Raises ConfigError when no development speaker has emotions.
    """
    named = [i for i in dev if clips[i].emotion in CLASSES]
    if not named:
        raise ConfigError("no development speaker has emotions to calibrate by: prepare more labelled speakers.")
    truth = np.array([CLASSES.index(clips[i].emotion) for i in named])
    temperatures, figures = {}, {}
    for seconds in LENGTHS_S:
        every = np.concatenate([ask(named, seconds, view) for view in range(views)]).astype(np.float64)
        warmth = metrics.temperature(np.tile(truth, views), every[:, : len(CLASSES)])
        logits = every[: len(named), : len(CLASSES)]
        sure = metrics.softmax(logits, warmth)
        temperatures[str(seconds)] = round(warmth, 3)
        figures[str(seconds)] = {
            "uar": metrics.uar(truth, sure.argmax(axis=1)),
            "ece": metrics.ece(truth, sure),
            "ece before": metrics.ece(truth, metrics.softmax(logits)),
            "brier": metrics.brier(truth, sure),
        }
    return {"temperature": temperatures, "speech": _speech(clips, dev, ask), "development": figures}


def _speech(clips: Sequence[Clip], dev: Sequence[int], ask: Ask) -> dict[str, Any]:
    """By window length: the threshold, and what it lets through of what is not speech."""
    speech = [i for i in dev if clips[i].emotion in (*CLASSES, *OTHER, UNLABELLED)]
    other = [i for i in dev if clips[i].emotion == NOT_SPEECH]
    found: dict[str, Any] = {"threshold": {}, "heard": {}, "mistaken": {}, "auroc": {}}
    for seconds in LENGTHS_S:
        heard, length = _probability(ask(speech, seconds, 0)[:, -1]), str(seconds)
        threshold = float(np.quantile(heard, 1 - HEARD))
        found["threshold"][length] = threshold
        if other:
            noise = _probability(ask(other, seconds, 0)[:, -1])
            found["threshold"][length] = min(threshold, float(np.quantile(noise, 1 - PASSED)))
            found["heard"][length] = float(np.mean(heard >= found["threshold"][length]))
            found["mistaken"][length] = float(np.mean(noise >= found["threshold"][length]))
            found["auroc"][length] = metrics.auroc(heard, noise)
    return found


def _probability(logit: Outputs) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logit.astype(np.float64)))
