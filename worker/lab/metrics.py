"""Figures about answers, and how sure they are; all in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 10
"""Speakers below which an interval is marked: of so few it is narrower than it claims, as samples of 5 to 30 groups
miss how groups differ (Cameron, Gelbach and Miller 2008)."""

Index = NDArray[np.int64]
Probabilities = NDArray[np.floating[Any]]

BINS = 15
"""Of the calibration error (Guo et al. 2017)."""


def confusion(truth: Index, said: Index, classes: int) -> Index:
    """Counts, shape (classes, classes): rows are the truth, columns what was said."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, said), 1)
    return table


def recalls(truth: Index, said: Index, classes: int) -> NDArray[np.float64]:
    """Per class; NaN for one that does not occur."""
    table = confusion(truth, said, classes)
    total = table.sum(axis=1)
    return np.where(total > 0, np.diag(table) / np.maximum(total, 1), np.nan)


def precisions(truth: Index, said: Index, classes: int) -> NDArray[np.float64]:
    """Per class; NaN for one that was never said."""
    return recalls(said, truth, classes)


def uar(truth: Index, said: Index) -> float:
    """Unweighted average recall of the classes that occur (Schuller et al. 2009); NaN of nothing."""
    per_class = [float(np.mean(said[truth == name] == name)) for name in np.unique(truth)]
    return float(np.mean(per_class)) if per_class else float("nan")


def interval(
    truth: Index, said: Index, speakers: Sequence[str], draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Where the UAR lies for other speakers like these: percentiles over samples of whole speakers, with repetition.

    Clips of one speaker are not independent (Cameron, Gelbach and Miller 2008), so clips are never drawn alone.
    """
    names, who = np.unique(np.asarray(speakers), return_inverse=True)
    classes = int(max(truth.max(), said.max())) + 1
    hits, totals = np.zeros((len(names), classes)), np.zeros((len(names), classes))
    np.add.at(totals, (who, truth), 1)
    np.add.at(hits, (who, truth), truth == said)
    counts = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    total = counts @ totals
    share = np.where(total > 0, counts @ hits / np.maximum(total, 1), np.nan)
    low, high = np.percentile(np.nanmean(share, axis=1), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def ece(truth: Index, probabilities: Probabilities, bins: int = BINS) -> float:
    """Expected calibration error of the best class: the mean gap between confidence and accuracy (Guo et al. 2017)."""
    return float(sum(count * abs(sure - right) for sure, right, count in reliability(truth, probabilities, bins)))


def reliability(truth: Index, probabilities: Probabilities, bins: int = BINS) -> list[tuple[float, float, float]]:
    """For each bin of confidence that is not empty: mean confidence, accuracy and its share of all answers."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return [
        (float(sure[place == b].mean()), float(right[place == b].mean()), float(np.mean(place == b)))
        for b in np.unique(place)
    ]


def brier(truth: Index, probabilities: Probabilities) -> float:
    """Mean squared distance to the truth, summed over classes: 0 to 2 (Brier 1950)."""
    return float(np.mean(((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(axis=1)))


def log_loss(truth: Index, probabilities: Probabilities) -> float:
    return float(-np.mean(np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12))))


def risk_coverage(truth: Index, probabilities: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage and, of that share of the surest answers, the share that is right; both of shape (n,)."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    count = np.arange(1, len(truth) + 1)
    return count / len(truth), np.cumsum(right) / count


def accuracy_at(truth: Index, probabilities: Probabilities, coverage: float = 0.5) -> float:
    """Accuracy of the surest `coverage` of the answers."""
    share, right = risk_coverage(truth, probabilities)
    return float(right[min(len(share) - 1, int(np.searchsorted(share, coverage)))])


def auroc(positive: NDArray[np.floating[Any]], negative: NDArray[np.floating[Any]]) -> float:
    """Chance that a positive's score lies above a negative's; ties count half."""
    scores = np.concatenate((positive, negative))
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    n, m = len(positive), len(negative)
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


def softmax(logits: Probabilities, temperature: float = 1.0) -> NDArray[np.float64]:
    """Over the last axis."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def temperature(truth: Index, logits: Probabilities) -> float:
    """The one temperature from 0.25 to 4 at which logits explain the truth best (Guo et al. 2017)."""
    tried = np.geomspace(0.25, 4, 129)
    return float(tried[int(np.argmin([log_loss(truth, softmax(logits, t)) for t in tried]))])
