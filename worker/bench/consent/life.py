"""The written lives of people who come and go and change their minds."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

PEOPLE, AT_ONCE = 30, 20
STAY_S, CYCLE_S = 40.0, 60.0
"""Everyone is here for 40 s and away for 20 s, evenly spread: so that 20 of 30 are here at any time."""
SHORTEST_S = 3.0
PAUSE_S = (1.0, 6.0)
"""Between two things that somebody says."""
AGAIN = 0.15
"""How often somebody opens a second tab, in place of saying something."""
OTHER_WORDS = "other_words"
YES = ("metrics", "prosody", "emotion")
WAYS_OUT = ("leave", "close", "abort")
"""Saying so; closing the connection; losing the socket while packets go on for a while."""


class Step(NamedTuple):
    """What one person does at a time: `join`, `again` (while they are here), `say` or one of WAYS_OUT."""

    at_s: float
    do: str
    answer: str | None = None
    """A level; OTHER_WORDS for a yes to words that are not those of the worker; None for no answer."""


def never(person: int) -> bool:
    """A third never agrees."""
    return person % 3 == 2


def by_control(person: int) -> bool:
    """A quarter does not answer by the page but by the control API."""
    return person % 4 == 3


def life(person: int, seconds: float) -> Iterator[Step]:
    """All that one person does within so many seconds, in order."""
    chance = Random(person)
    began = -person * CYCLE_S / PEOPLE
    while began < seconds:
        begin, end = max(began, 0.1 * person if began < 0 else 0.0), min(began + STAY_S, seconds)
        if end - begin > SHORTEST_S:
            yield from _stay(person, begin, end, chance)
        began += CYCLE_S


def _stay(person: int, begin: float, end: float, chance: Random) -> Iterator[Step]:
    yield Step(begin, "join", _arriving(person, chance))
    at = begin + chance.uniform(*PAUSE_S)
    while at < end - 1:
        if chance.random() < AGAIN:
            yield Step(at, "again", _arriving(person, chance))
        else:
            yield Step(at, "say", _saying(person, chance))
        at += chance.uniform(*PAUSE_S)
    yield Step(end, chance.choice(WAYS_OUT))


def _arriving(person: int, chance: Random) -> str | None:
    if never(person):
        return chance.choice(("presence", OTHER_WORDS, None))
    return chance.choice((*YES, *YES, "presence", OTHER_WORDS, None))


def _saying(person: int, chance: Random) -> str:
    if never(person):
        return chance.choice(("presence", OTHER_WORDS))
    return chance.choice((*YES, "presence", "presence", "presence"))
