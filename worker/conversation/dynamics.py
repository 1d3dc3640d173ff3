"""The dynamics of a conversation: who has the floor, who cuts in on whom, and the numbers that follow."""

from collections.abc import Iterable
from dataclasses import replace

from worker.conversation.measure import going, measure
from worker.conversation.ordering import Ordered, Ordering
from worker.conversation.sums import MEASURED, Sums
from worker.conversation.turns import TurnRules
from worker.errors import ConfigError
from worker.events import ConversationMeasured, Event, SpeakerAnalysed, SpeakerJoined, SpeakerLeft, SpeechMeasured
from worker.figures import Figures


class Dynamics:
    """Judges what happened up to `settle_s` ago, when the end of every utterance is known, in the order of `at`.

    So all it says is exact for the moment that it names, and the same however late each fact came within `settle_s`.
    Only people who are analysed are counted. Those who leave keep their talk. Who withdraws is forgotten at once, with
    all that was not settled of them, and nothing that is said from then on names them.
    """

    def __init__(
        self,
        every_s: float = 5.0,
        settle_s: float = 1.0,
        window_s: float = 300.0,
        silent_after_s: float = 600.0,
        bridge_s: float = TurnRules.bridge_s,
        take_floor_s: float = TurnRules.take_floor_s,
        back_channel_s: float = TurnRules.back_channel_s,
        overlap_s: float = TurnRules.overlap_s,
        yields_s: float = TurnRules.yields_s,
        interruption_s: float = TurnRules.interruption_s,
    ) -> None:
        """See TurnRules for the last six."""
        rules = TurnRules(bridge_s, take_floor_s, back_channel_s, overlap_s, yields_s, interruption_s)
        if every_s <= 0 or window_s <= 0 or min(vars(rules).values()) <= 0 or min(settle_s, silent_after_s) < 0:
            raise ConfigError("dynamics: settle_s and silent_after_s must not be below 0, all else must be above.")
        self._every_s, self._settle_s, self._window_s = every_s, settle_s, window_s
        self._silent_after_s = silent_after_s
        self._ordering = Ordering()
        self._sums = Sums(window_s, rules)
        self._at = 0.0
        self._said: int | None = None
        """How many `every_s` had passed at the last ConversationMeasured, or when the first person came."""
        self._figures: Figures | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Facts that were `late`, known after their moment was settled, and those `dropped` as too many waited."""
        return {"late": self._ordering.late, "dropped": self._ordering.dropped}

    def push(self, event: Event) -> Iterable[Event]:
        if isinstance(event, SpeakerAnalysed | SpeakerJoined):
            self._limit(event)
        if isinstance(event, Ordered):
            self._ordering.push(event)
        return ()

    def _limit(self, event: SpeakerAnalysed | SpeakerJoined) -> None:
        """Forget what this person does not agree to any more; that can't wait until it is settled."""
        if not event.analysed:
            self._ordering.rewrite(event.speaker, _unheard)
            self._sums.forget(event.speaker)
        elif event.level not in MEASURED:
            self._ordering.rewrite(event.speaker, lambda one: None if isinstance(one, SpeechMeasured) else one)
            self._sums.paces.pop(event.speaker, None)
        self._figures = None

    def tick(self, at: float) -> Iterable[Event]:
        """What is certain by now, and one ConversationMeasured for each whole `every_s` that is settled."""
        self._at, self._figures = max(self._at, at), None
        return self._advance(self._at - self._settle_s)

    def close(self, at: float) -> Iterable[Event]:
        """The turn under way ends, and everything is said once more as of `at`."""
        self._at, self._figures = max(self._at, at), None
        said = [*self._advance(self._at, self._at), *self._sums.close(self._at)]
        return [*said, self._measured(self._at)] if self._said is not None else said

    def figures(self) -> Figures:
        """Of those who are here, as of `settle_s` before the last tick, but silence and runs as they are by now."""
        if self._figures is None:
            by_now = going(self._sums, self._at, self._ordering.waiting())
            self._figures = measure(self._sums, self._silent_after_s, by_now, leavers=False)
        return self._figures

    def _advance(self, to: float, closing: float = float("inf")) -> list[Event]:
        said: list[Event] = []
        for at, event in self._ordering.until(to):
            said += self._pass(at, closing)
            said += self._sums.push(at, event)
            if self._said is None and self._sums.activity.heard:
                self._said = self._reached(at)
        said += self._pass(to, closing)
        return said + self._sums.advance(to)

    def _pass(self, to: float, closing: float) -> list[Event]:
        """What is due up to `to`, except at the moment of `closing`, when it is said anyway."""
        said: list[Event] = []
        while self._said is not None and self._said < self._reached(to):
            self._said += 1
            at = round(self._said * self._every_s, 6)
            if at < closing:
                said += self._sums.advance(at)
                said.append(self._measured(at))
        return said

    def _reached(self, at: float) -> int:
        return int(at / self._every_s + 1e-9)

    def _measured(self, at: float) -> ConversationMeasured:
        found = measure(self._sums, self._silent_after_s, going(self._sums, at, ()), leavers=True)
        return ConversationMeasured(
            at, self._window_s, found.room, found.people, found.sides, found.interrupted_by, found.floor, found.silent
        )


def _unheard(event: Ordered) -> Ordered | None:
    """What is left of an event of somebody who was not analysed."""
    if isinstance(event, SpeakerJoined):
        return replace(event, analysed=False)
    return event if isinstance(event, SpeakerLeft) else None
