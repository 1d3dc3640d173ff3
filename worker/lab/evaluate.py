"""All figures of one engine on labelled clips."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.emotion import CLASSES
from worker.emotion.labels import LABELS
from worker.lab import metrics, streams
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.judge import Judge, Verdicts
from worker.lab.sound import decode, seeded
from worker.lab.streams import SURE
from worker.lab.stress import Change, conditions, noise_of
from worker.vad.silero import Silero

FOUR = ("neutral", "happy", "sad", "angry")
"""The classes that nearly every corpus has."""
LENGTHS_S = (0.5, 1.0, 1.5, 2.0, 3.0)
WHOLE_S = 5.0
"""Of a clip, at most this much counts as the whole."""
QUIET = 10 ** (-30 / 20)


def evaluate(
    judge: Judge,
    clips: Sequence[Clip],
    stressed: bool = True,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Figures by corpus, fit for JSON. Clips of emotions outside CLASSES are left out; those that are not speech give
    the share of false verdicts, and the noise. `stressed` adds lossy lines, noise, gain and short windows, at ten times
    the cost.
    """
    corpora = sorted({clip.corpus for clip in clips})
    found: dict[str, Any] = {"engine": dict(judge.about), "corpora": {}, "not speech": {}}
    if stressed:
        noise, found["noise"] = noise_of(clips)
    done = 0
    for corpus in corpora:
        mine = [clip for clip in clips if clip.corpus == corpus]
        speech = [clip for clip in mine if clip.emotion in CLASSES]
        other = [clip for clip in mine if clip.emotion == NOT_SPEECH]
        sounds = [decode(clip.path) for clip in speech]
        if speech:
            said = judge([sound[: round(WHOLE_S * RATE)] for sound in sounds], [clip.speaker for clip in speech])
            found["corpora"][corpus] = figures(speech, said) | _cost(said)
            if stressed and not np.isnan(said.probabilities).any():
                found["corpora"][corpus] |= _stressed(judge, speech, sounds, conditions(noise))
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
        "labels shown": _labels(truth, said),
        "largest share of one class": float(np.bincount(choice).max() / len(choice)),
    }
    return found | _four(truth, said, speakers) | _slices(clips, truth, choice) | _perceived(clips, choice)


def shared(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[NDArray[np.float64], list[str]]:
    """Probabilities over the classes that the truth has, the others 0; and the names of these classes."""
    kept = np.isin(np.arange(len(CLASSES)), truth)
    rest = np.where(kept, probabilities, 0.0)
    return rest / np.maximum(rest.sum(axis=1, keepdims=True), 1e-12), [CLASSES[i] for i in np.flatnonzero(kept)]


def by_label(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each label in the order of LABELS: the sum of its classes', shape (n, labels)."""
    columns = [[CLASSES.index(name) for name in names] for names in LABELS.values()]
    return np.stack([probabilities[:, each].sum(axis=1) for each in columns], axis=1)


def label_probability(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the likeliest label of each row, which decides whether anything is shown."""
    likely: NDArray[np.float64] = by_label(probabilities).max(axis=1)
    return likely


def onset(sound: Samples) -> int:
    """The first sample of speech: of the first 20 ms within 30 dB of the loudest."""
    frames = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    return 320 * int(np.argmax(level > level.max() * QUIET)) if len(frames) else 0


def false_verdicts(judge: Judge, clips: Sequence[Clip]) -> dict[str, Any]:
    """Of sound that is nobody's speech: after how many of the windows about which the worker asks it shows an emotion.

    `asked` are those that its own voice activity detection lets through, which stops most such sound; what is shown is
    what its smoothing makes of them. `windows` is all there would be without either; the shares of these say what the
    engine does alone.
    """
    vad, every, who = Silero(), [], []
    asked = shown = 0
    minutes = 0.0
    for clip in clips:
        sound = decode(clip.path)
        minutes += len(sound) / RATE / 60
        pieces, heard = streams.every_window(sound), streams.asked(sound, vad)
        every += [piece.samples for piece in pieces]
        who += [clip.speaker] * len(pieces)
        told = judge.stream([piece.samples for piece in heard], clip.speaker)
        asked += len(heard)
        shown += sum(label in LABELS for label in streams.shown(heard, told.emotions, clip.speaker))
    alone = judge(every, who)
    sure = label_probability(alone.probabilities) >= SURE
    return {
        "minutes": minutes,
        "windows": len(every),
        "asked": asked,
        "false verdicts": shown / asked if asked else float("nan"),
        "false verdicts a minute": shown / minutes,
        "heard as speech without voice activity": _share(alone.heard),
        "false verdicts without voice activity": _share(alone.heard & sure),
        "false verdicts without the speech score": _share(sure),
    }


def _share(which: NDArray[np.bool_]) -> float:
    return float(np.mean(which)) if len(which) else float("nan")


def _stressed(
    judge: Judge, clips: Sequence[Clip], sounds: Sequence[Samples], changes: Mapping[str, Change]
) -> dict[str, Any]:
    truth, who = np.array([CLASSES.index(clip.emotion) for clip in clips]), [clip.speaker for clip in clips]

    def uar(windows: list[Samples]) -> float:
        return metrics.uar(truth, shared(judge(windows, who).probabilities, truth)[0].argmax(axis=1))

    worse = {}
    for name, change in changes.items():
        pairs = zip(clips, sounds, strict=True)
        worse[name] = uar([change(x[: round(WHOLE_S * RATE)], seeded(clip.key, name)) for clip, x in pairs])
    starts = [onset(sound) for sound in sounds]
    shorter = {
        f"{length} s": uar([x[at : at + round(length * RATE)] for at, x in zip(starts, sounds, strict=True)])
        for length in LENGTHS_S
    }
    return {"conditions": worse, "windows": shorter}


def _alarm(truth: NDArray[np.int64], choice: NDArray[np.int64], sure: NDArray[np.bool_]) -> dict[str, float]:
    """Precision and miss rate of "angry" among what would be shown; by chance that precision is its share of all."""
    angry = CLASSES.index("angry")
    shown, meant = (choice == angry) & sure, truth == angry
    return {
        "precision": float(np.mean(truth[shown] == angry)) if shown.any() else float("nan"),
        "by chance": float(np.mean(meant)),
        "missed": float(np.mean(~shown[meant])) if meant.any() else float("nan"),
        "missed among shown": float(np.mean(choice[meant & sure] != angry)) if (meant & sure).any() else float("nan"),
    }


def _labels(truth: NDArray[np.int64], said: Verdicts) -> dict[str, dict[str, float]]:
    """For each label: how often it is shown, and is right then; and is by chance, which is its share of the clips."""
    likely = by_label(said.probabilities)
    choice = np.where((likely.max(axis=1) >= SURE) & said.heard, likely.argmax(axis=1), -1)
    names = list(LABELS)
    right = np.array([names.index(streams.LABEL_OF[CLASSES[n]]) for n in truth])
    return {
        name: {
            "shown": int(np.sum(choice == n)),
            "precision": _share(right[choice == n] == n),
            "by chance": float(np.mean(right == n)),
        }
        for n, name in enumerate(names)
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
