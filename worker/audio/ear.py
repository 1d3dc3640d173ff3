"""One speaker's packets as they come from the network become sound on the room's clock, or are left alone."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from worker.audio import RATE, AudioChunk
from worker.audio.clock import RtpClock
from worker.audio.gate import Gate
from worker.audio.jitter import Lost, Reorder
from worker.audio.opus import FRAME, OpusDecoder
from worker.audio.rtp import RtpHeader

BROKEN = 5
"""Corrupt packets in a row after which the decoder is made anew."""
GUESSED = 5
"""Lost packets in a row that are guessed: after 100 ms libopus' guess has faded to nothing."""
FASTEST, BURST_S = 1.2, 2.0
"""A sender's sound may last this much of the time it took, and this much more: a few octets can claim 120 ms."""
SAMPLED = 50
"""Of packets that the gate would leave alone, every 50th is decrypted, and each after it until one succeeds: a speaker
whose packets can't be decrypted is noticed. A stream's first is decrypted always, as `UNHEARD` says."""
UNHEARD = 10_000
"""Of packets that nobody may hear, a stream's first and then one in so many is decrypted and thrown away: libsrtp
counts the cycles of the sequence by those it sees, and if it missed one, nothing after that could be decrypted."""
DEAF_S, DEAF_PACKETS = 3.0, 60
"""So long, and so many packets, without one that could be used: something between us is broken."""
TICKS = 3
"""RTP ticks at 48 kHz per sample at 16 kHz."""

Unseal: TypeAlias = Callable[[bytes], bytes | None]


class _Held:
    """A packet in its place, decrypted only once that is worth it."""

    __slots__ = ("arrival", "data", "header", "level", "sealed")

    def __init__(self, header: RtpHeader, data: bytes, level: int | None, arrival: float) -> None:
        self.header, self.data, self.level, self.arrival = header, data, level, arrival
        self.sealed = True


_Item: TypeAlias = _Held | Lost[_Held]


class Ear:
    """Packets in any order go in; chunks in order come out. Lost ones are rebuilt from the next one's copy or guessed.

    Silence that the sender chose not to send, or that the gate leaves alone, is a hole between chunks. `may_hear` is
    asked of each packet; once it says no, everything held is dropped, nothing is decoded and nothing but one packet in
    10,000 decrypted. `unseal` decrypts a packet, or gives None for one that is not authentic; without it packets come
    decrypted.
    """

    def __init__(
        self,
        speaker: str,
        may_hear: Callable[[str], bool] = lambda _: True,
        unseal: Unseal | None = None,
        gated: bool = True,
    ) -> None:
        self.lost = 0
        """Packets that never came."""
        self.rebuilt = 0
        """Of these, those whose sound was whole in the copy that the next packet carried."""
        self.corrupt = 0
        """Packets that could not be decoded."""
        self.refused = 0
        """Packets that claimed more sound than time."""
        self.forged = 0
        """Packets that could not be decrypted."""
        self.decoded = 0
        self._speaker, self._may_hear, self._unseal = speaker, may_hear, unseal
        self._gated = gated
        self._credit, self._spent_at = BURST_S, 0.0
        self._used_at: float | None = None
        self._unused = 0
        self._unopened = 0
        """Packets since the last one that was decrypted; more than any bound before a stream's first."""
        self._ssrc: int | None = None
        self._late = 0
        self._reorder: Reorder[_Held] = Reorder()
        self._fresh = False
        self.forget()

    def forget(self) -> None:
        """Drop everything that is held: what comes next is joined to nothing before it."""
        if self._fresh:
            return
        self._fresh = True
        self._late += self._reorder.late
        self._reorder = Reorder()
        self._gate: Gate[_Item] = Gate()
        self._clock = RtpClock()
        self._decoder = OpusDecoder()
        self._last: int | None = None
        self._step = FRAME
        self._in_a_row = 0

    def close(self) -> None:
        """Nothing more is heard; the same as `forget` here."""
        self.forget()

    @property
    def counts(self) -> dict[str, int]:
        """What became of the packets so far, by fate; they never fall."""
        return {
            "decoded": self.decoded,
            "lost": self.lost,
            "rebuilt": self.rebuilt,
            "late": self._late + self._reorder.late,
            "corrupt": self.corrupt,
            "refused": self.refused,
            "forged": self.forged,
        }

    def push(self, header: RtpHeader, data: bytes, now: float) -> list[AudioChunk]:
        """The sound this packet makes known. `now` is its arrival in seconds on the room's clock."""
        if header.ssrc != self._ssrc:  # another sender on the same line
            self.forget()
            self._ssrc, self._unopened = header.ssrc, UNHEARD
        self._unopened += 1
        if not self._may_hear(self._speaker):
            self.forget()
            self._pass_over(data)
            return []
        self._fresh = False
        self._unused += 1
        if self._used_at is None:
            self._used_at = now
        level = None if header.level is None else header.level & 127  # without the voice flag beside it
        held = _Held(header, data, level, now)
        worth = self._unseal is None or not self._gated or self._gate.passes(level) or self._unopened >= SAMPLED
        if worth and not self._open(held):
            return []
        return self._hear(self._reorder.push(header.sequence, held, now))

    def tick(self, now: float) -> list[AudioChunk]:
        """Call every 20-50 ms: closes a gap at the very end of speech, and notices that one may no longer hear."""
        if not self._may_hear(self._speaker):
            self.forget()
            return []
        return self._hear(self._reorder.tick(now))

    def deaf(self, now: float) -> bool:
        """Whether packets have been coming for 3 s of which none could be used."""
        return self._unused > DEAF_PACKETS and self._used_at is not None and now - self._used_at > DEAF_S

    # -- in order -------------------------------------------------------------------------------------------------

    def _hear(self, items: Sequence[_Item]) -> list[AudioChunk]:
        chunks: list[AudioChunk] = []
        for item in items:
            for due in self._worth(item) if self._gated else (item,):
                if isinstance(due, _Held):
                    self._decode(due, chunks)
                else:
                    self._replace(due, chunks)
        return chunks

    def _worth(self, item: _Item) -> Sequence[_Item]:
        if isinstance(item, _Held):
            return self._gate.push(item, item.level, item.header.timestamp)
        return self._gate.lost(item, item.following.header.timestamp)

    def _decode(self, held: _Held, chunks: list[AudioChunk]) -> None:
        payload = self._payload(held)
        if not payload:
            return  # not authentic, or padding, or a keep-alive: it holds no sound, and libopus must not see it
        claimed = self._decoder.length(payload)
        if claimed and not self._affords(claimed, held.arrival):
            self.refused += 1
            return
        sound = self._decoder.decode(payload) if claimed else None
        if sound is None:
            self._stumble()
            return
        self.decoded += 1
        self._in_a_row = 0
        self._last, self._step = held.header.timestamp, len(sound)
        start = self._clock.place(held.header.timestamp, held.arrival)
        chunks.append(AudioChunk(self._speaker, start, sound))

    def _replace(self, lost: Lost[_Held], chunks: list[AudioChunk]) -> None:
        """Sound in place of lost packets, if the timestamps around them say that they were speech without a pause."""
        self.lost += lost.count
        if self._last is None:
            return
        hole = (lost.following.header.timestamp - self._last) & 0xFFFFFFFF
        if abs(hole - (lost.count + 1) * self._step * TICKS) > self._step:
            return
        payload = self._payload(lost.following)
        end = self._clock.place(lost.following.header.timestamp, lost.following.arrival)
        for left in range(lost.count - 1, -1, -1):
            if not self._affords(self._step, lost.following.arrival):
                return
            if left == 0 and payload:
                self.rebuilt += self._decoder.carries_copy(payload)
                sound = self._decoder.recover(payload, self._step)
            else:
                sound = self._decoder.conceal(self._step) if lost.count - left <= GUESSED else None
            if sound is not None:
                start = end - (left + 1) * self._step / RATE
                chunks.append(AudioChunk(self._speaker, start, sound))

    # -- one packet -----------------------------------------------------------------------------------------------

    def _open(self, held: _Held) -> bool:
        data = self._unseal(held.data) if self._unseal is not None else held.data
        if data is None:
            self.forged += 1
            return False
        held.data, held.sealed = data, False
        self._used_at, self._unused, self._unopened = held.arrival, 0, 0
        return True

    def _pass_over(self, data: bytes) -> None:
        """Let libsrtp see a packet that nobody may hear, if that is due."""
        if self._unseal is not None and self._unopened >= UNHEARD and self._unseal(data) is not None:
            self._unopened = 0

    def _payload(self, held: _Held) -> bytes:
        """Without padding; empty when there is nothing to decode."""
        if held.sealed and not self._open(held):
            return b""
        return held.header.payload(held.data)

    def _stumble(self) -> None:
        self.corrupt += 1
        self._in_a_row += 1
        if self._in_a_row >= BROKEN:
            self._decoder, self._in_a_row = OpusDecoder(), 0

    def _affords(self, samples: int, now: float) -> bool:
        self._credit = min(BURST_S, self._credit + FASTEST * max(0.0, now - self._spent_at))
        self._spent_at = max(self._spent_at, now)
        if samples > self._credit * RATE:
            return False
        self._credit -= samples / RATE
        return True
