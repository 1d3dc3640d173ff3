"""Which speakers a model learns from, is tuned on and is judged by: folds as files, made by no chance."""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.emotion import CLASSES
from worker.errors import ConfigError
from worker.lab.corpora import Clip

FOLDS = 5
PARTS = 2 * FOLDS
"""Speakers are dealt into ten parts: a fold is judged by two of them, tuned on one, and learns from seven."""
NOWHERE = -1
SIDES = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a speaker stands."""

    part: int
    sides: tuple[str, ...]
    """In each fold."""


def deal(clips: Iterable[Clip]) -> dict[str, int]:
    """A part from 0 to 9 for each speaker; each corpus and sex is dealt evenly, in the order of a hash of the name."""
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in clips:
        groups[clip.corpus, clip.gender].add(clip.speaker)
    parts: dict[str, int] = {}
    begin: defaultdict[str, int] = defaultdict(int)
    for (corpus, _), speakers in sorted(groups.items()):
        for rank, speaker in enumerate(sorted(speakers, key=_digest)):
            parts[speaker] = (begin[corpus] + rank) * 3 % PARTS  # 3 spreads few speakers over the folds
        begin[corpus] += len(speakers)
    return parts


def side(part: int, fold: int) -> str:
    """Where a part of the speakers stands in a fold."""
    place = (part - 2 * fold) % PARTS
    return "test" if place < 2 else "dev" if place == 2 else "train"


def places(clips: Iterable[Clip]) -> dict[str, Place]:
    """Speaker to place, by the one dealing that says both who is judged and who lends noise and voices.

    Who has no emotions, and so only lends, stands in every fold as in the first.
    """
    clips = list(clips)
    folded = {clip.speaker for clip in clips if clip.emotion in CLASSES}
    return {
        speaker: Place(part, tuple(side(part, fold if speaker in folded else 0) for fold in range(FOLDS)))
        for speaker, part in deal(clips).items()
    }


def write(path: Path, placed: Mapping[str, Place]) -> str:
    """Write speaker, part and the side in each fold as CSV; returns the SHA-256 of the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["speaker", "part", *(f"fold{fold}" for fold in range(FOLDS))])
    for speaker, place in sorted(placed.items()):
        writer.writerow([speaker, place.part, *place.sides])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")
    return digest(path)


def read(path: Path, fold: int) -> Mapping[str, str]:
    """Speaker to side for one fold. ConfigError when the file is not there, or holds a speaker twice."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: run 'undertone lab prepare' first.")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    sides = {line["speaker"]: line[f"fold{fold}"] for line in lines}
    if len(sides) < len(lines) or not set(sides.values()) <= set(SIDES):
        raise ConfigError(f"{path} has a speaker twice or an unknown side: run 'undertone lab prepare' again.")
    return sides


def held_out(path: Path) -> Mapping[str, int]:
    """Speaker to the fold in which it is judged, NOWHERE for who is learned from in all: corpora that only lend noise
    and voices have the same sides in every fold, and are judged in the first. ConfigError as in `read`."""
    held = dict.fromkeys(read(path, 0), NOWHERE)
    for fold in reversed(range(FOLDS)):
        held |= {speaker: fold for speaker, side in read(path, fold).items() if side == "test"}
    return held


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(speaker: str) -> str:
    return hashlib.sha256(speaker.encode()).hexdigest()
