"""Events posted to a real server, judged by the verifier of Standard Webhooks."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs
from tenacity import stop_never

from tests.fakes import envelopes, run_of
from tests.support import free_port
from worker.errors import ConfigError, SinkError
from worker.events import Prompted, RoomOpened, SpeakerJoined, SpeechStarted, TalkTime
from worker.sinks import webhook
from worker.sinks.delivery import Outlet
from worker.sinks.webhook import WebhookSink, _seconds

SECRET = "whsec_" + "c2VjcmV0" * 4
OPENED, JOINED, TALK, STARTED = envelopes(
    RoomOpened(0.0), SpeakerJoined(1.0, "ada", "Ada \u2603"), TalkTime(2.0, {}), SpeechStarted(3.0, "ada")
)
[PROMPT] = envelopes(Prompted(4.0, "c1", "ada", "monologue", "hint", "Ask.", "90 s", {}, 10.0))


class Receiver:
    """Answers what is written, then 204; keeps what it was sent, as (id, body)."""

    def __init__(self, *script):
        self.script, self.seen, self.headers = list(script), [], []
        self.verifier = Webhook(SECRET)

    async def take(self, request):
        body = await request.read()
        self.verifier.verify(body, dict(request.headers))
        self.headers.append(request.headers)
        self.seen.append((request.headers["webhook-id"], json.loads(body)))
        status, *headers = self.script.pop(0) if self.script else (204,)
        return web.Response(status=status, headers=dict(headers))

    @property
    def ids(self):
        return [name for name, _ in self.seen]


@asynccontextmanager
async def receiving(*script, **options):
    """(receiver, sink)"""
    receiver = Receiver(*script)
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?key=hidden"
    sink = WebhookSink(url, SECRET, **{"pause_s": 0.001} | options)
    try:
        yield receiver, sink
    finally:
        await sink.close()
        await runner.cleanup()


async def test_an_event_arrives_signed_and_whole_under_its_own_id():
    async with receiving() as (receiver, sink):
        await sink.send(JOINED)
    assert receiver.seen == [("quiet:7:2", JOINED.as_dict())]
    assert receiver.headers[0]["Idempotency-Key"] == "quiet:7:2"
    assert receiver.headers[0]["Content-Type"] == "application/json"
    changed = JOINED.as_json().replace("Ada", "Eve")
    with pytest.raises(WebhookVerificationError):
        receiver.verifier.verify(changed, dict(receiver.headers[0]))


async def test_only_what_is_wanted_is_posted():
    async with receiving() as (receiver, sink):
        for envelope in (OPENED, JOINED, TALK, STARTED):
            await sink.send(envelope)
        assert receiver.ids == ["quiet:7:1", "quiet:7:2", "quiet:7:4"]
    async with receiving(events=("talk_time.v1",)) as (receiver, sink):
        for envelope in (OPENED, TALK, STARTED, STARTED.gap_since(2)):
            await sink.send(envelope)
        assert receiver.ids == ["quiet:7:3", "quiet:7:3:gap-3"]


async def test_trouble_that_may_pass_is_tried_again_under_the_same_id():
    async with receiving((503,), (429, ("Retry-After", "0")), (500,)) as (receiver, sink):
        await sink.send(OPENED)
        await sink.send(JOINED)
    assert receiver.ids == ["quiet:7:1"] * 4 + ["quiet:7:2"]


@pytest.mark.parametrize("answer", [(400,), (410,), (301, ("Location", "/elsewhere"))])
async def test_an_answer_that_will_not_change_is_not_asked_for_again(answer):
    async with receiving(answer) as (receiver, sink):
        with pytest.raises(SinkError, match=f"at 127.0.0.1 did not take an event: it answers {answer[0]}") as error:
            await sink.send(OPENED)
    assert (receiver.ids, error.value.code) == (["quiet:7:1"], "webhook_refused")


async def test_attempts_end_and_so_does_patience():
    async with receiving(*[(500,)] * 9, attempts=3) as (receiver, sink):
        with pytest.raises(SinkError, match="it answers 500, at the last attempt"):
            await sink.send(OPENED)
        assert len(receiver.seen) == 3
    async with receiving((503, ("Retry-After", "3600"))) as (receiver, sink):
        with pytest.raises(SinkError) as error:
            await sink.send(OPENED)
        assert (len(receiver.seen), error.value.code) == (1, "webhook_away")


async def test_who_asks_for_a_pause_gets_it(monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    async with receiving((503, ("Retry-After", "7")), (503,)) as (_, sink):
        monkeypatch.setattr(sink._retrying, "sleep", sleep)
        await sink.send(OPENED)
    assert pauses[0] == 7
    assert 0.001 <= pauses[1] < 0.01


def test_a_pause_is_asked_for_in_seconds_or_as_a_date():
    assert [_seconds(text) for text in ("12", "", "soon", "-5", "Wed, 01 Jan 2020 00:00:00 GMT")] == [12, 0, 0, 0, 0]
    assert 50 < _seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) <= 60


async def test_what_was_lost_is_kept_in_a_file_and_told_as_a_gap(tmp_path):
    path = tmp_path / "dead.jsonl"
    async with receiving((400,), dead_letters=path) as (receiver, sink):
        outlet = Outlet(sink)
        for envelope in (OPENED, JOINED):
            outlet.put(envelope)
        with capture_logs() as logs:
            assert await outlet.close(5.0) == 0
    assert receiver.ids == ["quiet:7:1", "quiet:7:1:gap-1", "quiet:7:2"]
    letter = json.loads(path.read_text())
    assert (letter["event"], letter["reason"]) == (OPENED.as_dict(), "it answers 400")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hidden" not in str(logs)


async def test_whatever_is_lost_while_nobody_is_there_is_in_the_file(tmp_path):
    """The first is tried; of the next not even the gap is taken; then too many wait, and at last the room closes."""
    path, said = tmp_path / "dead.jsonl", run_of(8)
    sink = WebhookSink(f"http://127.0.0.1:{free_port()}/", SECRET, pause_s=0.001, attempts=1, dead_letters=path)
    outlet = Outlet(sink, size=3)
    with capture_logs():
        for envelope in said[:2]:
            outlet.put(envelope)
        await outlet.caught_up()
        sink._retrying = sink._retrying.copy(stop=stop_never)
        outlet.put(said[2])
        async with asyncio.timeout(5):
            while not outlet.under_way:
                await asyncio.sleep(0.01)
        for envelope in said[3:]:
            outlet.put(envelope)
        left = await outlet.close(0.1)
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(letter["event"]["seq"], letter["reason"][-12:]) for letter in letters] == [
        (1, "last attempt"), (2, "rs were lost"), (4, "vents waited"), (5, "vents waited"),
        (3, "it was taken"), (6, "it was taken"), (7, "it was taken"), (8, "it was taken"),
    ]  # fmt: skip
    assert left == 4


def test_what_is_not_wanted_is_no_loss(tmp_path):
    sink = WebhookSink("https://h/", SECRET, dead_letters=tmp_path / "dead.jsonl")
    for envelope in (TALK, STARTED.gap_since(2)):
        sink.keep(envelope, "lost")
    assert list(tmp_path.iterdir()) == []


async def test_the_file_of_lost_events_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(webhook, "LARGEST_FILE", 300)
    path = tmp_path / "dead.jsonl"
    async with receiving(*[(400,)] * 9, dead_letters=path) as (_, sink):
        for _ in range(9):
            with pytest.raises(SinkError):
                await sink.send(OPENED)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dead.jsonl", "dead.jsonl.1"]
    assert all(len(file.read_text()) < 1000 for file in tmp_path.iterdir())


async def test_nobody_there_is_trouble_that_may_pass():
    sink = WebhookSink(f"http://127.0.0.1:{free_port()}/", SECRET, pause_s=0.001, attempts=2)
    with pytest.raises(SinkError, match="it does not answer"):
        await sink.send(OPENED)
    await sink.close()


@pytest.mark.parametrize(("options", "sentence"), [
    ({"url": "http://example.org/x"}, "must begin with https"),
    ({"url": "https://ada:word@example.org/x"}, "without a user"),
    ({"url": "ftp://example.org"}, "must be https"),
    ({"url": "https://[::1"}, "must be https"),
    ({"secret": "plain"}, "secret must be whsec_"),
    ({"secret": "whsec_c2hvcnQ="}, "secret must be whsec_"),
    ({"events": ("speach.",)}, "no type begins with 'speach.'; did you mean 'speech"),
    ({"events": ("coaching.",)}, "prompts: true posts it"),
    ({"events": ("",)}, "no type begins with"),
])  # fmt: skip
def test_options_that_can_not_be_are_named(options, sentence):
    given = {"url": "https://example.org/x", "secret": SECRET, "events": webhook.FACTS, "dead_letters": None} | options
    with pytest.raises(ConfigError, match=sentence):
        WebhookSink.check_options(given)
    with pytest.raises(ConfigError, match=sentence):
        WebhookSink(**given)


def test_the_place_of_a_secret_is_not_looked_up_before_the_start(tmp_path):
    given = {"url": "env:NOWHERE", "secret": "env:NOWHERE", "events": (), "dead_letters": tmp_path / "x" / "y"}
    with pytest.raises(ConfigError, match=r"folder .* does not exist"):
        WebhookSink.check_options(given)
    WebhookSink.check_options(given | {"dead_letters": None})


async def test_prompts_are_posted_only_where_that_is_wanted():
    async with receiving(prompts=True) as (receiver, sink):
        await sink.send(PROMPT)
    assert receiver.seen == [("quiet:7:ada:1", PROMPT.as_dict())]
    assert (sink.private, WebhookSink("https://h/", SECRET).private) == (True, False)
