"""The way back: a publisher of nothing but data, which everyone in the room who wants can subscribe to."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from aiortc import InvalidStateError, RTCIceServer, RTCSessionDescription

from worker.errors import RoomError
from worker.rooms.janus.api import Api
from worker.rooms.webrtc.connection import Connection
from worker.rooms.webrtc.listener import SILENT_S
from worker.rooms.webrtc.transport import Transport

log = structlog.get_logger()

BUFFERED = 256 * 1024
"""Bytes that may wait for Janus before messages are dropped."""
CROWDED = BUFFERED // 4
"""Bytes that wait from which on nothing is sent that the next message of its kind makes up for."""
LARGEST = 60_000
"""Bytes of one message; not all browsers take more."""


class DataPublisher:
    """Reliable and ordered. `opened` is called when messages can be sent, again after a time when some were dropped."""

    def __init__(
        self, opened: Callable[[bool], None], servers: Sequence[RTCIceServer], connect_within_s: float
    ) -> None:
        self.pc = Connection(servers)
        self._transport = Transport()
        self._channel = self.pc.createDataChannel("JanusDataChannel")  # Janus tells subscribers our feed in its place
        self._channel.on("open", lambda: opened(False))
        self._opened, self._connect_within_s = opened, connect_within_s
        self._behind = False
        self._since = math.inf
        """When it was published; before that there is nothing to wait for."""
        self._complained = False

    async def publish(self, api: Api, handle: int) -> None:
        """Raises RoomError, `room_full` among others."""
        self._since = time.monotonic()
        await self.pc.setLocalDescription(await self.pc.createOffer())
        if self.pc.sctp is not None:
            self._transport.attach(self.pc.sctp.transport)
        offer = {"type": "offer", "sdp": self.pc.localDescription.sdp}
        wish = {"request": "publish", "audio": False, "video": False, "data": True}
        jsep = (await api.message(handle, wish, offer)).get("jsep", {})
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(str(jsep.get("sdp")), "answer"))
        except Exception as error:  # a parser that meets hostile text may raise anything
            kind = type(error).__name__
            raise RoomError(f"Janus' answer is not SDP that can be used ({kind}): join again.", "bad_offer") from error

    def send(self, message: str) -> bool:
        """False when it can't be taken; before the channel is open there is nobody to miss it."""
        if self._channel.readyState != "open":
            return self._channel.readyState == "connecting"
        size = len(message.encode())
        if size > LARGEST:
            if not self._complained:
                log.warning("a message is too large for the data channel", octets=size, largest=LARGEST)
            self._complained = True
            return False
        if self._behind or self._channel.bufferedAmount + size > BUFFERED:
            self._behind = True
            return False
        with suppress(InvalidStateError):  # the association is just ending
            self._channel.send(message)
            return True
        return False

    @property
    def crowded(self) -> bool:
        """Whether what may be left out should be, so that the rest still finds room."""
        return not self._behind and self._channel.bufferedAmount > CROWDED

    def tick(self) -> None:
        """Call every 20-50 ms. Raises RoomError when the connection is lost."""
        if self._behind and self._channel.bufferedAmount < CROWDED:
            self._behind = False
            self._opened(True)
        state = self.pc.connectionState
        waited = time.monotonic() - (self._transport.heard_at if state == "connected" else self._since)
        if waited > (SILENT_S if state == "connected" else self._connect_within_s) or state in ("failed", "closed"):
            raise RoomError("The data connection to Janus was lost or never came about: join again.", "media_lost")

    async def close(self) -> None:
        self._transport.close()
        await self.pc.close()
