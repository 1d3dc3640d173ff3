"""Labelled speech, whatever layout it came in, as one list of clips."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from worker.errors import ConfigError
from worker.registry import load

OTHER = ("calm", "surprised", "bored")
"""Emotions that corpora have and the model does not; such clips teach valence and arousal only."""
UNLABELLED, NOT_SPEECH = "unlabelled", "not speech"

_SPELLINGS = {
    "neutral": "neutral neu n",
    "happy": "happy happiness joy hap h",
    "sad": "sad sadness s",
    "angry": "angry anger ang a",
    "fearful": "fearful fear fea f",
    "disgusted": "disgusted disgust dis d",
    "calm": "calm",
    "surprised": "surprised surprise pleasant_surprise ps sur u",
    "bored": "bored boredom",
}
SPELLINGS = {word: emotion for emotion, words in _SPELLINGS.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one speaker, and what is known of it."""

    path: Path
    speaker: str
    """Unique across corpora; the unit that splits keep whole."""
    emotion: str
    """One of CLASSES, OTHER, UNLABELLED or NOT_SPEECH."""
    corpus: str
    votes: tuple[int, ...] | None = None
    """Listeners who chose each of CLASSES by the voice alone; None where nobody was asked."""
    gender: str = ""
    """F, M or empty."""
    language: str = ""
    licence: str = ""
    text: str = ""
    """Which sentence was spoken, where the corpus repeats sentences."""
    slices: Mapping[str, str] = field(default_factory=dict)
    """Further columns by which results are cut."""

    @property
    def key(self) -> str:
        """A name that is the same wherever the corpus lies."""
        return f"{self.corpus}/{self.speaker}/{self.path.name}"


Reader: TypeAlias = Callable[[Path], Iterator[Clip]]

READERS = {
    "folder": "worker.lab.corpora.tables:folder",
    "csv": "worker.lab.corpora.tables:table",
    "crema_d": "worker.lab.corpora.originals:crema_d",
    "ravdess": "worker.lab.corpora.originals:ravdess",
    "iemocap": "worker.lab.corpora.originals:iemocap",
    "meld": "worker.lab.corpora.originals:meld",
    "msp_podcast": "worker.lab.corpora.originals:msp_podcast",
}
"""How a corpus is laid out, to the function that reads it."""


def read(spec: str) -> list[Clip]:
    """The clips of `READER:PATH`, such as `csv:mine.csv` or `folder:data/crema_d`, sorted by key.

    Raises ConfigError for an unknown reader, and where a path holds nothing of that layout.
    """
    name, colon, place = spec.partition(":")
    if not colon or name not in READERS:
        raise ConfigError(f"corpus {spec!r}: write READER:PATH with one of the readers {', '.join(READERS)}.")
    path = Path(place).expanduser()
    if not path.exists():
        raise ConfigError(f"corpus {spec!r}: {path} does not exist.")
    reader: Reader = load(READERS, name)
    clips = sorted(reader(path), key=lambda clip: clip.key)
    if not clips:
        raise ConfigError(f"corpus {spec!r}: nothing in {path} has the layout of {name!r}; see docs/commands.md.")
    return clips


def emotion(word: str) -> str | None:
    """An emotion as it is called here, from what a corpus calls it; None for one that nothing here uses."""
    word = word.strip().lower()
    if word.startswith(("noise", "nonspeech")):
        return NOT_SPEECH
    return UNLABELLED if word.startswith("unlabelled") or not word else SPELLINGS.get(word)


def rows(path: Path, needed: set[str] | frozenset[str] = frozenset()) -> Iterator[dict[str, str]]:
    """The lines of a CSV file with a head line; ConfigError when it lacks a column of `needed` or is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := needed - set(reader.fieldnames or ()):
                raise ConfigError(f"{path} has no column {', '.join(sorted(missing))}: add it to the first line.")
            for row in reader:
                yield {key: value or "" for key, value in row.items() if key is not None}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV ({error}): save it as UTF-8 text with commas.") from error
