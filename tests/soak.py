"""Ten minutes of coming and going: `python -m tests.soak [SECONDS]` exits 1 when memory, tasks or files grow.

An embedded room with its session, visited by aiortc guests who join, talk, mute, withdraw, reload, leave and vanish;
and a listener whose lines are offered anew with other streams. Once in a round all guests are gone, and what the
process still holds is counted.
"""

import argparse
import asyncio
import gc
import logging
import os
import statistics
import sys
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import aioice.ice
import numpy as np
import structlog
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.consenting import consent as new_consent
from tests.hall import PERSON, Guest, Silent, choice, vanish
from worker.audio.windows import Windows
from worker.conversation.talk_time import TalkTimes
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering
from worker.ops.http import Server
from worker.rooms.embedded import EmbeddedRoom
from worker.rooms.guests import numbered, packets
from worker.rooms.webrtc.listener import Listener
from worker.session import Session
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter

ROUND_S = 10.0
LINES = 4
"""Of the listener."""
GROWTH_MB = 5.0
"""From the second quarter to the last one: more than the allocator's own wandering."""


@dataclass
class Sample:
    """What the process holds while nobody visits."""

    rss_mb: float
    tasks: int
    files: int
    threads: int

    @classmethod
    def take(cls):
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            len(asyncio.all_tasks()),
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
        )


class Hall:
    """The room with its session; what is said of it is counted and forgotten."""

    def __init__(self, receive):
        self.server, policy = Server(port=0), new_consent()
        self.room = EmbeddedRoom(self.server, policy, "hall", receive=receive)
        self.said = 0
        models = Models(self._loudness, None, "none")
        self.session = Session(
            self.room,
            policy,
            lambda speaker, _: Speaker(speaker, models, Segmenter(speaker), Windows(), Smoother()),
            [TalkTimes()],
            Numbering("hall", 1, datetime.now(UTC)),
            self,
        )

    async def _loudness(self, item):
        return float(np.abs(item[0]).max() > 0.01), None

    def put(self, envelope):
        self.said += envelope.event.type.startswith("speech.")

    async def settle(self):
        """Nobody is waited for."""

    async def welcome(self, listener, behind):
        await self.room.send("{}", to=listener)

    async def empty(self):
        async with asyncio.timeout(20):
            while self.room._here or self.room._aside.running or self.session._live or self.server._sockets:
                await asyncio.sleep(0.05)


class Lines:
    """A sender of some streams, and the listener that answers it: each offer has other streams on the same lines."""

    def __init__(self):
        self.heard = 0
        self.changed = 0
        self.listener = Listener(self._give, time.monotonic)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.senders = [self.pc.addTransceiver(Silent("audio"), "sendonly").sender for _ in range(LINES)]

    def _give(self, chunks):
        self.heard += len(chunks)

    async def offer(self):
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer, changed = await self.listener.answer(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        for mid in changed:
            self.listener.hear(mid, f"again{mid}")
        self.changed += len(changed)

    async def open(self):
        await self.offer()
        for number, transceiver in enumerate(self.pc.getTransceivers()):
            self.listener.hear(transceiver.mid, f"s{number}")
        async with asyncio.timeout(10):
            while self.listener.pc.connectionState != "connected":
                await asyncio.sleep(0.05)

    async def reuse(self, number):
        """Someone else talks for a second on each line."""
        for line, sender in enumerate(self.senders):
            sender._ssrc = 1 + number * LINES + line
        await self.offer()
        voice = numbered(packets(number), 30)
        for _, (header, payload) in zip(range(50), voice, strict=False):
            for sender in self.senders:
                first = bytes([0x80, 96]) + header.sequence.to_bytes(2) + header.timestamp.to_bytes(4)
                await sender.transport._send_rtp(first + sender._ssrc.to_bytes(4) + payload)
            self.listener.tick()
            await asyncio.sleep(0.02)

    async def close(self):
        await self.pc.close()
        await self.listener.close()


async def visit(hall, session):
    """One of each way to come, to stay and to go."""
    ada, bo, cy, dee, eve = (
        Guest(hall, session, name, f"{PERSON} {name}") for name in ("Ada", "Bo", "Cy", "Dee", "Eve")
    )
    cy.options = {"autoping": False}
    await ada.join()
    await bo.join()
    await cy.join()
    talking = [asyncio.create_task(guest.speak(100, pause_s=0.02)) for guest in (ada, bo, cy)]
    await dee.join(connect=False)  # never offers anything
    await asyncio.sleep(0.5)
    vanish(cy)
    await bo.say({"type": "mute", "muted": True})
    await ada.say({"type": "consent"} | choice("presence"))
    await asyncio.sleep(0.3)
    await bo.say({"type": "mute", "muted": False})
    await ada.say({"type": "consent"} | choice())
    again = await Guest(hall, session, "Ada", f"{PERSON} Ada").join()  # the first one is still there
    await eve.join()
    eve.socket._response.connection.transport.abort()
    await asyncio.gather(*talking, return_exceptions=True)
    await again.speak(20)
    await bo.say({"type": "leave"})
    await asyncio.wait_for(cy.closed.wait(), 10)
    for guest in (ada, again, bo, cy, dee, eve):
        with suppress(ConnectionError):
            await guest.leave()


@asynccontextmanager
async def opened(receive):
    hall, lines = Hall(receive), Lines()
    await hall.server.start()
    running = asyncio.create_task(hall.session.run())
    await lines.open()
    try:
        yield hall, lines
    finally:
        await lines.close()
        await hall.room.close()
        await running
        await hall.server.stop()


async def soak(seconds, receive):
    samples, begun = [], time.monotonic()
    async with opened(receive) as (hall, lines):
        while time.monotonic() - begun < seconds:
            due = time.monotonic() + ROUND_S
            said, heard = hall.said, lines.heard
            async with aiohttp.ClientSession() as session:
                await asyncio.gather(visit(hall, session), lines.reuse(len(samples)))
            await hall.empty()
            await asyncio.sleep(max(1.0, due - time.monotonic()))
            samples.append(one := Sample.take())
            print(
                f"{time.monotonic() - begun:5.0f} s  {one.rss_mb:6.1f} MB  {one.tasks:3} tasks  {one.files:3} files"
                f"  {one.threads:2} threads  {hall.said - said:3} said  {lines.heard - heard:3} heard"
                f"  {lines.changed:3} lines used again",
                flush=True,
            )
            if hall.said == said or lines.heard == heard:
                sys.exit("Nothing was heard in this round.")
    return samples


def grown(samples):
    """A sentence for everything that is more in the last quarter than in the second one."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    for name, allowed in (("rss_mb", GROWTH_MB), ("tasks", 0), ("files", 0), ("threads", 0)):
        before, after = (statistics.median(getattr(one, name) for one in some) for some in (early, late))
        print(f"{name:8} {before:8.1f} in the second quarter {after:8.1f} in the last")
        if after - before > allowed:
            yield f"{name} grew by {after - before:.1f}."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=600.0)
    parser.add_argument("--receive", choices=["own", "stock"], default="own", help="in the room")
    asked = parser.parse_args()
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    faults = list(grown(asyncio.run(soak(asked.seconds, asked.receive))))
    print(*faults or ["Nothing grew."], sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
