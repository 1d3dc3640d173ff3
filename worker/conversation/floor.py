"""Who has the floor: turns, when they begin and end, and what is decided of those who come in on them."""

from collections.abc import Iterator
from dataclasses import dataclass

from worker.conversation.overlaps import Overlaps
from worker.conversation.turns import Table, Turn, TurnRules
from worker.events import BackChannel, Event, TurnEnded, TurnStarted

MOMENT = 1e-6
"""Who stops when the holder does is not given the floor: they must speak on."""

Due = tuple[float, float, str]


@dataclass(slots=True)
class Claim:
    """A run of speech that has not the floor, or not yet."""

    started: float
    ended: float
    spoken: float = 0.0
    """Seconds of its utterances that ended."""


class Floor:
    """Is told who starts and stops in order of time, and answers with what has become certain up to then.

    The floor goes to whoever has spoken for `take_floor_s` while its holder does not speak. An utterance that ends
    while the holder goes on is no part of a claim: it was a back-channel, or an attempt that failed.
    """

    def __init__(self, rules: TurnRules) -> None:
        self.table = Table()
        self.rules = rules
        self._overlaps = Overlaps(rules, self.table)
        self._claims: dict[str, Claim] = {}
        self._before: tuple[str, float] | None = None
        """Whose turn was the last that ended, and when."""
        self._heard = True
        """Whether the room was heard all the time since then."""

    def advance(self, to: float) -> list[Event]:
        """Everything that is due up to `to`, at its own time."""
        said: list[Event] = []
        while True:
            floor = min(self._due(), default=None)
            overlap = self._overlaps.due()
            at = min(floor[0] if floor else float("inf"), overlap)
            if at > to:
                return said
            if floor is not None and floor[0] <= overlap:
                said += self._decide(floor)
            else:
                said += self._settled(self._overlaps.advance(overlap))

    def start(self, at: float, speaker: str) -> list[Event]:
        said = self.advance(at)
        said += self._settled(self._overlaps.start(at, speaker))
        self.table.speaking[speaker] = at
        if not self.table.holds(speaker):
            claim = self._claims.get(speaker)
            if claim is None or at - claim.ended >= self.rules.bridge_s:
                self._claims[speaker] = Claim(at, at)
        return said

    def stop(self, at: float, speaker: str) -> list[Event]:
        """Nothing if this one does not speak."""
        said = self.advance(at)
        started = self.table.speaking.pop(speaker, None)
        if started is None:
            return said
        if (turn := self.table.turn) is not None and turn.speaker == speaker:
            turn.until = at
        elif self.table.holder_speaks():
            self._claims.pop(speaker, None)
        elif (claim := self._claims.get(speaker)) is not None:
            claim.ended, claim.spoken = at, claim.spoken + at - started
        return said + self._settled(self._overlaps.stop(at, speaker))

    def leave(self, speaker: str, heard: bool) -> None:
        """This one has left, and stopped before. Unless the room is still `heard`, the next gap is not known."""
        self._claims.pop(speaker, None)
        self._heard = self._heard and heard

    def forget(self, speaker: str, heard: bool) -> None:
        """This one withdrew: nothing is decided about them, and who speaks next follows on nobody."""
        self._overlaps.forget(speaker)
        self.table.speaking.pop(speaker, None)
        if self.table.holds(speaker):
            self.table.turn = self._before = None
        if self._before is not None and self._before[0] == speaker:
            self._before = None
        self.leave(speaker, heard)

    def close(self, at: float) -> list[Event]:
        """Nobody is heard from now on; no pause is waited for any more."""
        said = self.advance(at)
        for speaker in list(self.table.speaking):
            said += self.stop(at, speaker)
        said += self._overlaps.close()
        return said + self._end_turn()

    def run_s(self, now: float) -> float:
        """How long the turn has lasted, pauses within it included."""
        turn = self.table.turn
        if turn is None:
            return 0.0
        return max(0.0, (now if self.table.holder_speaks() else turn.until) - turn.started)

    # -- who is next ----------------------------------------------------------------------------------------------

    def _due(self) -> Iterator[Due]:
        """When the floor changes if nobody starts or stops: (at, since when they claim it, to whom or to nobody)."""
        turn = self.table.turn
        if self.table.holder_speaks():
            return
        for speaker, started in self.table.speaking.items():
            claim = self._claims[speaker]
            enough = started + self.rules.take_floor_s - claim.spoken
            yield max(enough, turn.until + MOMENT if turn is not None else enough), claim.started, speaker
        if turn is not None:
            yield turn.until + self.rules.bridge_s, float("inf"), ""

    def _decide(self, due: Due) -> list[Event]:
        _, _, speaker = due
        said = self._end_turn()
        if not speaker:
            return said
        started = self._claims.pop(speaker).started
        previous, gap, since = None, None, started
        if self._before is not None:
            previous, ended = self._before
            gap = max(0.0, started - ended) if self._heard else None
            since = max(started, ended)
        self.table.turn, self._heard = Turn(speaker, started, since, started), True
        said += self._overlaps.passed()
        return [*said, TurnStarted(started, speaker, previous, gap)]

    def _end_turn(self) -> list[Event]:
        turn, self.table.turn = self.table.turn, None
        if turn is None:
            return []
        self._before = turn.speaker, turn.until
        return [TurnEnded(turn.until, turn.speaker, turn.started)]

    def _settled(self, said: list[Event]) -> list[Event]:
        """What turned out to be a back-channel claims nothing."""
        for event in said:
            if isinstance(event, BackChannel):
                started = self.table.speaking.get(event.speaker)
                self._claims.pop(event.speaker, None)
                if started is not None and not self.table.holds(event.speaker):
                    self._claims[event.speaker] = Claim(started, started)
        return said
