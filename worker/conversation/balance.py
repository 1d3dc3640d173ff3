"""Whose the talking is: seconds and shares of people and sides, how even they are, and who is silent."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log

from worker.conversation.rolling import RollingSeconds
from worker.figures import SideFigures

LEAST_SPEECH_S = 10.0
"""Of everyone's speech before shares, balance and the share of overlap are said: a few turns (judgement)."""
LEAST_HERE_S = 60.0
"""That a person has been here before their part is compared with the equal one (judgement)."""
LEAVERS = 200
"""People who left and are still told of; of the others only the sum of their seconds is kept."""


@dataclass(slots=True)
class Person:
    """One who is counted, or was until they left."""

    recent: RollingSeconds
    role: str = ""
    here: bool = False
    since: float = 0.0
    """When they came."""
    past_s: float = 0.0
    """Of the utterances that ended."""
    started: float | None = None
    """When their utterance under way did; None while they do not speak."""
    spoke: float = 0.0
    """When they last stopped, or came."""

    def silent_s(self, now: float) -> float:
        return now - self.spoke if self.here and self.started is None else 0.0

    def talk_s(self, now: float) -> float:
        return self.past_s + (now - self.started if self.started is not None else 0.0)


@dataclass(slots=True)
class Shares:
    """Everyone's seconds at one moment."""

    everyone_s: float
    recent_everyone_s: float
    recent_s: dict[str, float]
    recent_people: int
    """Who is here, and those who left but spoke within the window."""
    balance: float | None
    recent_balance: float | None
    sides: dict[str, SideFigures] = field(default_factory=dict)


class Balance:
    """Is told who comes, leaves, starts and stops, in order of time. Overlapping speech counts for each."""

    def __init__(self, window_s: float) -> None:
        self.people: dict[str, Person] = {}
        self._window_s = window_s
        self._forgotten_s = 0.0

    def enter(self, at: float, speaker: str, role: str = "") -> None:
        person = self.people.setdefault(speaker, Person(RollingSeconds(self._window_s)))
        person.role = role or person.role
        if not person.here:
            person.here, person.since, person.spoke = True, at, at

    def leave(self, at: float, speaker: str) -> list[str]:
        """Who leaves keeps what they have; those who are no longer told of."""
        self.stop(at, speaker)
        person = self.people.pop(speaker)
        if person.past_s == 0:
            return [speaker]
        person.here = False
        self.people[speaker] = person
        gone = [name for name, one in self.people.items() if not one.here]
        forgotten = gone[: max(0, len(gone) - LEAVERS)]
        for name in forgotten:
            self._forgotten_s += self.people.pop(name).past_s
        return forgotten

    def forget(self, speaker: str) -> None:
        """Their seconds are in nobody's share any more."""
        self.people.pop(speaker, None)

    def here(self, speaker: str) -> bool:
        person = self.people.get(speaker)
        return person is not None and person.here

    def start(self, at: float, speaker: str) -> None:
        self.people[speaker].started = at

    def stop(self, at: float, speaker: str) -> None:
        person = self.people[speaker]
        if person.started is not None:
            person.past_s = person.talk_s(at)
            person.recent.add(person.started, at)
            person.started, person.spoke = None, at

    def shares(self, now: float) -> Shares:
        people = self.people
        recent = {speaker: person.recent.total(now, person.started) for speaker, person in people.items()}
        whole = [person.talk_s(now) for person in people.values()]
        lately = [recent[speaker] for speaker, person in people.items() if person.here or recent[speaker] > 0]
        everyone_s, recent_everyone_s = sum(whole) + self._forgotten_s, sum(lately)
        shares = Shares(everyone_s, recent_everyone_s, recent, len(lately), evenness(whole), evenness(lately))
        shares.sides = self._sides(shares, now)
        return shares

    def _sides(self, shares: Shares, now: float) -> dict[str, SideFigures]:
        talk: dict[str, tuple[float, float]] = {}
        for speaker, person in self.people.items():
            if person.role:
                whole, recent = talk.get(person.role, (0.0, 0.0))
                talk[person.role] = whole + person.talk_s(now), recent + shares.recent_s[speaker]
        return {
            role: SideFigures(whole, share(whole, shares.everyone_s), share(recent, shares.recent_everyone_s))
            for role, (whole, recent) in sorted(talk.items())
        }

    def silent(self, now: float, least_s: float) -> tuple[str, ...]:
        """Who is here and has said nothing for `least_s`, longest first."""
        quiet = [(one.spoke, name) for name, one in self.people.items() if one.here and one.silent_s(now) >= least_s]
        return tuple(name for _, name in sorted(quiet))


def share(part: float, whole: float) -> float | None:
    """None where there is too little to divide."""
    return min(1.0, part / whole) if whole >= LEAST_SPEECH_S else None


def evenness(talk: Iterable[float]) -> float | None:
    """Normalised entropy of the parts, -sum(p ln p) / ln n: 1 is equal, 0 is one alone (Shannon 1948).

    None for fewer than two people, or too little speech.
    """
    seconds = list(talk)
    whole = sum(seconds)
    if len(seconds) < 2 or whole < LEAST_SPEECH_S:
        return None
    parts = [second / whole for second in seconds if second > 0]
    return min(1.0, max(0.0, -sum(part * log(part) for part in parts) / log(len(seconds))))
