"""All figures of one engine on labelled clips."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import CLASSES
from worker.emotion.labels import LABELS
from worker.lab import augment, metrics, streams
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.judge import Judge, Verdicts
from worker.lab.opus import losses, round_trip
from worker.lab.sound import at_snr, decode, seeded
from worker.vad.silero import Silero

FOUR = ("neutral", "happy", "sad", "angry")
"""The classes that nearly every corpus has."""
SURE = 0.55
"""Probability from which on a label is shown."""
LENGTHS_S = (0.5, 1.0, 1.5, 2.0, 3.0)
WHOLE_S = 5.0
"""Of a clip, at most this much counts as the whole."""
HOP_S = 0.5
QUIET = 10 ** (-30 / 20)
LEAST_S = 0.5
"""Voice in a window without which the worker does not ask an engine."""

Change = Callable[[Samples, np.random.Generator], Samples]
CONDITIONS: Mapping[str, Change] = {
    "opus 24 kb/s, 5 % lost": lambda x, r: round_trip(x, 24_000, losses(0.05, len(x) // 320 + 2, r)),
    "opus 16 kb/s, 10 % lost": lambda x, r: round_trip(x, 16_000, losses(0.1, len(x) // 320 + 2, r)),
    "opus 16 kb/s, 20 % lost": lambda x, r: round_trip(x, 16_000, losses(0.2, len(x) // 320 + 2, r)),
    "telephone band": lambda x, r: augment.band_limited(x, 300, 3_400),
    "noise at 20 dB": lambda x, r: at_snr(x, augment.coloured(len(x), r), 20),
    "noise at 10 dB": lambda x, r: at_snr(x, augment.coloured(len(x), r), 10),
    "gain +12 dB": lambda x, r: augment.gained(x, 12),
    "gain -12 dB": lambda x, r: augment.gained(x, -12),
}


def evaluate(
    judge: Judge,
    clips: Sequence[Clip],
    conditions: bool = True,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Figures by corpus, fit for JSON. Clips of emotions outside CLASSES are left out; those that are not speech give
    the share of false verdicts. `conditions` adds lossy lines, noise, gain and short windows, at ten times the cost.
    """
    corpora = sorted({clip.corpus for clip in clips})
    found: dict[str, Any] = {"engine": dict(judge.about), "corpora": {}, "not speech": {}}
    done = 0
    for corpus in corpora:
        mine = [clip for clip in clips if clip.corpus == corpus]
        speech = [clip for clip in mine if clip.emotion in CLASSES]
        other = [clip for clip in mine if clip.emotion == NOT_SPEECH]
        sounds = [decode(clip.path) for clip in speech]
        if speech:
            said = judge([sound[: round(WHOLE_S * RATE)] for sound in sounds], [clip.speaker for clip in speech])
            found["corpora"][corpus] = figures(speech, said) | _cost(said)
            if conditions and not np.isnan(said.probabilities).any():
                found["corpora"][corpus] |= _stressed(judge, speech, sounds)
                found["corpora"][corpus] |= {"live": streams.live(judge, speech, sounds)}
        if other:
            found["not speech"][corpus] = false_verdicts(judge, other)
        done += len(mine)
        step(done, len(clips))
    plain: dict[str, Any] = _plain(found)
    return plain


def figures(clips: Sequence[Clip], said: Verdicts) -> dict[str, Any]:
    """Of one set of clips, each with one verdict."""
    if np.isnan(said.probabilities).all():
        return {"clips": len(clips), "classes": 0}
    truth = np.array([CLASSES.index(clip.emotion) for clip in clips])
    speakers = [clip.speaker for clip in clips]
    probabilities, present = shared(said.probabilities, truth)
    choice = probabilities.argmax(axis=1)
    sure = (probabilities.max(axis=1) >= SURE) & said.heard
    shown = (label_probability(said.probabilities) >= SURE) & said.heard
    coverage, right = metrics.risk_coverage(truth, probabilities)
    points = [round(share * len(truth)) - 1 for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    low, high = metrics.interval(truth, choice, speakers)
    found: dict[str, Any] = {
        "clips": len(clips),
        "speakers": len(set(speakers)),
        "classes": present,
        "uar": metrics.uar(truth, choice),
        "uar interval": [low, high],
        "accuracy": float(np.mean(choice == truth)),
        "recall": _named(metrics.recalls(truth, choice, len(CLASSES))),
        "precision": _named(metrics.precisions(truth, choice, len(CLASSES))),
        "confusion": metrics.confusion(truth, choice, len(CLASSES)).tolist(),
        "ece": metrics.ece(truth, probabilities),
        "brier": metrics.brier(truth, probabilities),
        "log loss": metrics.log_loss(truth, probabilities),
        "reliability": [list(map(float, point)) for point in metrics.reliability(truth, probabilities)],
        "accuracy at 50 %": metrics.accuracy_at(truth, probabilities),
        "risk-coverage": [[float(coverage[p]), float(right[p])] for p in points if p >= 0],
        "shown": float(np.mean(shown)),
        "heard as speech": float(np.mean(said.heard)),
        "angry shown": _alarm(truth, choice, sure),
        "largest share of one class": float(np.bincount(choice).max() / len(choice)),
    }
    return found | _four(truth, said, speakers) | _slices(clips, truth, choice) | _perceived(clips, choice)


def shared(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[NDArray[np.float64], list[str]]:
    """Probabilities over the classes that the truth has, the others 0; and the names of these classes."""
    kept = np.isin(np.arange(len(CLASSES)), truth)
    rest = np.where(kept, probabilities, 0.0)
    return rest / np.maximum(rest.sum(axis=1, keepdims=True), 1e-12), [CLASSES[i] for i in np.flatnonzero(kept)]


def label_probability(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the likeliest label of each row: the sum of its classes', which decides whether anything is shown."""
    columns = [[CLASSES.index(name) for name in names] for names in LABELS.values()]
    likely: NDArray[np.float64] = np.stack([probabilities[:, each].sum(axis=1) for each in columns]).max(axis=0)
    return likely


def onset(sound: Samples) -> int:
    """The first sample of speech: of the first 20 ms within 30 dB of the loudest."""
    frames = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    return 320 * int(np.argmax(level > level.max() * QUIET)) if len(frames) else 0


def false_verdicts(judge: Judge, clips: Sequence[Clip]) -> dict[str, Any]:
    """Of windows of sound that is nobody's speech, 3 s or the whole clip: how many would show an emotion, by the engine
    alone and behind the worker's voice activity detection, which lets most such sounds not come this far."""
    windows, voiced, who = [], [], []
    vad = Silero()
    for clip in clips:
        sound = decode(clip.path)
        speech = streams.voiced(sound, vad)
        size = min(len(sound), 3 * RATE)
        for at in range(0, len(sound) - size + 1, round(HOP_S * RATE)):
            windows.append(sound[at : at + size])
            voiced.append(speech[at : at + size].sum() >= LEAST_S * RATE)
            who.append(clip.speaker)
    said = judge(windows, who)
    sure = label_probability(said.probabilities) >= SURE
    return {
        "windows": len(windows),
        "heard as speech": float(np.mean(said.heard)),
        "false verdicts": float(np.mean(said.heard & sure)),
        "false verdicts without the speech score": float(np.mean(sure)),
        "passed voice activity": float(np.mean(voiced)),
        "false verdicts behind voice activity": float(np.mean(said.heard & sure & np.array(voiced))),
    }


def _stressed(judge: Judge, clips: Sequence[Clip], sounds: Sequence[Samples]) -> dict[str, Any]:
    truth, who = np.array([CLASSES.index(clip.emotion) for clip in clips]), [clip.speaker for clip in clips]

    def uar(windows: list[Samples]) -> float:
        return metrics.uar(truth, shared(judge(windows, who).probabilities, truth)[0].argmax(axis=1))

    worse = {}
    for name, change in CONDITIONS.items():
        pairs = zip(clips, sounds, strict=True)
        worse[name] = uar([change(x[: round(WHOLE_S * RATE)], seeded(clip.key, name)) for clip, x in pairs])
    starts = [onset(sound) for sound in sounds]
    shorter = {
        f"{length} s": uar([x[at : at + round(length * RATE)] for at, x in zip(starts, sounds, strict=True)])
        for length in LENGTHS_S
    }
    return {"conditions": worse, "windows": shorter}


def _alarm(truth: NDArray[np.int64], choice: NDArray[np.int64], sure: NDArray[np.bool_]) -> dict[str, float]:
    """Precision and miss rate of "angry" among what would be shown."""
    angry = CLASSES.index("angry")
    shown, meant = (choice == angry) & sure, truth == angry
    return {
        "precision": float(np.mean(truth[shown] == angry)) if shown.any() else float("nan"),
        "missed": float(np.mean(~shown[meant])) if meant.any() else float("nan"),
        "missed among shown": float(np.mean(choice[meant & sure] != angry)) if (meant & sure).any() else float("nan"),
    }


def _four(truth: NDArray[np.int64], said: Verdicts, speakers: Sequence[str]) -> dict[str, Any]:
    index = [CLASSES.index(name) for name in FOUR]
    mine = np.isin(truth, index)
    if not mine.any():
        return {}
    probabilities, _ = shared(said.probabilities[mine], np.array(index))
    choice = probabilities.argmax(axis=1)
    low, high = metrics.interval(truth[mine], choice, [s for s, m in zip(speakers, mine, strict=True) if m])
    return {
        "uar of four": metrics.uar(truth[mine], choice),
        "uar of four interval": [low, high],
        "ece of four": metrics.ece(truth[mine], probabilities),
    }


def _slices(clips: Sequence[Clip], truth: NDArray[np.int64], choice: NDArray[np.int64]) -> dict[str, Any]:
    cuts: dict[str, list[str]] = {"gender": [c.gender for c in clips], "language": [c.language for c in clips]}
    for name in sorted({name for clip in clips for name in clip.slices}):
        cuts[name] = [clip.slices.get(name, "") for clip in clips]
    out: dict[str, dict[str, float]] = {}
    for name, values in cuts.items():
        counted = Counter(value for value in values if value)
        if 1 < len(counted) <= 20:
            every = np.array(values)
            out[name] = {v: metrics.uar(truth[every == v], choice[every == v]) for v in sorted(counted)}
    return {"slices": out}


def _perceived(clips: Sequence[Clip], choice: NDArray[np.int64]) -> dict[str, Any]:
    """Against what listeners heard: clips whose most frequent vote is unique."""
    pairs = []
    for clip, answer in zip(clips, choice, strict=True):
        if clip.votes and sorted(clip.votes)[-1] > sorted(clip.votes)[-2]:
            pairs.append((int(np.argmax(clip.votes)), int(answer)))
    if not pairs:
        return {}
    truth, said = np.array(pairs).T
    agrees = {"uar": metrics.uar(truth, said), "accuracy": float(np.mean(truth == said))}
    return {"perceived": {"clips": len(pairs)} | agrees}


def _cost(said: Verdicts) -> dict[str, Any]:
    return {"window ms": {"p50": float(np.median(said.window_ms)), "p99": float(np.percentile(said.window_ms, 99))}}


def _plain(value: Any) -> Any:
    """NaN as None, which is what JSON has for what is not known."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _named(values: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(CLASSES, values, strict=True)}
