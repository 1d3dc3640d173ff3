"""One connection of one person, without a network: what waits for them, and what is sent to them again."""

import asyncio

import pytest

from worker.audio.ear import Ear
from worker.audio.rtp import RtpHeader, parse
from worker.rooms import participant
from worker.rooms.forward import Leg
from worker.rooms.participant import KNOCKS_PER_S, RECENT, REPEATS_PER_S, WAITING, Participant
from worker.rooms.webrtc.peer import Line


def person(speaker="p1"):
    return Participant(speaker, "Ada", 1, True, False, Ear(speaker))


class Socket:
    """Notes what it is told, until it hangs or breaks."""

    def __init__(self, fault=None):
        self.said, self.closed, self.fault = [], None, fault

    async def send_json(self, message):
        if self.fault is not None:
            await self.fault()
        self.said.append(message)

    async def close(self, code, message):
        self.closed = (code, message.decode())


async def hang():
    await asyncio.Event().wait()


async def breaks():
    raise ConnectionResetError


async def test_what_is_said_is_written_in_order_and_then_a_reason():
    one, socket = person(), Socket()
    one.say({"type": "a"})
    one.say({"type": "b"})
    one.dismiss("Enough.", 4400)
    one.dismiss("Again.", 4504)
    one.say({"type": "c"})
    await one.write(socket, pytest.fail)
    assert socket.said == [{"type": "a"}, {"type": "b"}, {"type": "error", "message": "Enough."}]
    assert socket.closed == (4400, "Enough.")


async def test_leaving_closes_without_a_word():
    one, socket = person(), Socket()
    one.leave()
    await one.write(socket, pytest.fail)
    assert (socket.said, socket.closed) == ([], (1000, ""))


@pytest.mark.parametrize("fault", [hang, breaks])
async def test_a_socket_that_takes_nothing_is_cut_off_while_others_are_told(monkeypatch, fault):
    monkeypatch.setattr(participant, "WRITE_S", 0.1)
    bad, good, socket, cut = person(), person("p2"), Socket(), []
    for one in (bad, good):
        one.say({"type": "welcome"})
    good.leave()
    async with asyncio.timeout(2):
        await asyncio.gather(
            bad.write(Socket(fault), lambda: cut.append(len(socket.said))), good.write(socket, pytest.fail)
        )
    assert cut == [1 if fault is hang else 0]  # the other was told meanwhile
    assert socket.said == [{"type": "welcome"}]


async def test_what_waits_for_a_socket_is_bounded():
    one, socket = person(), Socket()
    for number in range(3 * WAITING):
        one.say({"type": str(number)})
    await one.write(socket, pytest.fail)
    assert len(socket.said) <= WAITING
    assert socket.closed is not None
    assert socket.closed[0] == 4504


def test_messages_are_counted():
    one = person()
    assert [one.knock() for _ in range(KNOCKS_PER_S + 2)] == [True] * KNOCKS_PER_S + [False] * 2


class Picture:
    """A source of video, someone who watches, and the packets that went out."""

    def __init__(self, count, begin=0):
        self.source, self.watcher, self.sent = person(), person("p2"), []
        self.leg = Leg(Line("video", "3", 96, 77, None), lambda data: self.sent.append(parse(data)) or True)
        for number in range(begin, begin + count):
            header = RtpHeader(97, False, number & 0xFFFF, number * 3000, 1, None, 12, False)
            packet = bytes(12) + number.to_bytes(4, "big")
            self.leg.forward(header, packet, 0.0)
            self.source.keep(header, packet)


def test_a_lost_picture_packet_is_sent_again_as_it_was():
    picture = Picture(5, begin=65533)
    before = list(picture.sent)
    picture.sent.clear()
    assert picture.source.repeat(picture.leg, [65534, 0], picture.watcher) == []
    assert picture.sent == [before[1], before[3]]


def test_what_is_not_at_hand_is_asked_of_the_source():
    picture = Picture(RECENT + 10)
    picture.sent.clear()
    assert picture.source.repeat(picture.leg, [9, 10, 40_000], picture.watcher) == [9, 40_000]
    assert len(picture.sent) == 1
    assert person().repeat(picture.leg, [1], picture.watcher) == [1]


def test_repeats_are_capped_until_the_next_second():
    picture = Picture(20)
    picture.sent.clear()
    for _ in range(REPEATS_PER_S):
        assert picture.source.repeat(picture.leg, [3, 4], picture.watcher) == []
    assert len(picture.sent) == REPEATS_PER_S
    picture.watcher.repeats = 0
    picture.source.repeat(picture.leg, [3], picture.watcher)
    assert len(picture.sent) == REPEATS_PER_S + 1
