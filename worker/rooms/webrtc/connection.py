"""One WebRTC connection, whose opening and closing nothing cuts short."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from worker.rooms.webrtc.transport import prepare


class Connection(RTCPeerConnection):
    """aiortc stops neither opening nor closing half way: sockets that it has just opened would stay open for good.

    So both go on to their end when the caller is cancelled, and closing waits for what is being opened.
    """

    def __init__(self, servers: Sequence[RTCIceServer] = ()) -> None:
        """One transport for all lines, and no servers but those given: by default aiortc asks a public one."""
        prepare()
        super().__init__(RTCConfiguration(iceServers=list(servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._opening: asyncio.Future[None] | None = None

    async def setLocalDescription(self, sessionDescription: RTCSessionDescription | None = None) -> None:
        self._opening = asyncio.ensure_future(super().setLocalDescription(sessionDescription))
        await asyncio.shield(self._opening)

    async def close(self) -> None:
        await asyncio.shield(self._end())

    async def _end(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        lines = [line.receiver.transport for line in self.getTransceivers()]
        for dtls in [*lines, *([self.sctp.transport] if self.sctp is not None else [])]:
            ice: Any = dtls.transport._connection
            ice.query_consent = _rest  # the path may just have come about, and be about to be checked for ever
        await super().close()
        if self.sctp is not None:
            await self.sctp.stop()  # the association may have begun while the connection under it was being closed


async def _rest() -> None:
    """In place of aioice's checks of a path."""
