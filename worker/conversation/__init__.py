"""What happens between speakers."""

from collections.abc import Iterable
from typing import Protocol

from worker.events import Event

OBSERVERS = {
    "talk_time": "worker.conversation.talk_time:TalkTimes",
    "dynamics": "worker.conversation.dynamics:Dynamics",
    "engagement": "worker.conversation.engagement:Engagements",
    "shifts": "worker.conversation.shifts:Shifts",
}


class Observer(Protocol):
    """Is fed every event and the room's clock, and answers with events of its own."""

    def push(self, event: Event) -> Iterable[Event]: ...

    def tick(self, at: float) -> Iterable[Event]:
        """The room's clock has reached `at` seconds; every sound before it has been heard."""
        ...

    def close(self, at: float) -> Iterable[Event]:
        """The room closed at `at` seconds; everyone's last word has been pushed."""
        ...
