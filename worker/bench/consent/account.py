"""Who has agreed at which moment, as people say it themselves; and what of a record that allows."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from worker.privacy.levels import Level

YES, UNDER_WAY, NO, NEVER = "with_yes", "under_way", "without_yes", "never_consented"


class Said(NamedTuple):
    """What a person let the worker know. Times are those of the machine's steady clock, which all processes share."""

    person: int
    at: float
    """Just before it was sent."""
    acked: float
    """When the worker's answer to it had come."""
    level: Level
    """PRESENCE for a no, for no answer, and for a yes to other words."""


class Taken(NamedTuple):
    """Something that was made of a person's sound."""

    person: int
    at: float
    samples: int


@dataclass
class Sum:
    """What falls into one state."""

    count: int = 0
    samples: int = 0
    longest_s: float = 0.0
    """From the moment that state began."""


class Account:
    """Kept apart from the worker, from what people sent and when they had an answer.

    A yes counts from when it was sent, and a no from when it was answered: between that and its sending it is
    `under_way`. Somebody who has said no yes at all `never_consented`, and nothing is under way of them.
    """

    def __init__(self, said: Iterable[Said], least: Level = Level.METRICS) -> None:
        """`least` is the level from which on something may be made."""
        self.consented: set[int] = set()
        by_person: defaultdict[int, list[Said]] = defaultdict(list)
        for one in said:
            by_person[one.person].append(one)
            if one.level >= least:
                self.consented.add(one.person)
        self._states = {
            person: _states(sorted(each, key=lambda one: one.at), least) for person, each in by_person.items()
        }

    def state(self, person: int, at: float) -> tuple[str, float]:
        """How a person stands at this moment, and since when."""
        if person not in self.consented:
            return NEVER, at
        states = self._states[person]
        place = bisect_right(states, at, key=lambda one: one[0]) - 1
        return (states[place][1], states[place][0]) if place >= 0 else (NO, at)

    def judge(self, taken: Iterable[Taken]) -> dict[str, dict[str, Any]]:
        """What was taken in each state."""
        sums = {state: Sum() for state in (YES, UNDER_WAY, NO, NEVER)}
        for one in taken:
            state, since = self.state(one.person, one.at)
            found = sums[state]
            found.count += 1
            found.samples += one.samples
            found.longest_s = max(found.longest_s, one.at - since)
        told: dict[str, dict[str, Any]] = {
            state: {"count": found.count, "samples": found.samples} for state, found in sums.items()
        }
        told[UNDER_WAY]["longest_ms"] = round(1000 * sums[UNDER_WAY].longest_s, 1)
        return told


def _states(said: list[Said], least: Level) -> list[tuple[float, str]]:
    """(from when on, which state), in order."""
    states: list[tuple[float, str]] = []
    ends = [after.at for _, after in pairwise(said)] + [math.inf]
    answered = -math.inf
    """When the first no since the last yes was answered."""
    agreed = False
    for one, end in zip(said, ends, strict=True):
        if one.level >= least:
            agreed = True
            states.append((one.at, YES))
            continue
        if agreed:
            agreed, answered = False, one.acked
            states.append((one.at, UNDER_WAY))
        elif not states:
            states.append((one.at, NO))
        if one.at <= answered < end:
            states.append((answered, NO))
    return states
