"""Corpora described by a table: a folder with labels.csv, or any CSV file of one's own."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from worker.emotion import CLASSES
from worker.errors import ConfigError
from worker.lab.corpora import NOT_SPEECH, UNLABELLED, Clip, emotion, rows

LICENCES = {
    "crema_d": "ODbL 1.0 and DbCL 1.0",
    "emodb": "CC0 1.0",
    "speech_librispeech_mini": "CC BY 4.0",
    "speech_ami_extracts": "CC BY 4.0",
    "noise_esc10": "CC BY 3.0",
    "rir": "MIT",
    "ravdess": "CC BY-NC-SA 4.0",
    "savee": "research only",
    "tess": "CC BY-NC-ND 4.0",
    "deeply_nonverbal": "CC BY-NC-ND 4.0",
    "noise_misc": "mixed",
}
TAKE = re.compile(r"^\d-(\d+)-[A-Z]$")
"""ESC's file names (Piczak 2015): the recording that several takes were cut from."""
KNOWN = {"path", "speaker", "emotion", "gender", "language", "text", "licence", "duration_s"}


def folder(path: Path) -> Iterator[Clip]:
    """A folder with `labels.csv` (path, speaker, gender, emotion, language, text) and, where listeners were asked,
    `votes.csv` (modality, clip, and a column for the first letter of each class)."""
    labels = path / "labels.csv"
    if not labels.is_file():
        raise ConfigError(f"{path} has no labels.csv: give a folder that has one, or csv:FILE.")
    votes = _votes(path / "votes.csv")
    for row in rows(labels, {"path", "speaker", "emotion"}):
        if found := _clip(path, row, path.name):
            yield _with(found, votes.get(found.path.stem))


def table(path: Path) -> Iterator[Clip]:
    """A CSV file with the columns path, speaker and emotion; others are slices, but gender, language, text, licence.

    Paths are relative to the file. Raises ConfigError for an emotion with no name here.
    """
    for number, row in enumerate(rows(path, {"path", "speaker", "emotion"}), 2):
        found = _clip(path.parent, row, path.stem)
        if found is None:
            raise ConfigError(f"{path}, line {number}: emotion {row['emotion']!r} is none of {', '.join(CLASSES)}.")
        if not found.path.is_file():
            raise ConfigError(f"{path}, line {number}: {found.path} does not exist.")
        yield found


def _clip(root: Path, row: dict[str, str], corpus: str) -> Clip | None:
    name = emotion(row["emotion"])
    if name is None:
        return None
    where = root / row["path"]
    alone = name in (NOT_SPEECH, UNLABELLED) and row["speaker"] in ("", "multi")
    return Clip(
        path=where,
        speaker=f"{corpus}:{_recording(where.stem)}" if alone else row["speaker"],
        emotion=name,
        corpus=corpus,
        gender=row.get("gender", "").upper()[:1],
        language=row.get("language", ""),
        licence=row.get("licence") or LICENCES.get(corpus, ""),
        text=row.get("text", ""),
        slices={key: value for key, value in row.items() if key not in KNOWN and value},
    )


def _recording(stem: str) -> str:
    take = TAKE.match(stem)
    return take[1] if take else stem


def _votes(path: Path) -> dict[str, tuple[int, ...]]:
    if not path.is_file():
        return {}
    letters = [name[0].upper() for name in CLASSES]
    wanted = (row for row in rows(path, {"clip", *letters}) if row.get("modality", "voice") == "voice")
    return {row["clip"]: tuple(int(row[letter] or 0) for letter in letters) for row in wanted}


def _with(clip: Clip, votes: tuple[int, ...] | None) -> Clip:
    return clip if votes is None else replace(clip, votes=votes)
