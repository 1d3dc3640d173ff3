"""Every datagram a connection can meet, without a network."""

import asyncio
import struct
from types import SimpleNamespace

import aioice.ice
import pytest
from aiortc.rtp import RtcpPacket, RtcpSenderInfo, RtcpSrPacket
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error as SrtpError

from tests.sfu import element
from worker.rooms.webrtc import reports
from worker.rooms.webrtc.transport import HEARTBEAT_S, LEARNED, LONGEST_QUEUE, PATHS, Route, Transport, prepare

FAR, FOREIGN = ("192.0.2.1", 4000), ("192.0.2.9", 9)
MID_ID = 4


def rtp(ssrc, number=1, kind=111, mid=None, payload=b"opus"):
    extension = b""
    if mid is not None:
        body = element(MID_ID, mid)
        body += bytes(-len(body) % 4)
        extension = struct.pack("!HH", 0xBEDE, len(body) // 4) + body
    first = 0x90 if extension else 0x80
    return struct.pack("!BBHLL", first, kind, number, number * 960, ssrc) + extension + payload


class Vault:
    """Both directions of SRTP, without a key: `forged` is what it takes for not authentic."""

    forged = b""
    fault = SrtpError("no")

    def unprotect(self, data):
        if self.forged and self.forged in data:
            raise self.fault
        return data

    protect = unprotect


class Protocol:
    """One of aioice's sockets; `fault` is raised by every STUN datagram."""

    def __init__(self, fault=None):
        self.taken, self.fault, self.sent = [], fault, []
        self.transport = SimpleNamespace(sendto=lambda data, address: self.sent.append((data, address)))

    def datagram_received(self, data, address):
        if self.fault is not None:
            raise self.fault
        self.taken.append(data)


def pair(address=FAR, state="SUCCEEDED", protocol=None):
    return SimpleNamespace(remote_addr=address, state=SimpleNamespace(name=state), protocol=protocol)


class Bench:
    """A transport between fakes, with lines 0 … n-1 and a note of what each of them took."""

    def __init__(self, lines=1, protocol=None):
        self.protocol = protocol or Protocol()
        self.connection = SimpleNamespace(
            _protocols=[self.protocol], _nominated={}, _check_list=[], _queue=asyncio.Queue(), data_received=None
        )
        self.dtls = SimpleNamespace(
            transport=SimpleNamespace(_connection=self.connection),
            _rx_srtp=Vault(),
            _tx_srtp=Vault(),
            _rtp_router=SimpleNamespace(ssrc_table={}),
            state="connected",
        )
        self.transport = Transport()
        self.transport.mid_id = MID_ID
        self.transport.attach(self.dtls)
        self.taken = []
        self.routes = [self.add(str(number)) for number in range(lines)]

    def add(self, mid):
        def take(header, data, now):
            self.taken.append((mid, header.ssrc, header.sequence))

        receiver = SimpleNamespace(_RTCRtpReceiver__remote_streams={})
        route = Route("audio", mid, 111, None, receiver, take)
        self.transport.route(route)
        return route

    def come(self, *datagrams, address=FAR):
        for data in datagrams:
            self.protocol.datagram_received(data, address)

    @property
    def dropped(self):
        return dict(self.transport.dropped)

    @property
    def queued(self):
        return self.connection._queue.qsize()


def test_connections_are_checked_often(monkeypatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 5)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 6)
    prepare()
    assert aioice.ice.CONSENT_INTERVAL == HEARTBEAT_S
    assert aioice.ice.CONSENT_FAILURES * (HEARTBEAT_S + aioice.stun.RETRY_RTO) == 30  # RFC 7675, 5.1


# -- sorting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fate"),
    [
        (b"", "malformed"),
        (b"\x00\x01" + bytes(18), "stun"),
        (b"\x04" + bytes(20), "malformed"),
        (b"\x13" + bytes(20), "malformed"),
        (b"\x14" + bytes(20), "queue"),
        (b"\x16" + bytes(20), "queue"),
        (b"\x16\xfe", "malformed"),
        (b"\x80\xc8\x00\x06" + bytes(24), "queue"),
        (b"\x80\xd0\x00\x06" + bytes(24), "queue"),
        (b"\x80\xd1\x00\x06" + bytes(24), "malformed"),
        (b"\x80\xdf\x00\x06" + bytes(24), "malformed"),
        (b"\x80\x6f", "malformed"),
        (b"\xc0" + bytes(20), "malformed"),
        (b"\xff" * 40, "malformed"),
        (b"\x9f" + rtp(1)[1:], "malformed"),
        (rtp(1, kind=0), "unknown"),
    ],
)
def test_each_datagram_goes_where_its_first_octets_say(data, fate):
    one = Bench()
    one.come(data)
    assert len(one.protocol.taken) == (fate == "stun")
    assert one.queued == (fate == "queue")
    assert one.dropped == ({} if fate in ("stun", "queue") else {fate: 1})


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=20))
def test_nothing_that_comes_raises_or_is_lost_uncounted(datagrams):
    one = Bench()
    one.come(*datagrams)
    given = len(one.protocol.taken) + one.queued + len(one.taken) + sum(one.dropped.values())
    assert given + len(one.transport._streams) >= len(datagrams)


def test_aiortc_is_given_no_more_than_it_can_take():
    one = Bench()
    one.come(*[b"\x16" * 40] * (LONGEST_QUEUE + 30))
    assert one.queued == LONGEST_QUEUE
    assert one.dropped == {"flood": 30}


@pytest.mark.parametrize("fault", [struct.error(), IndexError(), KeyError(), TypeError(), ValueError()])
def test_stun_that_aioice_fails_on_is_counted_and_does_not_prove_life(fault):
    one = Bench(protocol=Protocol(fault))
    one.transport.heard_at = 0.0
    one.come(b"\x00" * 30)
    assert one.dropped == {"malformed": 1}
    assert one.transport.heard_at == 0.0


@pytest.mark.parametrize("data", [rtp(1), b"\x16" * 40, b"\x80\xc8" + bytes(26), b"\x00\x01" + bytes(18)])
def test_any_datagram_proves_life(data):
    one = Bench()
    one.transport.heard_at = 0.0
    one.come(data)
    assert one.transport.heard_at > 0.0


# -- who sends ------------------------------------------------------------------------------------------------------


def test_before_a_path_is_proved_all_addresses_may_send():
    one = Bench()
    one.come(b"\x16" * 40, address=FOREIGN)
    assert one.queued == 1


@pytest.mark.parametrize("data", [b"\x00\x01" + bytes(18), b"\x00", b"\x00" * 3 + b"\x01" * 30])
def test_a_stranger_proves_no_life(data):
    one = Bench()
    one.connection._nominated = {1: pair()}
    one.transport.heard_at = 0.0
    one.come(data, address=FOREIGN)
    one.transport._received(data, 1)  # as aioice gives on what is no STUN after all
    assert one.transport.heard_at == 0.0


def test_later_only_proved_paths_may():
    one = Bench()
    one.connection._nominated = {1: pair()}
    one.connection._check_list = [pair(FOREIGN, "FAILED"), pair(("192.0.2.2", 2))]
    one.transport.heard_at = 0.0
    one.come(b"\x16" * 40, rtp(1), address=FOREIGN)
    assert (one.queued, one.taken, one.dropped) == (0, [], {"foreign": 2})
    assert one.transport.heard_at == 0.0
    one.come(b"\x16" * 40)
    one.come(b"\x16" * 40, address=("192.0.2.2", 2))
    one.come(b"\x16" * 40, address=(*FAR, 0, 0))  # IPv6 has four parts
    assert one.queued == 3
    assert one.transport._paths == {FAR, ("192.0.2.2", 2), (*FAR, 0, 0)}  # not asked again for each packet


def test_of_proved_paths_few_are_remembered():
    one = Bench()
    one.connection._nominated = {1: pair()}
    one.connection._check_list = [pair(("192.0.2.3", port)) for port in range(100)]
    for port in range(100):
        one.come(b"\x16" * 40, address=("192.0.2.3", port))
    assert one.queued == 100
    assert len(one.transport._paths) == PATHS


def test_a_socket_is_guarded_once_and_a_new_one_too():
    one = Bench()
    guarded, later = one.protocol.datagram_received, Protocol()
    one.connection._protocols.append(later)
    one.transport.attach(one.dtls)
    assert one.protocol.datagram_received is guarded
    later.datagram_received(b"", FAR)
    assert one.dropped == {"malformed": 1}


# -- which line -----------------------------------------------------------------------------------------------------


def test_an_announced_stream_is_taken_from_its_first_packet():
    one = Bench(lines=2)
    assert not one.transport.announce(one.routes[1], {7, 8})
    one.come(rtp(7), rtp(7, 2))
    assert one.taken == [("1", 7, 1), ("1", 7, 2)]
    assert one.dtls._rtp_router.ssrc_table == {7: one.routes[1].receiver}
    assert not one.transport.announce(one.routes[1], {7, 9})
    assert not one.transport.announce(one.routes[1], set())


def test_a_line_with_another_stream_forgets_the_one_before():
    one = Bench(lines=2)
    one.transport.announce(one.routes[0], {7})
    one.come(rtp(7))
    assert one.transport.announce(one.routes[0], {8})
    assert one.transport._streams == one.dtls._rtp_router.ssrc_table == {}
    assert one.routes[0].receiver._RTCRtpReceiver__remote_streams == {}
    one.come(rtp(7, 2), rtp(8))
    assert one.taken == [("0", 7, 1), ("0", 8, 1)]
    assert one.dropped == {"unknown": 1}


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0)])
def test_a_stream_may_move_to_another_line(before, after):
    one = Bench(lines=2)
    for named in (before, after):
        changed = [one.transport.announce(r, {7} if r is one.routes[named] else set()) for r in one.routes]
        one.transport.hand_over()
        assert changed == [False, False]
        one.come(rtp(7, 1), rtp(7, 2))
    assert one.taken == [(str(line), 7, number) for line in (before, after) for number in (1, 2)]
    assert one.routes[before].ssrc is None


def test_two_lines_may_change_their_streams():
    one = Bench(lines=2)
    for named in ((7, 8), (8, 7)):
        changed = [one.transport.announce(r, {ssrc}) for r, ssrc in zip(one.routes, named, strict=True)]
        one.transport.hand_over()
        one.come(rtp(7), rtp(8))
    assert changed == [True, True]
    assert one.taken == [("0", 7, 1), ("1", 8, 1), ("1", 7, 1), ("0", 8, 1)]


def test_an_unannounced_stream_proves_itself_first():
    one = Bench(lines=2)
    one.come(rtp(7, 1, mid=b"1"), rtp(7, 2), rtp(7, 3))
    assert one.taken == [("1", 7, 2), ("1", 7, 3)]
    one.dtls._rx_srtp.forged = b"forged"
    one.come(rtp(8, 1, mid=b"0", payload=b"forged"), rtp(8, 2))
    assert one.routes[0].ssrc is None
    assert one.dropped == {"forged": 1, "unknown": 1}


def test_without_a_mid_a_stream_is_taken_where_it_alone_can_belong():
    one = Bench(lines=2)
    one.come(rtp(7), rtp(7, 2))
    assert one.dropped == {"unknown": 2}
    one.routes[1].payload_type = 112
    one.come(rtp(7), rtp(7, 2))
    assert one.taken == [("0", 7, 2)]


@pytest.mark.parametrize("mid", [b"nine", b"\xff\xfe", b"00"])
def test_a_mid_that_no_line_has_is_unknown(mid):
    one = Bench()
    one.come(rtp(7, mid=mid))
    assert one.dropped == {"unknown": 1}


def test_another_payload_type_on_a_known_stream_is_no_sound():
    one = Bench()
    one.transport.announce(one.routes[0], {7})
    one.come(rtp(7), rtp(7, 2, kind=13))
    assert one.taken == [("0", 7, 1)]
    assert one.dropped == {"malformed": 1}


def test_streams_are_learned_no_faster_than_one_a_second_in_the_long_run():
    one = Bench()
    for ssrc in range(1000):
        one.transport._learn(rtp(ssrc), 50.0)
    assert one.dropped == {"unknown": 1000 - LEARNED}
    assert len(one.transport._streams) == len(one.dtls._rtp_router.ssrc_table) == 1
    for second in range(1, 1001):
        one.transport._learn(rtp(5000 + second), 50.0 + second * 0.1)
    assert one.dropped["unknown"] >= 1000 - LEARNED + 1000 - 100 - LEARNED


def test_more_streams_than_are_learned_at_once_are_learned_in_time():
    one = Bench(lines=LEARNED + 8)
    for n in range(10 * 50):
        for line in range(LEARNED + 8):
            if 1000 + line not in one.transport._streams:
                one.transport._learn(rtp(1000 + line, n, mid=b"%d" % line), 50.0 + n * 0.02)
    assert len(one.transport._streams) == LEARNED + 8


def test_a_flood_of_strangers_keeps_no_announced_stream_out():
    one = Bench()
    one.transport.announce(one.routes[0], {7})
    for ssrc in range(1000, 1200):
        one.transport._learn(rtp(ssrc), 50.0)
    one.come(rtp(7))
    assert one.taken == [("0", 7, 1)]


def test_a_line_that_is_made_anew_takes_over():
    one = Bench()
    one.transport.announce(one.routes[0], {7})
    one.come(rtp(7))
    again = one.add("0")
    assert one.transport._streams == {}
    one.transport.announce(again, {7})
    one.come(rtp(7, 2))
    assert again.ssrc == 7


def test_what_arrived_is_counted_for_the_reports():
    one = Bench()
    one.transport.announce(one.routes[0], {7})
    one.come(*(rtp(7, number) for number in (65_534, 65_535, 1, 2, 4)))
    assert one.transport._arrivals() == []  # aiortc reports a line that it still has
    one.transport.adopt(one.routes[0])
    (arrivals,) = one.transport._arrivals()
    assert (arrivals.received, arrivals.block(0.0).packets_lost) == (5, 2)


# -- sealing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [SrtpError("no"), ValueError("too long")])
def test_what_is_not_authentic_opens_to_nothing(fault):
    one = Bench()
    one.dtls._rx_srtp.forged, one.dtls._rx_srtp.fault = b"forged", fault
    assert one.transport.unseal(rtp(7, payload=b"forged")) is None
    assert one.transport.unseal(rtp(7)) == rtp(7)
    assert one.dropped == {"forged": 1}


def test_without_keys_nothing_opens_and_nothing_is_sent():
    one = Bench()
    one.dtls._rx_srtp = one.dtls._tx_srtp = None
    one.connection._nominated = {1: pair(protocol=one.protocol)}
    assert one.transport.unseal(rtp(7)) is None
    assert not one.transport.send(rtp(7))
    assert not Transport().send(rtp(7))


def test_sending_takes_the_nominated_path():
    one = Bench()
    assert not one.transport.send(rtp(7))
    one.connection._nominated = {1: pair(protocol=one.protocol)}
    assert one.transport.send(rtp(7))
    assert one.protocol.sent == [(rtp(7), FAR)]
    one.dtls._tx_srtp.forged = b"old"
    assert not one.transport.send(rtp(7, payload=b"old"))


@pytest.mark.parametrize("fault", [ConnectionError(), SrtpError("no"), ValueError()])
async def test_a_report_that_cannot_be_sent_harms_nobody(fault):
    one, sent = Bench(), []

    async def send(data):
        sent.append(data)
        raise fault

    one.dtls._send_rtp = send
    await one.transport.send_rtcp(b"report")
    assert (sent, one.dropped) == ([b"report"], {"unsent": 1})
    one.dtls.state = "closed"
    await one.transport.send_rtcp(b"report")
    await Transport().send_rtcp(b"report")
    assert len(sent) == 1


async def test_an_adopted_receiver_decodes_nothing_and_hands_over_what_the_sender_reports():
    registered, one = [], Bench()
    route = one.routes[0]
    route.receiver = SimpleNamespace(
        transport=SimpleNamespace(_register_rtp_receiver=lambda *given: registered.append(given))
    )
    one.transport.adopt(route)
    await route.receiver.receive("parameters")
    assert registered == [(route.receiver, "parameters")]
    one.transport.announce(route, {7})
    one.come(rtp(7))
    report = RtcpSrPacket(ssrc=7, sender_info=RtcpSenderInfo(0x1234_5678_9ABC_DEF0, 0, 0, 0))
    await route.receiver._handle_rtcp_packet(report)
    assert one.transport._arrivals()[0].block(0.0).lsr == 0x5678_9ABC


async def test_reports_go_out_until_the_transport_is_closed(monkeypatch):
    monkeypatch.setattr(reports, "PAUSE_S", 0.01)
    one, sent = Bench(), []

    async def send(data):
        sent.append(data)

    one.dtls._send_rtp = send
    one.transport.adopt(one.routes[0])
    one.transport.announce(one.routes[0], {7})
    one.come(rtp(7))
    one.transport.report(1)
    one.transport.report(2)
    async with asyncio.timeout(5):
        while len(sent) < 3:
            await asyncio.sleep(0.01)
    (packet,) = RtcpPacket.parse(sent[0])
    assert (packet.ssrc, [block.ssrc for block in packet.reports]) == (1, [7])
    one.transport.close()
    await asyncio.sleep(0)
    assert one.transport._reporting.cancelled()
