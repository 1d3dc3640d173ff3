"""Hears feeds of a VideoRoom: which are subscribed follows from which are wanted."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import structlog
from aiortc.sdp import candidate_from_sdp

from worker.errors import RoomError
from worker.rooms.janus.api import Api, Reply, data_of
from worker.rooms.janus.roster import FeedId, feeds_in
from worker.rooms.webrtc.listener import Listener

log = structlog.get_logger()

SILENT_FEED_S = 5.0
"""A line that has brought no packet for so long may belong to a connection that is dead; a muted one brings fifty a
second, or one in 0.4 s with DTX."""


WAITING = 256
"""Things said on a handle that may wait to be followed: all that fifty lines and their addresses need at once."""


class Voice(NamedTuple):
    """What is wanted of one feed; another generation of it is another voice."""

    mid: str
    """Of its audio, as the publisher numbers its lines."""
    speaker: str
    generation: int


class _NotYet(RoomError):
    """A feed is not up."""


Wanted: TypeAlias = Mapping[FeedId, Voice]


class Subscriber:
    """One handle and one connection. Janus' lists of streams, in their order, are the only truth about who is on which
    line; a line that changes hands is heard no more from the moment that we know.
    """

    def __init__(self, api: Api, join: Mapping[str, Any], listener: Listener, connect_within_s: float) -> None:
        """`join` is the body of the request to join, without its streams."""
        self.listener = listener
        self._api, self._join, self._connect_within_s = api, join, connect_within_s
        self._handle: int | None = None
        self._joined = False
        self._wanted: Wanted = {}
        self._asked: dict[FeedId, Voice] = {}
        """What Janus was asked for."""
        self._feeds: dict[str, FeedId] = {}
        """By our mid, as Janus last said."""
        self._told: asyncio.Queue[Reply] = asyncio.Queue(WAITING)
        self._overrun = False
        self._since: float | None = None
        """When the first offer was answered; None once the connection stands."""
        self._received: dict[FeedId, tuple[int, float]] = {}
        """Packets of each feed that is subscribed, and since when they have been so many."""

    # -- what is subscribed ---------------------------------------------------------------------------------------

    async def settle(self, wanted: Wanted) -> bool:
        """Make it so. False when a feed is not up yet, so that this has to be asked for again.

        Raises RoomError when Janus or the offer is not fit to go on with.
        """
        self._wanted = wanted
        gone = [feed for feed, voice in self._asked.items() if wanted.get(feed) != voice]
        new = {feed: voice for feed, voice in wanted.items() if self._asked.get(feed) != voice}
        for mid, feed in self._feeds.items():
            if feed in gone:
                self.listener.ignore(mid)  # before Janus gives this line to somebody else
        self._route()
        if gone:
            with suppress(_NotYet):  # Janus knows it no more
                await self._ask("unsubscribe", [{"feed": feed} for feed in gone])
            self._asked = {feed: voice for feed, voice in self._asked.items() if feed not in gone}
        return await self._add(new)

    async def _add(self, new: Wanted) -> bool:
        try:
            if new:
                await self._ask("subscribe", [{"feed": feed, "mid": voice.mid} for feed, voice in new.items()])
                self._asked.update(new)
        except _NotYet:  # one such feed spoils the request for all
            one_by_one = [await self._add({feed: voice}) for feed, voice in new.items() if len(new) > 1]
            return all(one_by_one) and bool(one_by_one)
        self._route()
        return True

    async def _ask(self, request: str, streams: list[Mapping[str, Any]]) -> None:
        """Returns once Janus' answer has been followed."""
        if self._handle is None:
            self._handle = await self._api.attach(self._tell)
        first = {} if self._joined else self._join
        try:
            await self._api.message(self._handle, {"request": request, "streams": streams, **first})
        except RoomError as error:
            raise (_NotYet(str(error), error.code) if error.code == "not_yet" else error) from None
        self._joined = True
        await self._told.join()

    # -- what Janus says ------------------------------------------------------------------------------------------

    def _tell(self, reply: Reply) -> None:
        """Everything said on our handle, in order, and without waiting."""
        if isinstance(streams := data_of(reply).get("streams"), list):
            new = feeds_in(streams)
            for mid, feed in self._feeds.items():
                if new.get(mid) != feed:
                    self.listener.ignore(mid)
        if self._told.full():
            self._overrun = True  # what is passed over here may be an offer, so that nothing after it can be followed
        elif _matters(reply):
            self._told.put_nowait(reply)

    async def run(self) -> None:
        """Answer what Janus says, one thing after another, until cancelled. Raises RoomError."""
        while True:
            reply = await self._told.get()
            try:
                if self._overrun:
                    raise RoomError("Janus says more than can be followed: join again.", "protocol_error")
                await self._obey(reply)
            finally:
                self._told.task_done()

    async def _obey(self, reply: Reply) -> None:
        jsep, data = reply.get("jsep"), data_of(reply)
        if isinstance(jsep, dict) and jsep.get("e2ee"):
            raise RoomError("This room is encrypted end to end: nobody but its members can hear it.", "e2ee")
        if reply.get("janus") in ("hangup", "detached"):
            raise RoomError("Janus ended the media connection: join again.", "media_lost")
        if reply.get("janus") == "trickle":
            await self._candidate(reply.get("candidate"))
        if isinstance(jsep, dict) and jsep.get("type") == "offer":
            # Janus begins DTLS then: if we did, our first packet would reach it before it listens, one time in ten, and
            # the next one leaves a second later
            sdp = str(jsep.get("sdp")).replace("a=setup:actpass", "a=setup:active")
            answer, _ = await self.listener.answer(sdp)
            self._keep(data)
            self._route()
            if self._since is None and self.listener.pc.connectionState != "connected":
                self._since = time.monotonic()
            assert self._handle is not None, "offers come on a handle"
            await self._start(self._handle, answer)
        else:
            self._keep(data)
            self._route()

    async def _start(self, handle: int, answer: str) -> None:
        # Janus complains of each fingerprint but the first in its log
        sdp = re.sub(r"a=fingerprint:sha-(384|512) [^\r\n]*\r\n", "", answer)
        await self._api.message(handle, {"request": "start"}, {"type": "answer", "sdp": sdp})

    def _keep(self, data: Reply) -> None:
        if isinstance(streams := data.get("streams"), list):
            self._feeds = feeds_in(streams)

    def _route(self) -> None:
        """Hear each wanted feed on a line that carries it, as its speaker."""
        heard = {feed for mid, feed in self._feeds.items() if mid in self.listener.ears}
        for mid, feed in self._feeds.items():
            voice = self._wanted.get(feed)
            if voice is not None and feed not in heard and self._asked.get(feed, voice) == voice:
                self.listener.hear(mid, voice.speaker)
                heard.add(feed)

    async def _candidate(self, said: Any) -> None:
        """Only a Janus with `full_trickle` gives its addresses after its offer."""
        text = said.get("candidate") if isinstance(said, dict) else None
        if not isinstance(text, str) or not text:
            return
        try:
            candidate = candidate_from_sdp(text.partition(":")[2] or text)
            candidate.sdpMid, candidate.sdpMLineIndex = said.get("sdpMid"), said.get("sdpMLineIndex")
            await self.listener.pc.addIceCandidate(candidate)
        except (ValueError, AssertionError, IndexError) as error:
            log.warning("an address of Janus could not be used", error=type(error).__name__)

    # -- time -----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Call every 20-50 ms. Raises RoomError when nothing is heard any more: leave and join again."""
        self.listener.tick()
        now = time.monotonic()
        if self._since is not None and self.listener.pc.connectionState == "connected":
            self._since = None
        if self._since is not None and now - self._since > self._connect_within_s:
            raise RoomError(
                f"No media connection to Janus came about within {self._connect_within_s:.0f} s: "
                "check that UDP between it and this machine is not blocked.",
                "media_lost",
            )
        counts = {feed: self.listener.received(mid) for mid, feed in self._feeds.items()}
        same = {feed: before for feed, before in self._received.items() if before[0] == counts.get(feed)}
        self._received = {feed: same.get(feed, (count, now)) for feed, count in counts.items()}

    def silent(self, feed: FeedId) -> bool:
        """Whether this feed is subscribed and has brought nothing for long."""
        received = self._received.get(feed)
        return received is not None and time.monotonic() - received[1] > SILENT_FEED_S

    async def close(self) -> None:
        handle, self._handle = self._handle, None
        try:
            if handle is not None:
                await self._api.detach(handle)
        finally:
            await self.listener.close()


def _matters(reply: Reply) -> bool:
    """Whether something follows from it; not so with reports of slow links and of media that came."""
    return (
        isinstance(reply.get("jsep"), dict)
        or reply.get("janus") in ("hangup", "detached", "trickle")
        or isinstance(data_of(reply).get("streams"), list)
    )


class Subscribers:
    """One `Subscriber` for all feeds, or one for each; `run` is called with the work of each new one."""

    def __init__(
        self,
        make: Callable[[], Subscriber],
        run: Callable[[Any], asyncio.Task[None]],
        per_speaker: bool,
    ) -> None:
        self._make, self._run, self._per_speaker = make, run, per_speaker
        self._all: dict[FeedId, tuple[Subscriber, asyncio.Task[None]]] = {}
        """By feed; a single one for all stands under an empty name."""
        self._gone: dict[str, Counter[str]] = {"undertone_packets": Counter(), "undertone_datagrams_dropped": Counter()}

    async def settle(self, wanted: Wanted) -> bool:
        """As `Subscriber.settle`, for all."""
        groups = {feed: {feed: one} for feed, one in wanted.items()} if self._per_speaker else {"": wanted}
        for feed in [feed for feed in self._all if feed not in groups]:
            await self._part(feed)
        for feed, several in groups.items():
            if feed not in self._all and several:
                one = self._make()
                self._all[feed] = one, self._run(one.run())
        known = [(self._all[feed][0], several) for feed, several in groups.items() if feed in self._all]
        return all(await asyncio.gather(*(one.settle(several) for one, several in known)))

    async def _part(self, feed: FeedId) -> None:
        one, task = self._all.pop(feed)
        task.cancel()
        await one.close()
        for name, counts in _counts(one).items():
            self._gone[name].update(counts)

    def tick(self) -> None:
        for one, _ in self._all.values():
            one.tick()

    def silent(self, feed: FeedId) -> bool:
        return any(one.silent(feed) for one, _ in self._all.values())

    def counts(self, name: str) -> Mapping[str, int]:
        counts = Counter(self._gone[name])
        for one, _ in self._all.values():
            counts.update(_counts(one)[name])
        return counts

    async def close(self) -> None:
        await asyncio.gather(*(self._part(feed) for feed in list(self._all)))


def _counts(one: Subscriber) -> dict[str, Mapping[str, int]]:
    listener = one.listener
    return {"undertone_packets": listener.counts, "undertone_datagrams_dropped": listener.transport.dropped}
