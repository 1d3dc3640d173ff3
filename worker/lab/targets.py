"""What a clip teaches: soft classes where listeners voted, a place on the circumplex, and whether it is speech."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.emotion import CLASSES
from worker.lab.corpora import NOT_SPEECH, UNLABELLED, Clip

Array = NDArray[np.floating[Any]]

CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "neutral": (0.0, -0.1),
    "happy": (0.8, 0.5),
    "sad": (-0.6, -0.5),
    "angry": (-0.6, 0.8),
    "fearful": (-0.6, 0.6),
    "disgusted": (-0.6, 0.2),
    "calm": (0.3, -0.5),
    "surprised": (0.2, 0.7),
    "bored": (-0.3, -0.6),
}
"""Valence and arousal of emotion words, rounded from Russell (1980). Nobody rated these clips: what a model learns
here is derived from classes and votes, and is to be called so."""

LEAST_AGREEMENT = 0.2
"""Krippendorff's alpha below which votes are left out. Listeners to voices alone reach 0.28 on CREMA-D, which is little
but not chance: emotions in a voice are that uncertain."""
USUAL, USUAL_WEIGHT = 0.7, 0.5
"""Share of neutral in speech that nobody labelled, and its weight: people who read aloud or meet are mostly that.
Without it, what is recorded unlike the labelled corpora is taken for the emotion it happens to resemble."""
SMOOTHING = 0.1
"""Share spread over all classes where nobody voted."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Of n clips."""

    classes: Array
    """Shape (n, 6): a distribution over CLASSES; even where the clip says nothing of them."""
    class_weight: Array
    """Shape (n,): how much that distribution counts; small for what is not speech, 0 where the class is unknown."""
    affect: Array
    """Shape (n, 2): valence and arousal in -1 to 1."""
    affect_weight: Array
    speech: Array
    """Shape (n,): 1 for speech, 0 for what is not."""
    intended: NDArray[np.int64]
    """Shape (n,): the index of the label in CLASSES, -1 where it has none of them."""


def targets(clips: Sequence[Clip], votes: float = 0.3, not_speech: float = 0.5) -> Targets:
    """What each clip teaches; a corpus whose listeners do not agree (LEAST_AGREEMENT) counts as if nobody had voted.

    `votes` is the share of listeners in the soft label, the rest is what the speaker intended; `not_speech` is the
    weight with which sounds that are not speech are pulled to an even distribution (Hendrycks et al. 2019)."""
    count, even = len(clips), np.full(len(CLASSES), 1 / len(CLASSES))
    out = Targets(
        np.tile(even, (count, 1)).astype(np.float32),
        np.zeros(count, np.float32),
        np.zeros((count, 2), np.float32),
        np.zeros(count, np.float32),
        np.ones(count, np.float32),
        np.full(count, -1),
    )
    trusted = {corpus for corpus, alpha in agreements(clips).items() if alpha >= LEAST_AGREEMENT}
    for i, clip in enumerate(clips):
        if clip.emotion == NOT_SPEECH:
            out.speech[i], out.class_weight[i] = 0, not_speech
        elif clip.emotion == UNLABELLED:
            out.classes[i], out.class_weight[i] = even * (1 - USUAL), USUAL_WEIGHT
            out.classes[i, CLASSES.index("neutral")] += USUAL
        elif clip.emotion in CLASSES:
            out.intended[i] = CLASSES.index(clip.emotion)
            soft = soft_label(clip, votes if clip.corpus in trusted else None)
            out.classes[i], out.class_weight[i] = soft, 1
            out.affect[i], out.affect_weight[i] = soft @ np.array([CIRCUMPLEX[name] for name in CLASSES]), 1
        elif clip.emotion in CIRCUMPLEX:
            out.affect[i], out.affect_weight[i] = CIRCUMPLEX[clip.emotion], 1
    named = out.intended >= 0
    out.classes[named] = balanced(out.classes[named], out.intended[named])
    return out


def balanced(soft: Array, intended: NDArray[np.int64]) -> Array:
    """Soft labels in which each class weighs as much over all clips as it was intended: most votes for most voices say
    neutral, and a model that learns so answers it to whatever is unsure."""
    count, share = np.bincount(intended, minlength=soft.shape[1]), soft.sum(axis=0)
    even = soft * np.where(count > 0, count / np.maximum(share, 1e-9), 1)
    return np.asarray(even / even.sum(axis=1, keepdims=True), np.float32)


def soft_label(clip: Clip, votes: float | None) -> Array:
    """A distribution over CLASSES for a clip whose emotion is one of them; None for `votes` leaves listeners out."""
    intended = np.eye(len(CLASSES), dtype=np.float32)[CLASSES.index(clip.emotion)]
    if votes is not None and clip.votes and sum(clip.votes):
        heard = np.array(clip.votes, np.float32) / sum(clip.votes)
        return np.asarray((1 - votes) * intended + votes * heard, np.float32)
    return np.asarray((1 - SMOOTHING) * intended + SMOOTHING / len(CLASSES), np.float32)


def agreements(clips: Sequence[Clip]) -> dict[str, float]:
    """Krippendorff's alpha of each corpus that has votes."""
    votes: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    for clip in clips:
        if clip.votes:
            votes[clip.corpus].append(clip.votes)
    return {corpus: agreement(counts) for corpus, counts in votes.items()}


def agreement(votes: Sequence[Sequence[int]]) -> float:
    """Krippendorff's alpha for names (1970) of counts per clip and class: 1 is full agreement, 0 is chance."""
    counts = np.array([each for each in votes if sum(each) > 1], float)
    if not len(counts):
        return float("nan")
    raters = counts.sum(axis=1, keepdims=True)
    observed = ((raters * counts - counts**2) / (raters - 1)).sum()
    totals = counts.sum(axis=0)
    expected = (totals.sum() ** 2 - (totals**2).sum()) / (totals.sum() - 1)
    return float(1 - observed / expected) if expected else 1.0
