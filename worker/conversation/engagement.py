"""How much of a conversation a room is having: a score from who speaks and when, and from nothing else."""

from collections.abc import Iterable, Mapping

from worker.errors import ConfigError
from worker.events import ConversationMeasured, Engagement, Event


class Engagements:
    """Four parts of the rolling window, each from 0 to 1, and their weighted mean; an unknown part has no weight.

    It is about the room and never about one person, and no emotion is in it. The parts and their ends follow what
    Zoom scores (talk share, response lag, how often speakers change); the weights are judgement.
    """

    def __init__(
        self,
        balance_weight: float = 0.4,
        floor_changes_weight: float = 0.3,
        response_lag_weight: float = 0.2,
        silence_weight: float = 0.1,
        full_changes_per_min: float = 6.0,
        full_lag_s: float = 1.0,
        no_lag_s: float = 3.0,
        full_silence_share: float = 0.1,
        no_silence_share: float = 0.5,
        least_heard_s: float = 180.0,
    ) -> None:
        """`full_` is where a part is 1, `no_` where it is 0. Nothing is scored before `least_heard_s` were heard."""
        weights = (balance_weight, floor_changes_weight, response_lag_weight, silence_weight)
        if min(weights) < 0 or balance_weight + floor_changes_weight + silence_weight == 0:
            raise ConfigError("engagement: weights must not be below 0, nor all but response_lag_weight be 0.")
        if full_changes_per_min <= 0 or full_lag_s >= no_lag_s or full_silence_share >= no_silence_share:
            raise ConfigError("engagement: full_changes_per_min must be above 0, and each full_ end below its no_ end.")
        self._weights = dict(
            zip(
                ("balance", "floor_changes", "response_lag", "silence"),
                (w / sum(weights) for w in weights),
                strict=True,
            )
        )
        self._changes = full_changes_per_min
        self._lag, self._silence = (full_lag_s, no_lag_s), (full_silence_share, no_silence_share)
        self._least_heard_s = least_heard_s

    def push(self, event: Event) -> Iterable[Event]:
        return [self._score(event)] if isinstance(event, ConversationMeasured) else []

    def tick(self, at: float) -> Iterable[Event]:
        return ()

    def close(self, at: float) -> Iterable[Event]:
        return ()

    def _score(self, event: ConversationMeasured) -> Engagement:
        room = event.room
        changes = room.recent_floor_changes_per_min
        parts = {
            "balance": room.recent_balance,
            "floor_changes": None if changes is None else min(1.0, changes / self._changes),
            "response_lag": falling(room.recent_response_gap_s, *self._lag),
            "silence": falling(room.recent_silence_share, *self._silence),
        }
        spoken = sum(person.recent_talk_s for person in event.speakers.values())
        confidence = min(1.0, spoken / (event.window_s / 2))
        enough = room.heard_s >= self._least_heard_s
        return Engagement(event.at, self._sum(parts) if enough else None, parts, self._weights, confidence)

    def _sum(self, parts: Mapping[str, float | None]) -> float | None:
        """The weighted mean; None unless all but the lag are known, which has none until people answered each other."""
        known = {name: part for name, part in parts.items() if part is not None}
        if len(known) < len(parts) - ("response_lag" not in known):
            return None
        weight = sum(self._weights[name] for name in known)
        return min(100.0, 100 * sum(self._weights[name] * part for name, part in known.items()) / weight)


def falling(value: float | None, full: float, none: float) -> float | None:
    """1 up to `full`, falling in a line to 0 at `none`."""
    return None if value is None else min(1.0, max(0.0, (none - value) / (none - full)))
