"""The far ends in a process of their own: stand-ins for SFUs that offer a line per speaker and send their packets.

Reads a JSON object per line and answers each with one: `offer`, `answer` and `send` name a connection by its number.
"""

import asyncio
import json
import random
import struct
import sys
import time
from typing import Any

import aioice.ice
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from worker.bench.ear.sound import STEP, VOICES, Sent, stream
from worker.rooms.webrtc.peer import LEVEL
from worker.rooms.webrtc.transport import Transport

HEADER = struct.Struct("!BBHLLHHBBxx")
CONNECT_S = 20.0


class Silent(MediaStreamTrack):
    """Keeps aiortc's own sender from sending."""

    kind = "audio"

    async def recv(self) -> Any:
        await asyncio.sleep(3600)


class Far:
    """One connection."""

    def __init__(self, speakers: int) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.lines = [self.pc.addTransceiver(Silent(), "sendonly") for _ in range(speakers)]
        self.transport = Transport()
        self.next = 0
        """Number of the next packet of every speaker."""

    async def offer(self) -> dict[str, Any]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"sdp": self.pc.localDescription.sdp}

    async def answer(self, sdp: str) -> dict[str, Any]:
        connected = asyncio.Event()

        @self.pc.on("connectionstatechange")
        def changed() -> None:
            if self.pc.connectionState == "connected":
                connected.set()

        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await asyncio.wait_for(connected.wait(), CONNECT_S)
        self.transport.attach(self.lines[0].sender.transport)
        return {}

    async def send(
        self, seconds: float, talk_s: float, cycle_s: float, loss: list[float], burst: int = 0
    ) -> dict[str, Any]:
        """Sends in real time, speakers one after another within each 20 ms.

        Speaker n loses each packet with probability `loss[n % len(loss)]`, by a written seed, and all lose `burst`
        packets in a row after one second. Answers with when each packet was sent, on the system's steady clock.
        """
        streams = [stream(n % VOICES, talk_s, cycle_s) for n in range(len(self.lines))]
        chance = random.Random(self.next)
        began, frames = time.monotonic() + 0.05, round(seconds * 50)
        sent, lost = [], [0] * len(self.lines)
        for frame in range(frames):
            for n, line in enumerate(self.lines):
                due = began + (frame + n / len(self.lines)) * 0.02
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                if chance.random() < loss[n % len(loss)] or 50 <= frame < 50 + burst:
                    lost[n] += 1
                    continue
                number, packets = self.next + frame, streams[n]
                shift = n * len(packets) // len(self.lines)
                sent.append((n, number * STEP & 0xFFFFFFFF, time.monotonic()))
                self._send(line, number, packets[(number + shift) % len(packets)])
        self.next += frames
        return {"sent": sent, "missed": lost, "frames": frames}

    def _send(self, line: Any, number: int, packet: Sent) -> None:
        level_id = next(x.id for x in line._headerExtensions if x.uri == LEVEL)
        head = HEADER.pack(
            0x90,
            line._codecs[0].payloadType,
            number & 0xFFFF,
            number * STEP & 0xFFFFFFFF,
            line.sender._ssrc,
            0xBEDE,
            1,
            level_id << 4,
            packet.level,
        )
        self.transport.send(head + packet.payload)


async def main() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ends: list[Far] = []
    while line := await reader.readline():
        request = json.loads(line)
        what, number = request.pop("do"), request.pop("connection")
        if what == "offer":
            ends.append(Far(**request))
            request = {}
        print(json.dumps(await getattr(ends[number], what)(**request)), flush=True)
    for end in ends:
        await end.pc.close()


if __name__ == "__main__":
    asyncio.run(main())
