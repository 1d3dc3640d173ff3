"""Who is in the room, from what Janus says of its feeds: one speaker per person, however many feeds they have."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from worker.audio import AudioChunk
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted

FeedId: TypeAlias = int | str
Happened: TypeAlias = SpeakerJoined | SpeakerLeft | SpeakerMuted | SpeakerUnmuted

PEOPLE = 10_000
"""People whose generations are remembered after they left."""
LONGEST_NAME = 60
AUDIBLE = 0.01
"""A peak of full scale 1 from which on a feed has brought sound: -40 dBFS, below speech and above a quiet room."""
RANKS = ("dead", "disabled", "unknown", "sounding")
"""Which of a person's feeds is heard: one in the last state that any has. Of several that sound it is the first that
came, as a shared screen comes after its owner; otherwise it is the one that is heard already, or the newest."""


@dataclass(eq=False)
class Feed:
    """One publisher as Janus counts them; a person has a new one after each reload."""

    id: FeedId
    name: str
    mid: str
    """Of the one audio stream that is heard: the first that may be."""
    disabled: bool = False
    """Announced, and not sent."""
    moderated: bool = False
    """Muted by the room's moderator."""
    dead: bool = False
    """Brings no packet."""
    sounded: bool = False
    """Has brought sound at some time."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What its publisher said of it to Janus."""

    @property
    def state(self) -> str:
        """One of `RANKS`. Who was muted by a moderator is not heard by another way."""
        if self.dead:
            return "dead"
        return "disabled" if self.disabled else "sounding" if self.sounded else "unknown"

    @property
    def muted(self) -> bool:
        return self.disabled or self.moderated


@dataclass(eq=False)
class Person:
    speaker: str
    generation: int = 0
    feeds: list[Feed] = field(default_factory=list)
    """In the order they came; one is heard, the others stand by: a second window, a shared screen."""
    heard: Feed | None = None
    muted: bool = False

    @property
    def best(self) -> Feed:
        """The feed to hear, by `RANKS`. Needs at least one."""
        top = max((feed.state for feed in self.feeds), key=RANKS.index)
        equals = [feed for feed in self.feeds if feed.state == top]
        if top == "sounding":
            return equals[0]
        return self.heard if self.heard in equals else equals[-1]


class Roster:
    """Answers with what happened. `agreed` is asked of each speaker with each feed that joins: are they analysed?

    `identity` tells who a feed's person is: `display`, `feed`, or `metadata.KEY`; a feed that lacks it is a person of
    its own. `realm` keeps the pseudonyms of different rooms apart.
    """

    def __init__(self, realm: str, identity: str, agreed: Callable[[str, Feed], bool]) -> None:
        self._realm, self._identity, self._agreed = realm, identity, agreed
        self._people: dict[FeedId, Person] = {}
        """By feed."""
        self._here: dict[str, Person] = {}
        """By speaker, of those who have a feed."""
        self._generations: OrderedDict[str, int] = OrderedDict()

    @property
    def people(self) -> list[Person]:
        """Everyone who is here."""
        return list(self._here.values())

    def announce(self, publishers: Any, at: float) -> list[Happened]:
        """Janus lists publishers, each with all of its streams; what makes no sense is passed over."""
        happened: list[Happened] = []
        for entry in publishers if isinstance(publishers, list) else []:
            if isinstance(entry, dict) and _is_id(entry.get("id")):
                stream = _voice(entry.get("streams"))
                known = entry["id"] in self._people
                if stream is None:
                    happened += self.leave(entry["id"], at) if known else []
                elif known:
                    happened += self._changed(entry["id"], stream, at)
                else:
                    happened += self._came(entry, stream, at)
        return happened

    def _came(self, entry: Mapping[str, Any], stream: Mapping[str, Any], at: float) -> list[Happened]:
        speaker = self._pseudonym(entry)
        feed = Feed(entry["id"], _name(entry), stream["mid"], bool(stream.get("disabled")), _moderated(stream))
        feed.sounded = bool(stream.get("talking"))
        feed.metadata = metadata if isinstance(metadata := entry.get("metadata"), dict) else {}
        person = self._here.setdefault(speaker, Person(speaker, self._generations.get(speaker, 0)))
        person.feeds.append(feed)
        self._people[feed.id] = person
        return self._enter(person, feed, at) if person.heard is None else self._hand_over(person, at)

    def _changed(self, feed_id: FeedId, stream: Mapping[str, Any], at: float) -> list[Happened]:
        person = self._people[feed_id]
        feed = next(feed for feed in person.feeds if feed.id == feed_id)
        feed.mid, feed.disabled, feed.moderated = stream["mid"], bool(stream.get("disabled")), _moderated(stream)
        feed.sounded |= bool(stream.get("talking"))
        return self._hand_over(person, at) or self._mute(person, at)

    def moderate(self, feed_id: Any, mid: Any, muted: bool, at: float) -> list[Happened]:
        """A moderator muted a stream, or no longer does."""
        person = self._people.get(feed_id) if _is_id(feed_id) else None
        for feed in person.feeds if person is not None else []:
            if feed.id == feed_id and feed.mid == mid:
                feed.moderated = muted
        return self._mute(person, at) if person is not None else []

    def leave(self, feed_id: Any, at: float) -> list[Happened]:
        """A feed is gone; saying so twice does no harm. The person stays with another feed, as a new generation."""
        person = self._people.pop(feed_id, None) if _is_id(feed_id) else None
        if person is None:
            return []
        person.feeds = [feed for feed in person.feeds if feed.id != feed_id]
        if person.heard is None or person.heard.id != feed_id:
            return []
        person.heard = None
        left: list[Happened] = [SpeakerLeft(at, person.speaker)]
        if person.feeds:
            return left + self._enter(person, person.best, at)
        del self._here[person.speaker]
        return left

    def replace_silent(self, silent: Callable[[FeedId], bool], at: float) -> list[Happened]:
        """Whoever came anew while their old connection lies dead in the room is heard on the new one."""
        happened: list[Happened] = []
        for person in self._here.values():
            if len(person.feeds) > 1 and person.heard is not None and not person.heard.muted:
                person.heard.dead = silent(person.heard.id)
                happened += self._hand_over(person, at)
        return happened

    def talks(self, feed_id: Any, mid: Any, at: float) -> list[Happened]:
        """Janus says that a feed has sound, which it does of those too that nobody subscribed to."""
        person = self._people.get(feed_id) if _is_id(feed_id) else None
        for feed in person.feeds if person is not None else []:
            feed.sounded |= feed.id == feed_id and feed.mid == mid
        return self._hand_over(person, at) if person is not None else []

    def hear(self, chunk: AudioChunk) -> None:
        """Note that the feed by which somebody is heard brings sound, if this is any."""
        person = self._here.get(chunk.speaker)
        if person is not None and person.heard is not None and not person.heard.sounded:
            person.heard.sounded = bool(np.max(np.abs(chunk.samples), initial=0.0) >= AUDIBLE)

    def _hand_over(self, person: Person, at: float) -> list[Happened]:
        """Hear a person on another feed if that is better now."""
        if person.best is person.heard:
            return []
        return [SpeakerLeft(at, person.speaker, "replaced"), *self._enter(person, person.best, at)]

    def _enter(self, person: Person, feed: Feed, at: float) -> list[Happened]:
        feed.dead = False
        person.heard, person.muted = feed, False
        person.generation += 1
        self._generations[person.speaker] = person.generation
        self._generations.move_to_end(person.speaker)
        if len(self._generations) > PEOPLE:
            self._generations.popitem(last=False)
        analysed = self._agreed(person.speaker, feed)
        return [SpeakerJoined(at, person.speaker, feed.name, person.generation, analysed), *self._mute(person, at)]

    def _mute(self, person: Person, at: float) -> list[Happened]:
        muted = person.heard is not None and person.heard.muted
        if muted == person.muted:
            return []
        person.muted = muted
        return [(SpeakerMuted if muted else SpeakerUnmuted)(at, person.speaker)]

    def _pseudonym(self, entry: Mapping[str, Any]) -> str:
        """The same for the same person in the same room, for as long as this process runs: also after we rejoin."""
        kind, _, key = self._identity.partition(".")
        metadata = entry.get("metadata")
        person = entry.get("display") if kind == "display" else None
        if kind == "metadata" and isinstance(metadata, dict):
            person = metadata.get(key)
        own = f"person {person}" if isinstance(person, str | int) and str(person).strip() else f"feed {entry['id']}"
        text = f"{self._realm}\n{own}".encode(errors="replace")
        return "p" + hashlib.blake2s(text, digest_size=6, key=_salt()).hexdigest()


@cache
def _salt() -> bytes:
    """So that nobody finds out a name from its pseudonym by trying names."""
    return secrets.token_bytes(32)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _voice(streams: Any) -> Mapping[str, Any] | None:
    """The audio stream to hear: the first that is sent, else the first. None where there is none."""
    found = [one for one in streams if _is_voice(one)] if isinstance(streams, list) else []
    return min(found, key=lambda one: bool(one.get("disabled")), default=None)


def _is_voice(stream: Any) -> bool:
    return isinstance(stream, dict) and stream.get("type") == "audio" and isinstance(stream.get("mid"), str)


def _moderated(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("moderated"))


def _name(entry: Mapping[str, Any]) -> str:
    """What others see of a feed's person, fit to be shown."""
    display = entry.get("display")
    text = " ".join(display.split()) if isinstance(display, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_NAME].strip() or f"feed {entry['id']}"


def feeds_in(streams: Iterable[Any]) -> dict[str, FeedId]:
    """Which feed each audio line of a subscriber carries, by mid, from Janus' list of its streams."""
    return {
        one["mid"]: one["feed_id"]
        for one in streams
        if _is_voice(one) and one.get("active") and _is_id(one.get("feed_id"))
    }
