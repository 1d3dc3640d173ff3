"""Who is carried to whom, without a network."""

import asyncio
from types import SimpleNamespace

import pytest
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket

from worker.audio.ear import Ear
from worker.audio.rtp import RtpHeader, parse
from worker.privacy.levels import Level
from worker.rooms.exchange import Exchange
from worker.rooms.participant import Participant
from worker.rooms.webrtc.peer import Line


class Peer:
    """Notes what is sent to a browser and asked of it."""

    def __init__(self, pairs):
        self.outgoing, self.sent, self.asked = [], [], []
        self.transport = SimpleNamespace(send=lambda data: self.sent.append(parse(data)) or True)
        self.offer(pairs)

    def offer(self, pairs):
        for n in range(len(self.outgoing), len(self.outgoing) + 2 * pairs, 2):
            self.outgoing += [Line("audio", str(n), 96, 100 + n, None), Line("video", str(n + 1), 97, 101 + n, None)]

    async def ask_keyframe(self):
        self.asked.append("keyframe")

    async def ask_again(self, kind, sequences):
        self.asked.append((kind, sequences))

    async def send_report(self, line, report, timestamp):
        self.sent.append((line, report, timestamp))


class Meeting:
    def __init__(self, *pairs):
        self.work = set()
        self.exchange = Exchange(lambda work: self.work.add(asyncio.ensure_future(work)))
        self.people = [self.come(f"p{number}", count) for number, count in enumerate(pairs, 1)]

    def come(self, speaker, pairs):
        one = Participant(speaker, "Ada", 1, Level.EMOTION, False, Ear(speaker), Peer(pairs), present=True)
        one.said = []
        one.say = one.said.append
        self.exchange.here[speaker] = one
        self.exchange.pair_lines(one)
        self.exchange.announce()
        return one

    def carry(self, one, numbers, kind="audio"):
        for number in numbers:
            self.exchange.carry(one, kind, RtpHeader(111, False, number, number * 960, 1, None, 0, False), b"x", 0.0)

    async def settle(self):
        await asyncio.gather(*self.work)


def slots(one):
    """Who is on which slot as this browser was told last, and how many it is asked to offer."""
    last = next(message for message in reversed(one.said) if message["type"] == "slots")
    return [slot["speaker"] for slot in last["slots"]], last["wanted"]


async def test_everyone_is_carried_to_everyone_else():
    meeting = Meeting(2, 2, 2)
    ada, bo, cy = meeting.people
    assert [slots(one) for one in (ada, bo, cy)] == [(["p2", "p3"], 2), (["p1", "p3"], 2), (["p1", "p2"], 2)]
    meeting.carry(ada, [0, 1])
    assert [len(one.peer.sent) for one in (ada, bo, cy)] == [0, 2, 2]
    assert {header.ssrc for header in bo.peer.sent} == {bo.slots[0][0].line.ssrc}


async def test_more_slots_are_asked_for_and_used_once_offered():
    meeting = Meeting(1, 1, 1)
    ada = meeting.people[0]
    assert slots(ada) == (["p2"], 2)
    ada.peer.offer(1)
    meeting.exchange.pair_lines(ada)
    assert slots(ada) == (["p2", "p3"], 2)


async def test_who_leaves_is_carried_to_nobody_and_gives_their_slots_away():
    meeting = Meeting(1, 1)
    ada, bo = meeting.people
    meeting.exchange.remove(bo)
    meeting.exchange.announce()
    assert slots(ada) == ([None], 1)
    meeting.carry(ada, [0])
    meeting.carry(bo, [0])
    assert ada.peer.sent == bo.peer.sent == []
    cy = meeting.come("p3", 1)
    assert (slots(ada), slots(cy)) == ((["p3"], 1), (["p1"], 1))
    meeting.carry(cy, [7])
    assert len(ada.peer.sent) == 1


async def test_who_is_not_present_yet_has_no_slot():
    meeting = Meeting(1, 1)
    ada, bo = meeting.people
    bo.present = False
    meeting.exchange.announce()
    assert slots(ada)[0] == [None]
    assert [card["speaker"] for card in ada.said[-2]["participants"]] == ["p1"]


async def test_a_new_place_begins_with_a_whole_picture():
    meeting = Meeting(2, 2)
    await meeting.settle()
    assert [one.peer.asked for one in meeting.people] == [["keyframe"], ["keyframe"]]


async def test_a_subscriber_that_misses_a_picture_gets_it_from_here_or_from_the_sender():
    meeting = Meeting(1, 1)
    ada, bo = meeting.people
    await meeting.settle()
    meeting.carry(ada, [5, 6, 7], "video")
    sent = list(bo.peer.sent)
    for one in meeting.people:
        one.peer.asked.clear()
    leg = bo.slots[0][1]
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=leg.line.ssrc)
    nack.lost = [sent[1].sequence, sent[0].sequence - 2]
    await leg.line.on_feedback(nack)
    assert (bo.peer.sent[3:], ada.peer.asked) == ([sent[1]], [("video", [3])])
    ada.keyframes._last = float("-inf")
    for _ in range(2):
        await leg.line.on_feedback(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=leg.line.ssrc))
    assert ada.peer.asked[1:] == ["keyframe"]  # not twice at once


@pytest.mark.parametrize("leaves", [0, 1])
async def test_feedback_about_or_from_somebody_who_left_is_nobodys(leaves):
    meeting = Meeting(1, 1)
    await meeting.settle()
    ada, bo = meeting.people
    ada.peer.asked.clear()
    ada.keyframes._last = float("-inf")
    meeting.exchange.remove(meeting.people[leaves])
    meeting.exchange.announce()
    await bo.slots[0][1].line.on_feedback(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=1))
    assert ada.peer.asked == []


async def test_a_sender_report_follows_the_sound_in_its_own_time():
    meeting = Meeting(1, 1)
    ada, bo = meeting.people
    report = SimpleNamespace(sender_info=SimpleNamespace(rtp_timestamp=960))
    await meeting.exchange.report(ada, "audio", report)
    assert bo.peer.sent == []  # nothing was carried yet
    meeting.carry(ada, [0, 1])
    await meeting.exchange.report(ada, "audio", report)
    assert bo.peer.sent[2:] == [(bo.slots[0][0].line, report, bo.peer.sent[1].timestamp)]
