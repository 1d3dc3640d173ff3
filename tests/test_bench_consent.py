"""The account of who agreed, the marked packets and the written lives; and each part at its smallest."""

import asyncio
import json
import sys
from collections import Counter
from itertools import pairwise

import pytest

from tests.support import require
from worker.audio.ear import Ear
from worker.audio.opus import FRAME, OpusDecoder
from worker.audio.rtp import RtpHeader
from worker.bench.consent import churn, cost, life, page, place, withdraw
from worker.bench.consent.account import NEVER, NO, UNDER_WAY, YES, Account, Said, Taken
from worker.bench.consent.people import told_later
from worker.bench.consent.tagged import NOBODY, person_of, spying, tag
from worker.bench.ear.sound import STEP, stream
from worker.privacy.levels import LEVELS, Level

SAID = [
    Said(1, 10.0, 10.1, Level.METRICS),
    Said(1, 20.0, 20.2, Level.PRESENCE),
    Said(1, 20.1, 20.3, Level.PRESENCE),
    Said(1, 30.0, 30.1, Level.EMOTION),
    Said(1, 40.0, 40.5, Level.PRESENCE),
    Said(1, 40.2, 40.6, Level.METRICS),
    Said(2, 10.0, 10.1, Level.PRESENCE),
]


@pytest.mark.parametrize(
    ("person", "at", "state"),
    [
        (1, 9.99, NO),
        (1, 10.0, YES),
        (1, 20.01, UNDER_WAY),
        (1, 20.19, UNDER_WAY),
        (1, 20.2, NO),  # the first no was answered; the second one makes nothing of it again
        (1, 29.9, NO),
        (1, 30.01, YES),
        (1, 40.1, UNDER_WAY),
        (1, 40.3, YES),
        (1, 99.0, YES),
        (2, 9.0, NEVER),
        (2, 10.05, NEVER),  # who never said yes has nothing under way
        (3, 50.0, NEVER),
    ],
)
def test_a_yes_counts_from_its_sending_and_a_no_from_its_answer(person, at, state):
    assert Account(SAID).state(person, at)[0] == state


def test_less_than_a_level_is_a_no_to_it():
    account = Account(SAID, Level.EMOTION)
    assert [account.state(1, at)[0] for at in (15.0, 31.0, 40.3, 40.55, 41.0)] == [NO, YES, UNDER_WAY, NO, NO]


def test_what_was_taken_is_summed_by_state():
    judged = Account(SAID).judge([Taken(1, 15.0, 320), Taken(1, 20.04, 320), Taken(1, 25.0, 640), Taken(2, 15.0, 320)])
    assert judged == {
        YES: {"count": 1, "samples": 320},
        UNDER_WAY: {"count": 1, "samples": 320, "longest_ms": 40.0},
        NO: {"count": 1, "samples": 640},
        NEVER: {"count": 1, "samples": 320},
    }


def test_a_marked_packet_says_whose_it_is_and_sounds_the_same():
    plain, marked = OpusDecoder(), OpusDecoder()
    for number, packet in enumerate(stream(0, 1.0, 2.0)):
        payload = tag(packet.payload, number)
        assert (person_of(payload), person_of(packet.payload)) == (number, NOBODY)
        assert (marked.decode(payload) == plain.decode(packet.payload)).all()


def test_every_decoder_of_an_ear_is_watched_and_what_is_guessed_is_the_persons_too():
    with spying() as decoded:
        ear = Ear("p1")
        for ssrc in (1, 2):
            for number, packet in enumerate(stream(0, 1.0, 1.0)):
                if not 10 <= number < 13:
                    header = RtpHeader(111, False, number, number * STEP, ssrc, packet.level, 0, False)
                    ear.push(header, tag(packet.payload, 40 + ssrc), number * 0.02)
    found = Counter(one.person for one in decoded)
    assert set(found) == {41, 42}
    assert sum(found.values()) > ear.decoded
    assert {one.samples for one in decoded} == {FRAME}


def test_lives_are_written_and_twenty_are_here_at_a_time():
    lives = [list(life.life(person, 180.0)) for person in range(life.PEOPLE)]
    assert lives == [list(life.life(person, 180.0)) for person in range(life.PEOPLE)]
    for moment in (30.5, 77.7, 120.3):
        steps = [[step for step in one if step.at_s <= moment] for one in lives]
        here = sum(bool(one) and one[-1].do not in life.WAYS_OUT for one in steps)
        assert abs(here - life.AT_ONCE) <= 1
    answers = [{step.answer for step in one} for one in lives]
    assert all(
        never == answer.isdisjoint(life.YES) for never, answer in zip(map(life.never, range(30)), answers, strict=True)
    )
    assert {step.do for one in lives for step in one} == {"join", "again", "say", *life.WAYS_OUT}
    assert all(a.at_s < b.at_s for one in lives for a, b in pairwise(one))


def test_the_last_packet_counts_from_the_no_until_the_next_yes():
    told = {
        "person": 0,
        "sent": 10.0,
        "acked": 10.01,
        "again": 10.5,
        "told": 10.03,
        "later": ["x"],
        "concluded": ["y", "z"],
    }
    untold = told | {"sent": 20.0, "acked": 20.01, "again": 20.5, "told": None, "later": [], "concluded": []}
    decoded = [Taken(0, at, 320) for at in (9.99, 10.02, 10.04, 10.6, 20.6)] + [Taken(1, 10.3, 320)]
    found = withdraw.figures([told, untold], decoded)
    assert found["to_last_decoded_ms"] == {"bar_p99": 100, "p50": 20.0, "p95": 38.0, "p99": 39.6, "max": 40.0}
    assert (found["withdrawals"], found["decoded_before"], found["told"], found["said_later"]) == (2, 1, 1, 1)
    assert (found["concluded_later"], found["to_listener_ms"]["max"]) == (2, 30.0)


def test_what_is_told_of_a_voice_after_its_tombstone_is_kept_apart_from_what_only_became_certain():
    def event(kind, at, **fields):
        return {"type": f"io.undertone.{kind}.v1", "data": {"at": at, "speaker": "p1", **fields}}

    heard = [
        (1.0, event("speech.ended", 0.9)),
        (1.1, event("speaker.analysed", 1.0, analysed=False)),
        (1.2, event("turn.started", 0.2)),
        (1.3, event("emotion.estimated", 0.8)),
        (1.4, event("turn.started", 1.3)),
    ]
    found = told_later(heard)
    assert found["told"] == 1.1
    assert found["later"] == ["io.undertone.emotion.estimated.v1", "io.undertone.turn.started.v1"]
    assert found["concluded"] == ["io.undertone.turn.started.v1"]
    assert told_later(heard[:1])["told"] is None


def test_tiles_are_timed_by_the_clock_that_both_share():
    clicked = [{"steady": 5.0, "wall": 1005.0}, {"steady": 50.0, "wall": 1050.0}]
    own = [{"steady": 7.0, "wall": 0}, {"steady": 54.0, "wall": 0}]
    other = [{"steady": 0, "wall": 1035.0, "painting": 8.0}, {"steady": 0, "wall": 1090.0, "painting": 9.0}]
    found = page.figures(clicked, own, other)
    assert (found["to_own_tile_ms"]["max"], found["to_other_tile_ms"]["max"]) == (4.0, 40.0)


def test_asking_is_timed_beside_decoding(monkeypatch):
    monkeypatch.setattr(cost, "KNOWN", (20,))
    monkeypatch.setattr(cost, "_WAYS", (("in_one_go", 0.0, 50),))
    found = cost.measure(True)["20_known"]["in_one_go"]
    assert found["times_less"] > 0
    assert found["asking_us"]["p50"] > 0


def test_churn_is_judged_by_what_people_wrote():
    spot = place.Place("", "", decoded=[Taken(0, 12.0, 320), Taken(2, 12.0, 320), Taken(NOBODY, 12.0, 320)])
    spot.windows["vad"] = [("p1", 12.0, 512), ("p9", 12.0, 512)]
    spot.windows["engine"] = [("p1", 12.0, 16_000)]
    said = {"person": 0, "speaker": "p1", "at": 10.0, "acked": 10.1, "level": "metrics"}
    lines = [said, said | {"person": 2, "speaker": "p2", "level": "presence"}, {"speaking": [1, 2, 2]}]
    found = churn.figures([*lines, {"done": {"sent": {"0": 50, "2": 60}, "join": 2}}], spot)
    assert found["decoded"][YES]["count"] == found["decoded"][NEVER]["count"] == found["of_nobody"] == 1
    assert (found["vad_windows"][YES]["count"], found["vad_windows"][NEVER]["count"]) == (1, 1)
    assert found["emotion_windows"][NEVER]["samples"] == 16_000
    assert found["packets_sent"] == {"all": 110, NEVER: 60}
    assert found["speaking"] == {"median": 2, "max": 2}


async def test_people_who_withdraw_are_heard_before_and_not_after():
    async with place.opened() as spot:
        arguments = ["-m", "worker.bench.consent.people", spot.address, spot.id, "withdraw", "4"]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        lines = [json.loads(line) async for line in place.told(process)]
    said = [Said(one["person"], one["at"], one["acked"], LEVELS[one["level"]]) for one in lines if "person" in one]
    judged = Account(said).judge(spot.decoded)
    assert judged[YES]["count"] > 0
    assert judged[NO]["count"] == judged[NEVER]["count"] == 0
    assert spot.windows["vad"]
    found = withdraw.figures([line["round"] for line in lines if "round" in line], list(spot.decoded))
    assert (found["withdrawals"], found["told"], found["said_later"]) == (4, 4, 0)


async def test_a_click_clears_the_tile_on_both_pages():
    require("chromium")
    found = await page._measure(1)
    assert found["clicks"] == 1
    assert found["to_other_tile_ms"]["max"] > 0
