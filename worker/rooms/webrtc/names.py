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
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
)
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from pylibsrtp import Session

log = structlog.get_logger()

Path: TypeAlias = Literal["own", "stock"]
"""Who turns packets into sound: the worker, or aiortc."""


def usable_path(wanted: Path) -> Path:
    """The path wanted, or `stock`, having said why, where our own would not work."""
    if wanted == "own" and (differences := differing()):
        _say(differences)
        return "stock"
    return wanted


@cache
def _say(differences: tuple[str, ...]) -> None:
    """Once in a process, however many connections ask."""
    log.error("hearing through aiortc's own receiver, which loses words", have=versions(), differing=list(differences))


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


def _queue_is_one() -> bool:
    return isinstance(_parts().connection._queue, asyncio.Queue)


def _connection_tables() -> bool:
    connection = _parts().connection
    return isinstance(connection._nominated, dict) and connection._check_list == [] and connection._protocols == []


def _receiver_calls() -> bool:
    receiver = _parts().receiver
    return _takes(receiver.receive, "parameters") and _takes(receiver._handle_rtcp_packet, "packet")


def _dtls_tables() -> bool:
    dtls = _parts().dtls
    return dtls._rtp_router.ssrc_table == {} and dtls._rx_srtp is None and dtls._tx_srtp is None


def _dtls_calls() -> bool:
    dtls = _parts().dtls
    registers = _takes(dtls._register_rtp_receiver, "receiver", "parameters")
    handles = _takes(dtls._handle_rtp_data, "data", "arrival_time_ms") and _takes(dtls._send_rtp, "data")
    return registers and handles and _takes(dtls._register_rtp_sender, "sender", "parameters")


def _line_lists() -> bool:
    parts = _parts()
    lists = isinstance(parts.line._codecs, list) and isinstance(parts.line._headerExtensions, list)
    return lists and hasattr(parts.line, "_offerDirection")


def _sender_parts() -> bool:
    sender = _parts().sender
    known = isinstance(sender._ssrc, int) and isinstance(sender._stream_id, str)
    return known and _takes(sender._handle_rtcp_packet, "packet")


def _window_shrinks() -> bool:
    sctp: Any = RTCSctpTransport(_parts().dtls)
    return isinstance(sctp._advertised_rwnd, int) and sctp._advertised_rwnd > 0


def _pairs_say_their_state() -> bool:
    succeeded = aioice.ice.CandidatePair.State["SUCCEEDED"]
    pair: Any = aioice.ice.CandidatePair(None, None)  # type: ignore[arg-type]
    whole = pair.protocol is None and isinstance(pair.state, aioice.ice.CandidatePair.State)
    return whole and isinstance(aioice.ice.CandidatePair.remote_addr, property) and succeeded.name == "SUCCEEDED"


def _checks_can_be_set() -> bool:
    read = aioice.ice.Connection.query_consent.__code__.co_names
    wanted = {"CONSENT_INTERVAL", "CONSENT_FAILURES"}
    return wanted <= set(read) and aioice.ice.CONSENT_INTERVAL > 0 and aioice.ice.CONSENT_FAILURES > 0


def _checks_begin() -> bool:
    begins = "query_consent" in aioice.ice.Connection.connect.__code__.co_names
    return begins and _takes(_parts().connection.query_consent)


CHECKS: dict[str, Callable[[], bool]] = {
    "aioice gives datagrams that are no STUN to Connection.data_received": _datagrams_pass_us,
    "aioice's Connection queues what it received in _queue": _queue_is_one,
    "aioice's Connection keeps _nominated, _check_list and _protocols": _connection_tables,
    "aioice's pairs have a protocol, remote_addr and a state SUCCEEDED": _pairs_say_their_state,
    "aioice reads CONSENT_INTERVAL and CONSENT_FAILURES while it checks": _checks_can_be_set,
    "aioice's Connection begins to check its path by query_consent": _checks_begin,
    "aiortc's receivers start by receive and take RTCP by _handle_rtcp_packet": _receiver_calls,
    "aiortc's DTLS transport keeps _rx_srtp, _tx_srtp and _rtp_router.ssrc_table": _dtls_tables,
    "aiortc's DTLS transport registers senders and receivers, takes and sends RTP": _dtls_calls,
    "aiortc's transceivers keep _codecs, _headerExtensions and _offerDirection": _line_lists,
    "aiortc's senders keep _ssrc and _stream_id, and receive RTCP by _handle_rtcp_packet": _sender_parts,
    "aiortc's data channels count what they may still take in _advertised_rwnd": _window_shrinks,
    "pylibsrtp's Session has protect and unprotect": lambda: callable(Session.protect) and callable(Session.unprotect),
}
"""What must hold, in the words that an operator is told when it does not."""


def versions() -> str:
    return f"aiortc {version('aiortc')}, aioice {version('aioice')}"
