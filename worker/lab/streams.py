"""An engine as it is heard live: windows of a speaker who goes on, made steady, and quiet where nothing is sure."""

import asyncio
import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from worker.audio import RATE, AudioChunk, Samples
from worker.audio.windows import Window, Windows
from worker.emotion import CLASSES
from worker.emotion.labels import LABELS
from worker.emotion.smoothing import Smoother
from worker.events import EmotionAbstained, EmotionEstimated
from worker.lab import metrics
from worker.lab.corpora import Clip
from worker.lab.judge import Judge
from worker.speaker import Models, Speaker
from worker.vad import WINDOW, Vad
from worker.vad.segmenter import Segmenter

LONGEST_S = 30.0
"""Of one speaker in one emotion."""
LEAST_CLIPS = 3
"""Fewer do not make a speaker who goes on."""
SURE = float(inspect.signature(Smoother).parameters["min_probability"].default)
"""Probability from which on the worker shows a label, by its own default."""
LABEL_OF = {name: label for label, names in LABELS.items() for name in names}


def live(judge: Judge, clips: Sequence[Clip], sounds: Sequence[Samples]) -> dict[str, Any]:
    """Every speaker says all clips of one emotion without a pause, which is an unchanging speaker if there is one.

    `changes a minute` counts every change of what is shown after a speaker's first verdict, to and from "mixed
    signals" included, `label changes a minute` only those from one label to another, and `unsmoothed changes a minute`
    the changes of the likeliest label from window to window.
    """
    before = judge.counts()
    heard_s = changed = relabelled = raw = 0.0
    windows = named_windows = right = 0
    truth, answer = [], []
    for (speaker, emotion), sound in _speakers(clips, sounds):
        pieces = every_window(sound)
        said = judge.stream([piece.samples for piece in pieces], speaker)
        labels = shown(pieces, said.emotions, speaker)
        best = [CLASSES[int(row.argmax())] for row in said.probabilities]
        raw += sum(LABEL_OF[a] != LABEL_OF[b] for a, b in pairwise(best))
        changed += sum(a != b for a, b in pairwise(labels))
        named = [label for label in labels if label in LABELS]
        relabelled += sum(a != b for a, b in pairwise(named))
        windows, named_windows = windows + len(pieces), named_windows + len(named)
        right += sum(label == LABEL_OF[emotion] for label in named)
        truth += [CLASSES.index(emotion)] * len(best)
        answer += [CLASSES.index(name) for name in best]
        heard_s += len(sound) / RATE
    if not windows:
        return {}
    minutes = heard_s / 60
    asked = {who: count - before[who] for who, count in judge.counts().items()}
    return {
        "minutes": minutes,
        "windows": windows,
        "changes a minute": changed / minutes,
        "label changes a minute": relabelled / minutes,
        "unsmoothed changes a minute": raw / minutes,
        "shown": named_windows / windows,
        "right when shown": right / max(1, named_windows),
        "uar of windows": metrics.uar(np.array(truth), np.array(answer)),
        **({"model calls": asked["model"] / sum(asked.values())} if asked else {}),
    }


def asked(sound: Samples, vad: Vad) -> list[Window]:
    """The windows about which the worker asks its engine: a speaker of its own, by its own defaults, hears `sound`."""

    async def probability(frame: tuple[Samples, Any]) -> tuple[float, Any]:
        [answer] = vad.predict([frame])
        return answer

    async def hear() -> list[Window]:
        speaker = Speaker("", Models(probability, None, ""), Segmenter(""), Windows(), Smoother())
        found = await speaker.hear(AudioChunk("", 0.0, sound))
        return [item for item in [*found, *speaker.stop(len(sound) / RATE)] if isinstance(item, Window)]

    return asyncio.run(hear())


def every_window(sound: Samples) -> list[Window]:
    """What the worker would ask its engine about, were every moment voiced."""
    windows = Windows()
    starts = range(0, len(sound) - WINDOW + 1, WINDOW)
    found = [windows.push(at / RATE, sound[at : at + WINDOW], True, True) for at in starts]
    return [window for window in [*found, windows.end(len(sound) / RATE)] if window is not None]


def _speakers(clips: Sequence[Clip], sounds: Sequence[Samples]) -> Iterator[tuple[tuple[str, str], Samples]]:
    groups: dict[tuple[str, str], list[Samples]] = {}
    for clip, sound in zip(clips, sounds, strict=True):
        groups.setdefault((clip.speaker, clip.emotion), []).append(_trimmed(sound))
    for key, parts in sorted(groups.items()):
        if len(parts) >= LEAST_CLIPS:
            yield key, np.concatenate(parts)[: round(LONGEST_S * RATE)]


def _trimmed(sound: Samples) -> Samples:
    """Without the silence before and after: all within 30 dB of the loudest 20 ms, at the same mean level."""
    frames = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-30 / 20)) if len(level) else np.zeros(0, int)
    return sound[loud[0] * 320 : (loud[-1] + 1) * 320] if len(loud) else sound


def shown(pieces: Sequence[Window], emotions: Sequence[Any], speaker: str) -> list[str]:
    """What is shown after each window: a label, or the reason why there is none."""
    smoother, labels = Smoother(), []
    for piece, emotion in zip(pieces, emotions, strict=True):
        event = smoother.push(piece.end, piece.start, piece.provisional, emotion, "judged", speaker)
        if isinstance(event, EmotionEstimated):
            labels.append(event.label or "")
        elif isinstance(event, EmotionAbstained):
            labels.append(event.reason)
        elif labels:
            labels.append(labels[-1])
    return labels
