"""How much is made of a voice: four levels, each including those below it."""

from collections.abc import Mapping
from enum import IntEnum


class Level(IntEnum):
    """What is made of one person's voice, at most."""

    PRESENCE = 0
    """Who is there."""
    METRICS = 1
    """Talk time, turns, overlap and silence, free of content."""
    PROSODY = 2
    """Loudness, rate and pitch spread, without labels."""
    EMOTION = 3
    """Labels, valence or arousal from the voice."""

    @property
    def word(self) -> str:
        """As configurations and tables write it."""
        return self.name.lower()


LEVELS: Mapping[str, Level] = {level.word: level for level in Level}

MADE: Mapping[str, tuple[Level, str]] = {
    "presence": (Level.PRESENCE, "who is there"),
    "metrics": (Level.METRICS, "talk time, turns, overlap and silence"),
    "prosody": (Level.PROSODY, "loudness, rate and pitch spread, without labels"),
    "emotion": (Level.EMOTION, "labels, valence and arousal from the voice"),
    "sentiment": (Level.EMOTION, "positive or negative, from the voice: emotion by another name"),
}
"""What can be made of a voice, the level that it needs, and the same in words."""

ENGINES: Mapping[str, Level] = {"vad": Level.METRICS, "prosody": Level.PROSODY, "emotion": Level.EMOTION}
"""What hears, and the level from which on it may be made at all. Whatever answers with labels, valence or arousal is
`emotion`, however it comes by them; `prosody` measures and concludes nothing."""
