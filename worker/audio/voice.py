"""Turns one speaker's Opus packets into sound on the room's clock."""

from collections.abc import Iterable

from worker.audio import RATE, AudioChunk, Samples
from worker.audio.clock import RtpClock
from worker.audio.jitter import Lost, Packet, Reorder
from worker.audio.opus import OpusDecoder

BROKEN = 5
"""Corrupt packets in a row after which the decoder is made anew."""


class Voice:
    """Packets in any order go in; chunks in order come out. Lost packets are rebuilt or concealed.

    Silence that the sender chose not to send is left as a hole between chunks.
    """

    def __init__(self, speaker: str) -> None:
        self.lost = 0
        """Packets that never came."""
        self.corrupt = 0
        """Packets that could not be decoded."""
        self._speaker = speaker
        self._reorder = Reorder()
        self._clock = RtpClock()
        self._decoder = OpusDecoder()
        self._end = 0.0
        self._in_a_row = 0
        self._credit = 1.0
        self._heard = 0.0

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float) -> list[AudioChunk]:
        """The sound this packet makes known. `now` is its arrival in seconds on the room's clock."""
        return self._decode(self._reorder.push(sequence, Packet(timestamp, payload), now), now)

    def tick(self, now: float) -> list[AudioChunk]:
        """Call every 20-50 ms, so that a gap at the very end of speech closes too."""
        return self._decode(self._reorder.tick(now), now)

    def _decode(self, packets: Iterable[Packet | Lost], now: float) -> list[AudioChunk]:
        chunks = []
        for packet in packets:
            if isinstance(packet, Lost):
                self.lost += 1
                start, sound = self._end, self._rebuild(packet.following)
            else:
                start, sound = self._clock.place(packet.timestamp, now), self._sound(packet.payload)
            if sound is not None and self._affords(sound, now):
                chunks.append(AudioChunk(self._speaker, start, sound))
                self._end = start + len(sound) / RATE
        return chunks

    def _rebuild(self, following: bytes | None) -> Samples | None:
        return self._decoder.recover(following) if following else self._decoder.conceal()

    def _sound(self, payload: bytes) -> Samples | None:
        if not payload:
            return None  # padding, or a keep-alive: it holds no sound
        sound = self._decoder.decode(payload)
        if sound is None:
            self.corrupt += 1
            self._in_a_row += 1
            if self._in_a_row >= BROKEN:
                self._decoder, self._in_a_row = OpusDecoder(), 0
        else:
            self._in_a_row = 0
        return sound

    def _affords(self, sound: Samples, now: float) -> bool:
        """Caps a sender at 1.2 times real time plus a second: a few bytes can claim 120 ms of sound."""
        self._credit = min(1.0, self._credit + 1.2 * (now - self._heard))
        self._heard = now
        seconds = len(sound) / RATE
        if seconds > self._credit:
            return False
        self._credit -= seconds
        return True
