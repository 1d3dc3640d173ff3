"""Live events for many listeners, each of whom may come late, be slow, or come back."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator

from worker.envelope import Envelope
from worker.events import Gap
from worker.prompts import ALONE, IN_CALL, LETTERS, MANAGERS, is_in_call
from worker.ring import Ring
from worker.sinks.delivery import Change
from worker.sinks.snapshot import Snapshot


class Feed:
    """Keeps the newest `history` events; each listener may lag `waiting` events behind before it gets a Gap.

    `snapshot` may be ahead of what was pushed: listeners are not told again what their snapshot already holds.
    What is for one audience alone goes to its listeners alone; each that comes is first given the newest of it. What is
    for those in the call goes to participants while they are there, and is not kept.
    """

    def __init__(self, snapshot: Snapshot, history: int = 10_000, waiting: int = 1000) -> None:
        self._snapshot = snapshot
        self._history: deque[Envelope] = deque(maxlen=history)
        self._waiting = waiting
        self._next = snapshot.seq + 1
        self._letters: deque[Envelope] = deque(maxlen=LETTERS)
        self._private: dict[str, int] = {}
        """Number of the last private event, by audience."""
        self._listeners: dict[Ring[Envelope], str] = {}
        """With the audience that each belongs to, if any."""
        self._closed = False

    def push(self, envelope: Envelope) -> None:
        in_call = is_in_call(envelope.audience)
        if in_call:
            self._private[envelope.audience] = envelope.seq
        elif envelope.audience:
            self._letters.append(envelope)
            self._private[envelope.audience] = envelope.seq
        else:
            self._history.append(envelope)
            self._next = envelope.seq + 1
        for ring, audience in self._listeners.items():
            if envelope.audience in _heard_by(audience) and (not in_call or self._snapshot.is_present(audience)):
                ring.put(envelope)

    def held(self) -> list[Envelope]:
        """What is kept for those who come back, and what waits for listeners."""
        return [*self._history, *self._letters, *(one for ring in self._listeners for one in ring.waiting())]

    def rewrite(self, change: Change) -> None:
        """Put in the place of each of these what `change` makes of it, None for nothing; a hole is told as a Gap."""
        for events in (self._history, self._letters):
            kept = [left for one in events if (left := change(one)) is not None]
            events.clear()
            events.extend(kept)
        for ring in self._listeners:
            ring.rewrite(change)

    def close(self) -> None:
        """Every listener is given what waits for it and then ends."""
        self._closed = True
        for ring in self._listeners:
            ring.close()

    async def subscribe(self, since: tuple[int, int] | None = None, audience: str = "") -> AsyncGenerator[str, None]:
        """JSON messages in order, none twice, holes announced; with an `audience`, what is for it alone as well.

        `since` is (epoch, seq) of the last event the listener has: if everything after it is still kept, that comes
        first. Otherwise a Gap (when there is something it missed) and the snapshot come first.
        """
        ring: Ring[Envelope] = Ring(self._waiting)
        if self._closed:
            ring.close()
        self._listeners[ring] = audience
        try:
            letters = [letter for letter in self._letters if audience and letter.audience == audience]
            last = {one: self._private.get(one, 0) for one in _heard_by(audience)}
            if letters:
                last[audience] = _first(letters[0]) - 1
            if self._resumes(since):
                last[""] = since[1] if since else 0
                missed = list(self._history)
            else:
                gap, last[""], missed = self._gap(since), self._snapshot.seq, []
                text = self._snapshot.as_json()
                if gap is not None:
                    yield gap.as_json()
                yield text
            for envelope in [*missed, *letters]:
                for said in _bridge(last, envelope):
                    yield said.as_json()
            async for envelope in ring:
                for said in _bridge(last, envelope):
                    yield said.as_json()
        finally:
            del self._listeners[ring]

    def _resumes(self, since: tuple[int, int] | None) -> bool:
        oldest = _first(self._history[0]) if self._history else self._next
        newest = max(self._snapshot.seq, self._next - 1)
        return since is not None and since[0] == self._snapshot.epoch and oldest - 1 <= since[1] <= newest

    def _gap(self, since: tuple[int, int] | None) -> Envelope | None:
        """What lies between the listener's last event and the snapshot; of another epoch's numbers nothing is known."""
        if since is None:
            return None
        last = since[1] if since[0] == self._snapshot.epoch and since[1] <= self._snapshot.seq else 0
        return self._snapshot.gap_since(last) if last < self._snapshot.seq else None


def _heard_by(audience: str) -> tuple[str, ...]:
    """The audiences that a listener of this one belongs to."""
    if audience in ("", MANAGERS):
        return ("", audience)
    return ("", audience, IN_CALL, f"{ALONE}{audience}")


def _first(envelope: Envelope) -> int:
    return envelope.event.from_seq if isinstance(envelope.event, Gap) else envelope.seq


def _bridge(last: dict[str, int], envelope: Envelope) -> Iterator[Envelope]:
    """What to tell a listener that has everything up to `last`, by audience: nothing, the event, or first the Gap
    before it. Moves `last` on."""
    known = last[envelope.audience]
    if envelope.seq <= known:
        return
    last[envelope.audience] = envelope.seq
    if isinstance(envelope.event, Gap):
        gap = Gap(envelope.event.at, known + 1, envelope.seq)
        yield Envelope(gap, envelope.room, envelope.seq, envelope.epoch, envelope.time, envelope.audience)
        return
    if envelope.seq > known + 1:
        yield envelope.gap_since(known)
    yield envelope
