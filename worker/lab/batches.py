"""What a network is shown in an epoch: crops of equal length, augmented, mixed, in an order that a seed decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.emotion import CLASSES
from worker.emotion.features import BANDS, Table, normalise
from worker.lab.augment import floored, masked, other_line, other_voice
from worker.lab.corpora import NOT_SPEECH, OTHER, UNLABELLED, Clip
from worker.lab.store import Store
from worker.lab.targets import Array, Targets

SHORTEST, LONGEST = 98, 320
"""Frames of a crop: windows of 1 to 3.2 s are what the worker hears."""
STEP = 20
"""Crops differ by this many frames: kernels are made for each length anew, and few lengths are as good as many."""
SHORT = 0.35
"""Share of the batches whose windows are short, as a first one is: they are the hardest, and need most practice."""
MIXUP = 0.3
"""Alpha of the Beta distribution (Zhang et al. 2018); a third of the batches is mixed."""
REPEATS = 3
"""What two corpora have in common is what a third will have: the smaller one is shown more often than it would be."""
GRAIN = 25
"""Clips are judged in batches of equal length, cut to a multiple of a quarter of a second."""
MOST = 500
"""Frames of a clip that are judged as a whole."""
QUIET = 7.0
"""Speech begins with the first frame whose loudest band is within this (30 dB) of the clip's loudest."""

Shown = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    shown: Shown
    """Shape (n, frames, CHANNELS)."""
    targets: Targets


def epoch_clips(clips: Sequence[Clip], chosen: Sequence[int], random: np.random.Generator) -> NDArray[np.int64]:
    """Every clip with a class once, those of a smaller corpus up to REPEATS times; and beside them a sixth as many of
    speech without a class and of what is not speech, lest whatever is new be taken for the latter."""
    corpora: dict[str, list[int]] = {}
    for i in chosen:
        if clips[i].emotion in CLASSES:
            corpora.setdefault(clips[i].corpus, []).append(i)
    most = max(map(len, corpora.values()), default=0)
    named = [i for mine in corpora.values() for i in mine * min(REPEATS, round(most / len(mine)))]
    speech = [i for i in chosen if clips[i].emotion in (*OTHER, UNLABELLED)]
    sounds = [i for i in chosen if clips[i].emotion == NOT_SPEECH]
    extra = [random.permutation(np.array(each * REPEATS, np.int64))[: len(named) // 6] for each in (speech, sounds)]
    return random.permutation(np.concatenate((named, *extra)).astype(np.int64))


def epoch(
    store: Store, goals: Targets, chosen: Sequence[int], size: int, random: np.random.Generator, strength: float = 1.0
) -> Iterator[Batch]:
    """Batches of `size`; one batch's clips are about as long as each other, so that its crop need not repeat them.

    `strength`, from 0 to 1, scales the chance of each change that makes the task harder.
    """
    order = epoch_clips(store.clips, chosen, random)
    lengths = np.array([store.frames(i) for i in order]) * random.uniform(0.9, 1.1, size=len(order))
    order = order[np.argsort(lengths)]
    groups = [order[at : at + size] for at in range(0, len(order) - size // 2, size)]
    for place in random.permutation(len(groups)):
        yield _batch(store, goals, groups[place], random, strength)


def _batch(
    store: Store, goals: Targets, group: NDArray[np.int64], random: np.random.Generator, strength: float
) -> Batch:
    most = int(np.clip(np.percentile([store.frames(i) for i in group], 20), SHORTEST, LONGEST))
    longest = most if random.random() > SHORT else min(most, SHORTEST + 2 * STEP)
    frames = longest if random.random() < 0.4 else int(random.integers(SHORTEST, longest + 1))
    frames = SHORTEST + (frames - SHORTEST) // STEP * STEP
    views = random.integers(store.views, size=len(group))
    tables = [store.table(int(i), int(view)) for i, view in zip(group, views, strict=True)]
    shown = np.stack([_heard(table, frames, random, strength) for table in tables])
    mine = take(goals, group)
    return _mixed(shown, mine, random) if random.random() < 0.35 * strength else Batch(shown, mine)


def _heard(table: Table, frames: int, random: np.random.Generator, strength: float) -> Table:
    chance = random.random(3) / max(strength, 1e-9)
    table = other_voice(table, frames, random)
    shown = normalise(other_line(table, random) if chance[0] < 0.7 else table)
    shown = floored(shown, random) if chance[1] < 0.35 else shown
    return masked(shown, random) if chance[2] < 1 else shown


def take(goals: Targets, group: NDArray[np.int64] | Sequence[int]) -> Targets:
    """The targets of some clips."""
    return Targets(*(getattr(goals, name)[group] for name in Targets.__slots__))


def _mixed(shown: Shown, goals: Targets, random: np.random.Generator) -> Batch:
    """Each window with another of the batch; both share a weight, so the mixture's targets are theirs in proportion."""
    share = random.beta(MIXUP, MIXUP, size=len(shown)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = random.permutation(len(shown))

    def mix(values: Array) -> Shown:
        part = share.reshape(-1, *(1,) * (values.ndim - 1))
        return np.asarray(part * values + (1 - part) * values[other], np.float32)

    weight = mix(goals.class_weight)
    classes = mix(goals.classes * goals.class_weight[:, np.newaxis]) / np.maximum(weight, 1e-6)[:, np.newaxis]
    worth = mix(goals.affect_weight)
    affect = mix(goals.affect * goals.affect_weight[:, np.newaxis]) / np.maximum(worth, 1e-6)[:, np.newaxis]
    return Batch(mix(shown), Targets(classes, weight, affect, worth, mix(goals.speech), goals.intended))


def whole(
    store: Store, chosen: Sequence[int], view: int = 0, seconds: float | None = None
) -> Iterator[tuple[list[int], Shown]]:
    """All of `chosen`, not augmented, in batches of equal length: whole, or the first `seconds` of their speech."""
    tables = {i: _opening(store.table(i, view), seconds) for i in chosen}
    groups: dict[int, list[int]] = {}
    for i, table in tables.items():
        groups.setdefault(max(GRAIN, len(table) // GRAIN * GRAIN), []).append(i)
    for frames, members in sorted(groups.items()):
        for at in range(0, len(members), 64):
            some = members[at : at + 64]
            yield some, np.stack([normalise(tables[i][np.arange(frames) % len(tables[i])]) for i in some])


def _opening(table: Table, seconds: float | None) -> Table:
    if seconds is None:
        return table[:MOST]
    level = table[:, :BANDS].max(axis=1)
    frames = round(seconds * 100)
    start = min(int(np.argmax(level > level.max() - QUIET)), max(0, len(table) - frames))
    return table[start : start + frames]


def by_side(
    clips: Sequence[Clip],
    sides: Mapping[str, str],
    side: str,
    without: Sequence[str] = (),
    without_sentences: Sequence[str] = (),
) -> list[int]:
    """Indices of the clips whose speaker stands on a side, but for those of some corpora or sentences."""
    left_out = set(without_sentences)
    return [
        i
        for i, clip in enumerate(clips)
        if sides[clip.speaker] == side and clip.corpus not in without and clip.text not in left_out
    ]
