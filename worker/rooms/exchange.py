"""Who is carried to whom: packets go from each participant to all others, undecoded, and what they answer goes back."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from worker.audio.rtp import RtpHeader
from worker.rooms.forward import Leg
from worker.rooms.participant import Participant
from worker.rooms.webrtc.peer import lost_sequences, wants_keyframe


class Exchange:
    """A selective forwarding unit. A slot is a pair of lines towards one participant, for another's voice and picture.

    Who is here and on whose slot changes at once, without waiting; only RTCP is waited for. `aside` runs such work
    for a participant.
    """

    def __init__(self, aside: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self.here: dict[str, Participant] = {}
        """Everyone who was let in, by speaker; one that replaced another has its place."""
        self._aside = aside

    def holds(self, one: Participant) -> bool:
        return self.here.get(one.speaker) is one

    def remove(self, one: Participant) -> None:
        """Carry this participant to nobody, and nobody to them."""
        del self.here[one.speaker]
        one.legs = {"audio": {}, "video": {}}
        for leg in one.towards():
            for other in self.here.values():
                other.legs[leg.line.kind].pop(leg.line, None)

    def announce(self) -> None:
        """Tell everyone who is here and who is on which slot."""
        cards = [one.card() for one in self.here.values() if one.present]
        for one in self.here.values():
            one.say({"type": "participants", "participants": cards})
            self.assign(one)

    def pair_lines(self, one: Participant) -> None:
        """Make slots of the lines that this browser offered newly."""
        one.pair_lines(self._feedback)
        self.assign(one)

    def assign(self, one: Participant) -> None:
        """Give every other participant a slot towards this one; ask for more slots when they run out."""
        if not one.slots or not self.holds(one):
            return
        others = [other for other in self.here.values() if other.present and other is not one]
        one.carried = {number: other for number, other in one.carried.items() if other in others}
        for other in others:
            free = next((number for number in range(len(one.slots)) if number not in one.carried), None)
            if free is not None and other not in one.carried.values():
                self._place(one, free, other)
        slots = [
            {
                "audio": sound.line.mid,
                "video": picture.line.mid,
                "speaker": one.carried[number].speaker if number in one.carried else None,
            }
            for number, (sound, picture) in enumerate(one.slots)
        ]
        one.say({"type": "slots", "slots": slots, "wanted": max(len(slots), len(others))})

    def _place(self, one: Participant, number: int, other: Participant) -> None:
        """From now on this slot carries the other, beginning with a whole picture."""
        one.carried[number] = other
        for leg in one.slots[number]:
            leg.restart()
            other.legs[leg.line.kind][leg.line] = leg
        if other.peer is not None:
            self._aside(self._keyframe(other))

    def carry(self, one: Participant, kind: str, header: RtpHeader, packet: bytes, now: float) -> None:
        """One media packet of one participant, to all others."""
        for leg in one.legs[kind].values():
            leg.forward(header, packet, now)
        if kind == "video":
            one.keep(header, packet)

    async def report(self, one: Participant, kind: str, report: Any) -> None:
        """Pass a sender report on to everyone who is sent that sound or picture."""
        for other in list(self.here.values()):
            for leg in other.towards():
                timestamp = leg.timestamp(report.sender_info.rtp_timestamp)
                if leg.line in one.legs[kind] and timestamp is not None and other.peer is not None:
                    await other.peer.send_report(leg.line, report, timestamp)

    async def _feedback(self, one: Participant, number: int, leg: Leg, packet: Any) -> None:
        """What a subscriber says of a line, answered or passed on to whom it carries."""
        other = one.carried.get(number)
        if other is None or other.peer is None or not self.holds(one):
            return
        if wants_keyframe(packet):
            await self._keyframe(other)
        elif lost := leg.source_sequences(lost_sequences(packet)):
            await other.peer.ask_again(leg.line.kind, other.repeat(leg, lost, one))

    async def _keyframe(self, one: Participant) -> None:
        if one.peer is not None and one.keyframes(time.monotonic()):
            await one.peer.ask_keyframe()
