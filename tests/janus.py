"""A Janus of the tests' own, people in its rooms whom aiortc plays, and a note of what the worker's room gives."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from tests.consenting import consent as new_consent
from tests.support import free_port, require, wait_for_port
from worker.audio import AudioChunk
from worker.errors import RoomError
from worker.rooms import Tick
from worker.rooms.janus.api import Api
from worker.rooms.janus.room import JanusRoom

CONFIGURATION = Path("deploy/janus")
SECRET = "of-the-room"
TONES = {"ada": {400, 425, 450, 475}, "ben": {625, 650, 675, 700}, "cyd": {850, 875, 900, 925}}
"""440, 660 and 880 Hz, in bins of 25 Hz, with room for the holes between what somebody said."""
_numbers = count(5000)


class JanusServer:
    """Debian's janus with the shipped configuration, on its own port; `settings` are added, as `<section>_<name>`."""

    def __init__(self, folder, **settings):
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/"
        self._program = require("janus")
        self._folder = Path(folder)
        self._log = self._folder / "janus.log"
        for file in CONFIGURATION.glob("*.jcfg"):
            shutil.copy(file, self._folder)
        self._set("janus.transport.websockets.jcfg", r"ws_port = \d+", f"ws_port = {self.port}")
        for name, value in settings.items():
            section, _, key = name.partition("_")
            if section == "videoroom":
                self._set("janus.plugin.videoroom.jcfg", r"\A", f"general: {{\n\t{key} = {value}\n}}\n")
            else:
                self._set("janus.jcfg", section + ": {", f"{section}: {{\n\t{key} = {value}")
        self.process = None
        self.start()

    def _set(self, name, pattern, text):
        file = self._folder / name
        changed, times = re.subn(pattern, text, file.read_text())
        assert times == 1, pattern
        file.write_text(changed)

    def start(self):
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                # the folder, because 1.1.2 may leave a core where it ends while people are in its rooms
                [self._program, "-F", str(self._folder)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
            )
        wait_for_port(self.port)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Client:
    """A session on a Janus, for everything but the worker's own stay."""

    def __init__(self, url, room):
        self.room, self.events = room, []
        self.api = Api(url, {}, lambda error: None)

    async def open(self):
        await self.api.open()
        self.handle = await self.api.attach(self.events.append)
        return self

    async def ask(self, jsep=None, **body):
        return await self.api.message(self.handle, {"room": self.room, **body}, jsep)

    async def close(self):
        await self.api.close()


@asynccontextmanager
async def client(url, room):
    one = Client(url, room)
    try:
        yield await one.open()
    finally:
        await one.close()


@asynccontextmanager
async def made_room(url, kind=int, **options):
    """The number of a new room, that ends with the block; `kind` is str where the server has `string_ids`."""
    number = kind(next(_numbers))
    async with client(url, number) as owner:
        wish = {"publishers": 30, "audiocodec": "opus", "audiolevel_ext": True, "opus_fec": True, "secret": SECRET}
        await owner.ask(request="create", **(wish | options))
        try:
            yield number
        finally:
            with suppress(RoomError):  # the test destroyed it, or the server
                await owner.ask(request="destroy", secret=SECRET)


class Tone(MediaStreamTrack):
    """A sine, in real time; `hertz` 0 is silence."""

    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self.hertz, self._sent, self._begun = hertz, 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0.0, self._begun + self._sent / 48_000 - time.monotonic()))
        at = np.arange(self._sent, self._sent + 960) / 48_000
        sound = (0.25 * 32_767 * np.sin(2 * np.pi * self.hertz * at)).astype(np.int16)
        frame = AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent, Fraction(1, 48_000)
        self._sent += 960
        return frame


def connection():
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


class Publisher(Client):
    """Somebody who speaks one tone."""

    def __init__(self, url, room, display, hertz, **join):
        super().__init__(url, room)
        self.hertz, self._join = hertz, {"display": display} | join
        self.pc = None

    async def enter(self, publish=True, **jsep):
        await self.open()
        self.joined = await self.ask(request="join", ptype="publisher", **self._join)
        self.id = self.joined["id"]
        if publish:
            await self.publish(**jsep)
        return self

    async def publish(self, **jsep):
        self.pc = connection()
        self.sender = self.pc.addTrack(Tone(self.hertz))
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = {"type": "offer", "sdp": self.pc.localDescription.sdp} | jsep
        answer = (await self.ask(offer, request="publish", audio=True, video=False))["jsep"]
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        await until(lambda: self.pc.connectionState == "connected")

    async def unpublish(self):
        """Janus takes no new offer, and answers nothing for 3 s, while it still takes the last connection down."""
        await self.ask(request="unpublish")
        await self.pc.close()
        await until(lambda: any(reply.get("janus") == "hangup" for reply in self.events))
        self.events.clear()

    async def leave(self):
        """Says goodbye, as an application's own button does."""
        await self.ask(request="leave")
        await self.close()

    async def close(self):
        """Goes without a word, as a page that is closed or loaded anew."""
        await self.api.close()
        if self.pc is not None:
            await self.pc.close()


@asynccontextmanager
async def people(url, room, join=None, **hertz):
    """Publishers by their display names."""
    async with AsyncExitStack() as stack:
        present = [Publisher(url, room, name, tone, **(join or {})) for name, tone in hertz.items()]
        for one in present:
            stack.push_async_callback(one.close)
            await one.enter()
        yield present


async def our_feed(watcher):
    """The worker's feed as others see it, once it publishes."""
    async with asyncio.timeout(5):
        while True:
            for who in (await watcher.ask(request="listparticipants"))["participants"]:
                if who["publisher"] and who["display"].startswith("Undertone"):
                    return who["id"]
            await asyncio.sleep(0.05)


@asynccontextmanager
async def telling(url, room, display, **channels):
    """Somebody who publishes nothing but data: their feed, and their channels by label, each with its options."""
    async with client(url, room) as one:
        pc = connection()
        try:
            feed = (await one.ask(request="join", ptype="publisher", display=display))["id"]
            made = {label: pc.createDataChannel(label, **options) for label, options in channels.items()}
            await pc.setLocalDescription(await pc.createOffer())
            offer = {"type": "offer", "sdp": pc.localDescription.sdp}
            answer = (await one.ask(offer, request="publish", audio=False, video=False, data=True))["jsep"]
            await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            await until(lambda: all(channel.readyState == "open" for channel in made.values()))
            yield feed, made
        finally:
            await pc.close()


class Viewer(Client):
    """Somebody who subscribes to a feed's data, as a browser must: by opening a channel of its own."""

    def __init__(self, url, room):
        super().__init__(url, room)
        self.messages, self.labels, self.pc = [], [], None

    async def watch(self, feed):
        await self.open()
        self.pc = connection()
        self.pc.createDataChannel("JanusDataChannel")
        self.pc.on("datachannel", self._channel)
        offer = (await self.ask(request="join", ptype="subscriber", streams=[{"feed": feed}]))["jsep"]
        await self.pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        await self.ask({"type": "answer", "sdp": self.pc.localDescription.sdp}, request="start")
        return self

    def _channel(self, channel):
        self.labels.append(channel.label)
        channel.on("message", self.messages.append)

    async def close(self):
        await self.api.close()
        if self.pc is not None:
            await self.pc.close()


class Stay:
    """The worker's room, with a note of everything it gives."""

    def __init__(self, url, room, agreed=True, **options):
        self.policy = new_consent()
        options = {"consent": "host"} | options if agreed else options
        self.room = JanusRoom(self.policy, url, room, **options)
        self.items, self.error = [], None

    async def collect(self):
        try:
            async for item in self.room:
                self.items.append(item)
        except RoomError as error:
            self.error = error

    def kinds(self, *kinds):
        return [item for item in self.items if isinstance(item, kinds)]

    def said(self):
        """Everything but sound and time, in short: `joined ada 1`, `left ada`."""
        names = {}
        for item in self.items:
            if isinstance(item, AudioChunk | Tick) or not hasattr(item, "speaker"):
                continue
            verb = type(item).__name__.removeprefix("Speaker").lower()
            names[item.speaker] = getattr(item, "name", names.get(item.speaker))
            yield " ".join([verb, names[item.speaker], *([str(item.generation)] if verb == "joined" else [])])

    @property
    def now(self):
        return self.room._now()

    def id_of(self, name):
        return next(item.speaker for item in self.items if getattr(item, "name", None) == name)

    def sound(self, name, since=0.0):
        """What was heard of someone, one array per chunk."""
        if not any(getattr(item, "name", None) == name for item in self.items):
            return []
        speaker = self.id_of(name)
        return [c for c in self.kinds(AudioChunk) if c.speaker == speaker and c.start >= since]

    def heard_s(self, name, since=0.0):
        return sum(len(chunk.samples) for chunk in self.sound(name, since)) / 16_000

    async def hears(self, name, seconds=0.4, within_s=10):
        """Until so much of someone has been heard from now on."""
        since = self.now
        await until(lambda: self.heard_s(name, since) >= seconds or self.error, within_s)
        assert self.error is None, self.error


@asynccontextmanager
async def stay(url, room, **options):
    one = Stay(url, room, **options)
    task = asyncio.create_task(one.collect())
    try:
        yield one
    finally:
        await one.room.close()
        await task


async def refusal(url, room, **options):
    async with stay(url, room, **options) as one:
        await until(lambda: one.error, 6)
        assert one.kinds(Tick) == []
        return one.error.code


def tones(chunks):
    """The strongest frequencies of all stretches of 40 ms that hold sound, rounded to the bins of 25 Hz."""
    found = set()
    sound = np.concatenate([np.zeros(0, np.float32), *[chunk.samples for chunk in chunks]])
    for part in sound[: len(sound) // 640 * 640].reshape(-1, 640):
        if np.sqrt(np.mean(part**2)) > 0.05:
            found.add(int(np.argmax(np.abs(np.fft.rfft(part * np.hanning(640))))) * 25)
    return found


def unmixed(one):
    heard = {name: tones(one.sound(name)) for name in TONES}
    return all(found <= TONES[name] for name, found in heard.items()) or heard


async def until(true, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def janus(tmp_path_factory):
    """One server for all tests that leave it as it is; each makes a room of its own."""
    server = JanusServer(tmp_path_factory.mktemp("janus"))
    yield server
    server.kill()


@pytest.fixture
def own_janus(tmp_path):
    """Makes a server for a test that harms it or needs other settings."""
    servers = []

    def make(**settings):
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(JanusServer(folder, **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


def own_address():
    """This machine's address on its first network, where Janus listens; no packet is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.200", 9))
        return one.getsockname()[0]


@contextmanager
def coturn(folder, *options):
    """The address of a TURN server of the test's own."""
    port, address = free_port(), own_address()
    options = ["-n", "--no-tls", "--no-dtls", "--no-cli", "--realm=tests", *options]
    options += [f"--listening-ip={address}", f"--relay-ip={address}", f"--listening-port={port}"]
    options += [f"--pidfile={folder}/turn.pid", "--log-file=stdout", "--simple-log"]
    with (folder / "turn.log").open("wb") as log:
        process = subprocess.Popen([require("turnserver"), *options], stdout=log, stderr=log, cwd=folder)
    try:
        wait_for_port(port, address)
        yield f"turn:{address}:{port}?transport=udp"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def turn(tmp_path):
    """The address of one whose user is `ada` with the password `quite-secret`."""
    with coturn(tmp_path, "--lt-cred-mech", "--user=ada:quite-secret") as address:
        yield address
