"""What a voice agent is told of its caller's tone, by a control server that is played here."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.fakes import envelopes
from tests.support import free_port
from worker.errors import ConfigError, SinkError
from worker.events import (
    EmotionAbstained,
    EmotionEstimated,
    EmotionShifted,
    RoomOpened,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechStarted,
    TalkTime,
)
from worker.sinks.vapi import MANNERS, VapiSink


class Call:
    """A call's control address, as the vendor describes it. Answers what is written, then 200."""

    def __init__(self, *script):
        self.script, self.sent, self.keys = list(script), [], []

    async def control(self, request):
        self.sent.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        return web.json_response({}, status=self.script.pop(0) if self.script else 200)

    @property
    def told(self):
        """Without what stands in every sentence."""
        return [sent["message"]["content"].removeprefix("Caller's tone ").split(". ")[0] for sent in self.sent]


@asynccontextmanager
async def calling(*script, **options):
    call, app = Call(*script), web.Application()
    app.router.add_post("/call/control", call.control)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink = VapiSink(f"http://127.0.0.1:{runner.addresses[0][1]}/call/control", **options)
    try:
        yield call, sink
    finally:
        await sink.close()
        await runner.cleanup()


async def hear(sink, *events):
    for envelope in envelopes(*events):
        await sink.send(envelope)


def joined(speaker="p1", role="customer"):
    return SpeakerJoined(0.0, speaker, "Somebody", role=role)


def felt(at, label, confidence=0.6, speaker="p1", provisional=False):
    return EmotionEstimated(at, speaker, at - 2.0, 0.5, -0.4, {}, confidence, provisional, "fake", label)


async def test_a_change_of_the_label_is_told_once_and_silently():
    async with calling(public_key="open") as (call, sink):
        await hear(sink, joined(), *[felt(10.0 + n / 2, "tense") for n in range(60)])
    (sent,) = call.sent
    content = f"Caller's tone sounded tense for the last 2 s, medium confidence. {MANNERS}"
    assert sent == {
        "type": "add-message",
        "message": {"role": "system", "content": content},
        "triggerResponseEnabled": False,
    }
    assert call.keys == ["Bearer open"]


async def test_changes_are_told_no_more_often_than_asked_and_the_newest_alone():
    async with calling(every_s=20.0) as (call, sink):
        await hear(
            sink, joined(), felt(5.0, "tense", 0.9), felt(8.0, "low"), felt(12.0, "neutral", 0.4), TalkTime(24.9, {})
        )
        assert call.told == ["sounded tense for the last 2 s, high confidence"]
        await hear(sink, TalkTime(25.0, {}), TalkTime(60.0, {}))
    assert call.told[1:] == ["sounded neutral for the last 15 s, low confidence"]


async def test_who_changes_back_in_time_has_not_changed():
    async with calling() as (call, sink):
        await hear(sink, joined(), felt(5.0, "tense"), felt(8.0, "low"), felt(12.0, "tense"), TalkTime(40.0, {}))
    assert call.told == ["sounded tense for the last 2 s, medium confidence"]


async def test_nothing_is_told_while_the_tone_is_unknown_or_was_never_anything_but_neutral():
    quiet = [
        [felt(5.0, "neutral")],
        [felt(5.0, None)],
        [felt(5.0, "tense", provisional=True)],
        [EmotionAbstained(5.0, "p1", 3.0, "mixed", "fake"), EmotionShifted(5.0, "p1", "arousal_rise", 0.1, 0.6, 8.0)],
    ]
    for events in quiet:
        async with calling() as (call, sink):
            await hear(sink, joined(), *events, TalkTime(60.0, {}))
        assert call.told == []


@pytest.mark.parametrize(
    "end",
    [EmotionAbstained(9.0, "p1", 7.0, "mixed", "fake"), SpeakerLeft(9.0, "p1"), SpeakerAnalysed(9.0, "p1", False)],
)
async def test_what_is_no_longer_so_is_not_told_later(end):
    async with calling() as (call, sink):
        await hear(sink, joined(), felt(5.0, "tense"), felt(8.0, "low"), end, TalkTime(60.0, {}))
    assert call.told == ["sounded tense for the last 2 s, medium confidence"]


async def test_a_shift_is_told_beside_a_label_that_stayed():
    async with calling() as (call, sink):
        shift = EmotionShifted(20.0, "p1", "arousal_rise", 0.1, 0.6, 8.0)
        await hear(sink, joined(), felt(5.0, "tense"), felt(19.0, "tense"), shift)
    said = "sounded tense for the last 17 s, medium confidence; over 8 s it grew livelier than before and stayed so"
    assert call.told[1:] == [said]


async def test_only_the_tone_of_who_is_named_is_told():
    people = [joined("p1", "seller"), joined("p2", "customer"), joined("p3", "")]
    for whose, heard in [("customer", ["p2"]), ("p3", ["p3"]), ("nobody", [])]:
        for one in ("p1", "p2", "p3"):
            async with calling(whose=whose) as (call, sink):
                await hear(sink, RoomOpened(0.0), *people, SpeechStarted(3.0, one), felt(5.0, "low", speaker=one))
            assert len(call.sent) == (one in heard)


async def test_a_message_that_fails_costs_itself_alone():
    async with calling(404) as (call, sink):
        with pytest.raises(SinkError, match=r"Vapi at 127\.0\.0\.1 answers 404"):
            await hear(sink, joined(), felt(5.0, "tense"))
        await hear(sink, TalkTime(30.0, {}), felt(40.0, "low"))
    assert [told.split(" for")[0] for told in call.told] == ["sounded tense", "sounded low"]
    away = VapiSink(f"http://localhost:{free_port()}/")
    with pytest.raises(SinkError, match="does not answer"):
        await hear(away, joined(), felt(5.0, "tense"))
    await away.close()


def test_a_control_address_that_is_none_is_named():
    for url in ("http://vapi.example/x", "nothing"):
        with pytest.raises(ConfigError, match="control_url must"):
            VapiSink.check_options({"control_url": url})
    VapiSink.check_options({"control_url": "env:NOWHERE"})
