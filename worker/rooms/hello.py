"""What a browser says of the person in front of it: who they are, and how much they agree to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import RoomError
from worker.privacy.levels import LEVELS, Level

LONGEST_NAME = 60
SHORTEST_KEY, LONGEST_KEY = 8, 100
LONGEST_VERSION = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to the question how much may be made of a voice."""

    level: Level
    text: str
    """The version of the words that were shown."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a browser."""

    name: str
    person: str
    """A secret of this browser, by which the person is known again."""
    muted: bool
    choice: Choice | None
    """None where they were not asked yet."""


def read_hello(message: Mapping[str, Any]) -> Hello:
    """Raises RoomError with a sentence for the page."""
    name, person = message.get("name"), message.get("person")
    if message.get("type") != "join" or not isinstance(name, str) or not isinstance(person, str):
        raise RoomError("The first message must be a join with a name and a person key.")
    name = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:LONGEST_NAME].strip()
    if not name or not SHORTEST_KEY <= len(person) <= LONGEST_KEY:
        raise RoomError("A name of 1 to 60 letters and a person key of 8 to 100 are needed to join.")
    return Hello(name, person, message.get("muted") is True, read_choice(message) if "level" in message else None)


def read_choice(message: Mapping[str, Any]) -> Choice:
    """Raises RoomError with a sentence for the page."""
    level, text = message.get("level"), message.get("text", "")
    if not isinstance(level, str) or level not in LEVELS or not isinstance(text, str) or len(text) > LONGEST_VERSION:
        raise RoomError(f"A choice names a level, one of {', '.join(LEVELS)}, and the version of its text.")
    return Choice(LEVELS[level], text)
