"""Whether the private parts of aiortc and aioice that we use exist and mean what we think."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

import aioice.ice
import structlog
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from pylibsrtp import Session

log = structlog.get_logger()

Path: TypeAlias = Literal["own", "stock"]
"""Who turns packets into sound: the worker, or aiortc."""


def usable_path(wanted: Path) -> Path:
    """The path wanted, or `stock`, having said why, where our own would not work."""
    if wanted == "own" and (differences := differing()):
        log.error(
            "hearing through aiortc's own receiver, which loses words", have=versions(), differing=list(differences)
        )
        return "stock"
    return wanted


@cache
def differing() -> tuple[str, ...]:
    """A sentence for each private part that is not what we think; empty when all is well.

    Takes some milliseconds; call it within an event loop.
    """
    return tuple(_differences())


def _differences() -> Iterator[str]:
    for what, holds in CHECKS.items():
        try:
            fine = holds()
        except Exception as error:  # a changed library may raise anything
            yield f"{what} ({type(error).__name__})"
        else:
            if not fine:
                yield what


def _parts() -> SimpleNamespace:
    """One of each, without a socket."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    receiver, sender = RTCRtpReceiver("audio", dtls), RTCRtpSender("audio", dtls)
    transceiver = RTCRtpTransceiver("audio", receiver, sender, "recvonly")
    return SimpleNamespace(connection=ice._connection, dtls=dtls, receiver=receiver, sender=sender, line=transceiver)


def _takes(call: Any, *names: str) -> bool:
    return list(inspect.signature(call).parameters) == list(names)


def _datagrams_pass_us() -> bool:
    """What is not STUN goes to the connection's `data_received`, looked up on the object at each call."""
    connection, taken = _parts().connection, []
    protocol: Any = aioice.ice.StunProtocol(connection)
    protocol.local_candidate = SimpleNamespace(component=1)
    connection.data_received = lambda data, component: taken.append((data, component))
    protocol.datagram_received(b"\x16" * 40, ("192.0.2.1", 9))
    return taken == [(b"\x16" * 40, 1)] and vars(connection)["data_received"] is not None


def _statistics_count() -> bool:
    statistics: Any = StreamStatistics(48_000)
    for number in (1, 2, 4):
        statistics.add(SimpleNamespace(sequence_number=number, timestamp=number * 960))
    return (statistics.packets_received, statistics.packets_lost, statistics.max_seq) == (3, 1, 4)


def _queue_is_one() -> bool:
    return isinstance(_parts().connection._queue, asyncio.Queue)


def _connection_tables() -> bool:
    connection = _parts().connection
    return isinstance(connection._nominated, dict) and connection._check_list == [] and connection._protocols == []


def _receiver_starts_as_known() -> bool:
    receiver = _parts().receiver
    fresh = receiver._RTCRtpReceiver__started is False and receiver._RTCRtpReceiver__rtcp_task is None
    return fresh and receiver._RTCRtpReceiver__remote_streams == {} and _takes(receiver._run_rtcp)


def _dtls_tables() -> bool:
    dtls = _parts().dtls
    return dtls._rtp_router.ssrc_table == {} and dtls._rx_srtp is None and dtls._tx_srtp is None


def _dtls_calls() -> bool:
    dtls = _parts().dtls
    registers = _takes(dtls._register_rtp_receiver, "receiver", "parameters")
    return registers and _takes(dtls._register_rtp_sender, "sender", "parameters") and _takes(dtls._send_rtp, "data")


def _line_lists() -> bool:
    parts = _parts()
    lists = isinstance(parts.line._codecs, list) and isinstance(parts.line._headerExtensions, list)
    return lists and isinstance(parts.sender._ssrc, int) and hasattr(parts.line, "_offerDirection")


def _pairs_say_their_state() -> bool:
    succeeded = aioice.ice.CandidatePair.State["SUCCEEDED"]
    return isinstance(aioice.ice.CandidatePair.remote_addr, property) and succeeded.name == "SUCCEEDED"


CHECKS: dict[str, Callable[[], bool]] = {
    "aioice gives datagrams that are no STUN to Connection.data_received": _datagrams_pass_us,
    "aioice's Connection queues what it received in _queue": _queue_is_one,
    "aioice's Connection keeps _nominated, _check_list and _protocols": _connection_tables,
    "aioice's pairs have remote_addr and a state SUCCEEDED": _pairs_say_their_state,
    "aioice reads CONSENT_INTERVAL when it waits": lambda: aioice.ice.CONSENT_INTERVAL > 0,
    "aiortc's StreamStatistics.add reads sequence_number and timestamp": _statistics_count,
    "aiortc's receiver starts with _run_rtcp, __started, __rtcp_task and __remote_streams": _receiver_starts_as_known,
    "aiortc's DTLS transport keeps _rx_srtp, _tx_srtp and _rtp_router.ssrc_table": _dtls_tables,
    "aiortc's DTLS transport registers senders and receivers and sends by _send_rtp": _dtls_calls,
    "aiortc's transceivers keep _codecs, _headerExtensions, _offerDirection and _ssrc": _line_lists,
    "pylibsrtp's Session has protect and unprotect": lambda: callable(Session.protect) and callable(Session.unprotect),
}
"""What must hold, in the words that an operator is told when it does not."""


def versions() -> str:
    return f"aiortc {version('aiortc')}, aioice {version('aioice')}"
