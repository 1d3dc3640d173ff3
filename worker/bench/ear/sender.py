"""The far end in a process of its own: a stand-in for an SFU that offers one line per speaker and sends their packets.

Reads a JSON object per line and answers with one: `answer`, then any number of `send`.
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

from worker.bench.ear.sound import STEP, Sent, stream
from worker.rooms.webrtc.peer import LEVEL
from worker.rooms.webrtc.transport import Transport

HEADER = struct.Struct("!BBHLLHHBBxx")
VOICES = 4


class Silent(MediaStreamTrack):
    """Keeps aiortc's own sender from sending."""

    kind = "audio"

    async def recv(self) -> Any:
        await asyncio.sleep(3600)


class Far:
    def __init__(self, speakers: int) -> None:
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.lines = [self.pc.addTransceiver(Silent(), "sendonly") for _ in range(speakers)]
        self.transport = Transport()
        self.next = 0
        """Number of the next packet of every speaker."""

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def connect(self, sdp: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        async with asyncio.timeout(20):
            while self.pc.connectionState != "connected":
                await asyncio.sleep(0.01)
        self.transport.attach(self.lines[0].sender.transport)

    async def send(
        self, seconds: float, talk_s: float, cycle_s: float, loss: list[float], burst: int = 0
    ) -> dict[str, Any]:
        """Sends in real time, speakers one after another within each 20 ms.

        Speaker n loses every packet with probability `loss[n % len(loss)]`, by a written seed, and all of them
        `burst` packets in a row after one second. Gives when each packet was sent, on the system's steady clock.
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
                drawn = chance.random()
                if drawn < loss[n % len(loss)] or 50 <= frame < 50 + burst:
                    lost[n] += 1
                    continue
                packets = streams[n]
                number = self.next + frame
                shift = n * len(packets) // len(self.lines)
                sent.append((n, number * STEP & 0xFFFFFFFF, time.monotonic()))
                self._send(line, number, packets[(number + shift) % len(packets)])
        self.next += frames
        return {"sent": sent, "lost": lost, "frames": frames}

    def _send(self, line: Any, number: int, packet: Sent) -> None:
        level_id = next(x.id for x in line._headerExtensions if x.uri == LEVEL)
        sequence, timestamp = number & 0xFFFF, number * STEP & 0xFFFFFFFF
        head = HEADER.pack(
            0x90, line._codecs[0].payloadType, sequence, timestamp, line.sender._ssrc,
            0xBEDE, 1, level_id << 4, packet.level,
        )  # fmt: skip
        self.transport.send(head + packet.payload)


async def main() -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    far = Far(int(sys.argv[1]))
    print(json.dumps({"offer": await far.offer()}), flush=True)
    await far.connect(json.loads(await reader.readline())["answer"])
    print(json.dumps({"connected": True}), flush=True)
    while line := await reader.readline():
        print(json.dumps(await far.send(**json.loads(line))), flush=True)
    await far.pc.close()


if __name__ == "__main__":
    asyncio.run(main())
