"""The room's page in a real browser, with a worker that is only played: what it is told, and what it says."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

from worker.bench.browser import choose, chromium

FOLDER = Path(__file__).parent.parent.parent / "frontend_demo"
ADDRESS = "http://localhost:1/"
LEVELS = {
    "presence": ("Nothing", "Others see and hear me as ever; nothing of my voice is measured."),
    "metrics": ("My talk time", "How long I talk, and how turns change between us."),
    "prosody": ("My talk time, pace and loudness", "How loud and how fast, and how far my pitch moves."),
    "emotion": ("My talk time, pace, loudness and tone", "An estimate of how my voice sounded, and how sure that is."),
}
NOTICE = {
    "text": "Undertone listens to this call. It measures who speaks. Sound is never stored.",
    "version": "0123456789ab",
    "purpose": "coaching",
    "operator": "Kolb & Sons",
    "contact": "privacy@example.org",
    "seen_by": "everyone in this room",
    "events_days": 30,
    "prompts_days": 7,
}
CHANNEL = """
const make = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...how) {
  return (window.channel = make.apply(this, how));
};
"""
"""Whoever plays the worker says its events on it."""


class Played:
    """One page, and everything that it told the worker."""

    def __init__(self, page, highest, files=None):
        self.page, self.highest, self.files = page, highest, files or {}
        self.notice, self.said, self.asked = dict(NOTICE), [], []
        self.others = []
        self.deaf = False
        """Whether the worker answers nothing."""
        self._socket, self._seq, self._last = None, 0, ()

    async def open(self):
        await self.page.add_init_script(CHANNEL)
        await self.page.route(f"{ADDRESS}**", self._answer)
        await self.page.route_web_socket("**/join", self._connect)
        await self.page.goto(ADDRESS)
        await self.page.wait_for_selector("#submit:not([disabled])")

    async def enter(self, level, name="Ada"):
        await self.page.fill("#name", name)
        await choose(self.page, "#form", level)
        await self.page.click("#submit")
        await self.page.wait_for_selector("#room:not([hidden]) .tile")

    def about(self):
        offered = list(LEVELS)[: list(LEVELS).index(self.highest) + 1]
        levels = [{"level": level, "name": LEVELS[level][0], "hint": LEVELS[level][1]} for level in offered]
        coaching = {"band": None, "snooze_s": 600, "shown": False}
        return {"room": "demo", "token_needed": False, "notice": self.notice, "levels": levels, "coaching": coaching}

    async def _answer(self, route):
        request = route.request
        path = request.url.removeprefix(ADDRESS)
        if path == "v1/page":
            await route.fulfill(json=self.about())
        elif path == "v1/rooms/demo/me":
            self.asked.append((request.method, request.headers.get("authorization")))
            await route.fulfill(**self.files[request.method])
        else:
            await route.fulfill(path=FOLDER / (path or "index.html"))

    def _connect(self, socket):
        self._socket = socket
        socket.on_message(lambda text: self._hear(json.loads(text)))

    def _hear(self, message):
        self.said.append(message)
        if message["type"] == "join":
            self.say(type="welcome", you="p1", room="demo", wanted=1)
            self.decide(message.get("level", "presence"), name=message["name"])
        elif self.deaf:
            return
        elif message["type"] == "consent" and message["text"] == self.notice["version"]:
            self.decide(message["level"])
        elif message["type"] == "consent":
            self.decide(*self._last)  # nothing has changed
        elif message["type"] == "pass":
            self.say(type="pass", token="a-pass")

    def say(self, **message):
        self._socket.send(json.dumps(message))

    def decide(self, level, agreed=None, state=None, name="Ada"):
        """What the worker says of a choice: to the person, and to everyone."""
        state = state or ("denied" if level == "presence" else "granted")
        self._last = (level, agreed, state)
        self.say(type="consent", state=state, level=level, agreed=agreed or level)
        me = {"speaker": "p1", "name": name, "generation": 1, "muted": False, "level": level}
        self.say(type="participants", participants=[me, *self.others])

    async def tell(self, kind, **data):
        """An event of the room."""
        self._seq += 1
        event = {"type": f"io.undertone.{kind}", "epoch": 1, "seq": self._seq, "data": {"at": 0.0, **data}}
        await self.page.evaluate("(text) => channel.onmessage({ data: text })", json.dumps(event))

    async def snapshot(self, **people):
        """Everyone, by speaker, with what differs from somebody who is silent."""
        someone = {"generation": 1, "analysed": True, "present": True, "muted": False, "speaking": False}
        someone |= {"talk": {"seconds": 0, "share": 0}, "emotion": None}
        speakers = {speaker: {**someone, **person} for speaker, person in people.items()}
        await self.tell("snapshot.v1", room="demo", speakers=speakers)


@asynccontextmanager
async def played(highest="emotion", files=None, **context):
    """A page at the door of a room in which so much may be chosen."""
    async with chromium() as browser:
        page = await (await browser.new_context(**context)).new_page()
        one = Played(page, highest, files)
        await one.open()
        yield one
