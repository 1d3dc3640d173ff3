"""Whose sounds are mixed into others' while a store is made: nobody lends who is judged."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.emotion import CLASSES
from worker.lab.augment import Pool
from worker.lab.corpora import NOT_SPEECH, OTHER, UNLABELLED, Clip, rows
from worker.lab.sound import decode, read_scaled
from worker.lab.splits import SIDES, Place

FREE = "MIT"
"""The licence of room responses that may be used for a model that ships."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """A folder of impulse responses."""

    name: str = ""
    paths: tuple[Path, ...] = ()
    licence: str = ""


def rooms(folder: Path) -> Rooms:
    """Those that a folder's rirs.csv calls MIT-licensed; all WAV files, of no known licence, where there is none."""
    sheet = folder / "rirs.csv"
    if not sheet.is_file():
        return Rooms(folder.name, tuple(sorted(folder.glob("*.wav"))))
    listed = rows(sheet, {"path", "licence"})
    return Rooms(folder.name, tuple(folder / row["path"] for row in listed if row["licence"].startswith(FREE)), FREE)


class Lenders:
    """Of each side, one clip of everyone whose voice or noise may be lent to it: those who stand on it in every fold.

    Who has clips with an emotion lends nothing, since their side is another in each fold.
    """

    def __init__(self, clips: Sequence[Clip], placed: Mapping[str, Place], rooms: Rooms) -> None:
        labelled = {clip.speaker for clip in clips if clip.emotion in (*CLASSES, *OTHER)}
        free = {c.speaker: c for c in clips if c.emotion in (NOT_SPEECH, UNLABELLED) and c.speaker not in labelled}
        self.rooms = rooms
        self.clips = {
            side: [clip for name, clip in sorted(free.items()) if placed[name].sides[0] == side] for side in SIDES
        }

    def pool(self, side: str) -> Pool:
        """What is lent to a side. Clips are mixed with the training side's, as most are learned from in most folds;
        made sounds are made of their own side's, lest a model be tuned on babble of people it knows."""
        noises = [read_scaled(clip.path) for clip in self.clips[side] if clip.emotion == NOT_SPEECH]
        voices = [read_scaled(clip.path) for clip in self.clips[side] if clip.emotion == UNLABELLED]
        return Pool(noises, voices, [decode(path) for path in self.rooms.paths])

    def facts(self) -> dict[str, Any]:
        """Who lent what, as counts and a digest of all names, fit for JSON."""
        found: dict[str, Any] = {}
        for side, clips in self.clips.items():
            voices = sum(clip.emotion == UNLABELLED for clip in clips)
            found[side] = {"noises": len(clips) - voices, "voices": voices}
        names = {side: [clip.key for clip in clips] for side, clips in self.clips.items()}
        listed = json.dumps([names, sorted(path.name for path in self.rooms.paths)])
        corpus = {self.rooms.name: self.rooms.licence} if self.rooms.paths else {}
        digest = hashlib.sha256(listed.encode()).hexdigest()
        return {**found, "rooms": len(self.rooms.paths), "responses": corpus, "sha256": digest}
