"""Names, secrets and private words are planted in a whole worker, and looked for wherever they must not be."""

import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
import redis
from aiohttp import ClientSession, web
from cryptography.fernet import Fernet

from tests.hall import Guest
from tests.hall import _loopback as _loopback
from tests.support import free_port
from worker.config import settle
from worker.events import Prompted, SpeechStarted
from worker.ops import logs
from worker.ops.http import Server
from worker.supervisor import serve

MARK = "canary-"
NAMES = {
    "ada": "Ada Canary-Surname",
    "bo": "Bo Canary-Byname",
    "ada's key": "canary-person-key-of-ada",
    "room": "canary-room",
}
SECRETS = {
    "server.token": "canary-token-of-the-server",
    "server.signing_key": "canary-signing-key-0123456789abcdef",
    "control.token": "canary-token-of-the-control-api",
    "dashboard.token": "canary-token-of-the-dashboard",
    "audit.key": "canary-audit-key-0123456789abcdef",
    "keeping.keys": Fernet.generate_key().decode(),
    "redis": "canary-password-of-redis",
    "webhook.secret": "whsec_Y2FuYXJ5LXNlY3JldC1vZi10aGUtd2ViaG9vaw==",
    "vapi.control_url": "canary-path-of-vapi",
    "pin": "canary-pin-1234",
    "api_secret": "canary-api-secret",
    "janus token": "canary-janus-token",
    "wrong": "canary-that-somebody-tried",
}
PRIVATE = "canary-words-for-ada-alone"

pytestmark = pytest.mark.usefixtures("logging_as_before")


class Keen:
    """A voice model that takes everything for speech."""

    def predict(self, batch):
        return [(0.99, None) for _ in batch]


class Prompter:
    """Says something to whoever begins to speak, and to them alone."""

    def push(self, event):
        if isinstance(event, SpeechStarted):
            return [Prompted(event.at, "c1", event.speaker, "long_run", "hint", PRIVATE, PRIVATE, {}, 10.0)]
        return []

    def tick(self, now):
        return []

    close = tick


def janus(url):
    """A room elsewhere, with every secret that one can have."""
    secret = {"pin": SECRETS["pin"], "api_secret": SECRETS["api_secret"], "token": SECRETS["janus token"]}
    return {"kind": "janus", "url": url, "room": 1, "name": f"{NAMES['room']}-elsewhere", **secret}


def configured(folder, redis_url, outside, monkeypatch):
    webhook, elsewhere = outside, outside.replace("http", "ws")
    monkeypatch.setenv("CANARY_KEY", SECRETS["server.signing_key"])
    (folder / "token").write_text(SECRETS["server.token"])
    return settle({
        "room": {"kind": "embedded", "name": NAMES["room"]},
        "vad": {"kind": "tests.test_canary:Keen"}, "emotion": None, "drain_s": 3,
        "conversation": [{"kind": "talk_time"}, {"kind": "tests.test_canary:Prompter"}],
        "sinks": [
            {"kind": "data_channel"}, {"kind": "websocket"}, {"kind": "redis", "url": redis_url},
            {"kind": "jsonl", "path": str(folder / "events.jsonl")},
            {"kind": "webhook", "url": f"{webhook}/events", "secret": SECRETS["webhook.secret"]},
            {"kind": "vapi", "control_url": f"{webhook}/{SECRETS['vapi.control_url']}"},
        ],
        "keeping": {"keys": [SECRETS["keeping.keys"]]},
        "server": {"port": 0, "token": f"file:{folder / 'token'}", "signing_key": "env:CANARY_KEY"},
        "control": {
            "token": SECRETS["control.token"], "allow": [elsewhere], "templates": {"meeting": janus(elsewhere)},
        },
        "dashboard": {"token": SECRETS["dashboard.token"]},
        "audit": {"path": str(folder / "audit.jsonl"), "key": SECRETS["audit.key"]},
    })  # fmt: skip


@asynccontextmanager
async def receiving():
    """(an address elsewhere, what was posted there). It takes webhooks, and is a Janus that repeats in its errors all
    that it is told."""
    asked = []

    async def take(request):
        if request.headers.get("Upgrade"):
            await (socket := web.WebSocketResponse(protocols=["janus-protocol"])).prepare(request)
            async for message in socket:
                error = {"code": 403, "reason": f"Not with {message.data}"}
                told = {"janus": "error", "transaction": message.json().get("transaction"), "error": error}
                await socket.send_json(told)
            return socket
        asked.append((request.path_qs, dict(request.headers), await request.text()))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    try:
        yield f"http://127.0.0.1:{port}", asked
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(settings):
    found: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings, found.set_result))
    await asyncio.wait({task, found}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield await found if found.done() else task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Caller:
    """Asks the worker, and keeps every answer with its headers, and every address."""

    def __init__(self, session):
        self.session, self.answers, self.addresses = session, [], []

    async def ask(self, method, path, token="control.token", **options):
        headers = {"Authorization": f"Bearer {SECRETS[token]}"} if token else {}
        async with self.session.request(method, path, headers=headers, **options) as answer:
            text = await answer.text()
            self.answers.append(f"{method} {path} {answer.status} {dict(answer.headers)} {text}")
            return json.loads(text) if answer.content_type == "application/json" else text

    async def own(self, guest):
        """What somebody is given of themselves, by the pass that their page asks for; kept aside."""
        await guest.say({"type": "pass"})
        await until(lambda: guest.last("pass"))
        token = guest.last("pass")["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(f"/v1/rooms/{NAMES['room']}/me", headers=headers) as answer:
            assert answer.status == 200
            return token, await answer.text()

    async def refused(self, elsewhere):
        """Everything that is refused, with secrets in it where a careless answer would repeat them."""
        secret = SECRETS["wrong"]
        for path in ("/v1/rooms", "/v1/meetings", f"/v1/rooms/{NAMES['room']}/none", "/none"):
            await self.ask("GET", path, "wrong")
        for room in (
            janus(elsewhere) | {"pin": {"x": secret}}, janus(elsewhere) | {"token": [secret]},
            janus(elsewhere) | {"pin": secret, "guests": 1}, janus(elsewhere) | {"room": {"pin": secret}},
            janus(f"ws://me:{secret}@sfu.test"), janus("ws://sfu.test") | {"pin": secret}, {"kind": secret},
            janus(elsewhere) | {"token": f"env:{secret}"}, {"kind": "embedded", "name": f"{secret}!"},
        ):  # fmt: skip
            await self.ask("POST", "/v1/rooms", json={"room": room})
        await self.ask("POST", "/v1/rooms", json={"template": "meeting", "fields": {"pin": secret}})
        await self.ask("POST", "/v1/rooms", json={"template": secret})
        for verb in ("join", "events"):
            async with self.session.ws_connect(f"/v1/rooms/{NAMES['room']}/{verb}") as socket:
                await socket.send_json({"token": secret})
                self.answers.append(str(await socket.receive()))


@asynccontextmanager
async def listening(session, token):
    """What a listener with this token is told, as a list that grows."""
    heard = []

    async def read(socket):
        async for message in socket:
            heard.append(message.data)

    async with session.ws_connect(f"/v1/rooms/{NAMES['room']}/events") as socket:
        await socket.send_json({"token": token})
        reading = asyncio.create_task(read(socket))
        try:
            yield heard
        finally:
            reading.cancel()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def meet(server, outside, caller, session):
    """Two people join, one speaks, both leave; what each of them and a viewer was told."""
    page = await caller.ask("GET", "/v1/page", None)
    hall, people = SimpleNamespace(server=server), {}
    for who in ("ada", "bo"):
        hello = {"level": "metrics", "text": page["notice"]["version"], "token": SECRETS["server.token"]}
        key = NAMES["ada's key"] if who == "ada" else "a-person-key-of-bo"
        guest = Guest(hall, session, NAMES[who], key, **hello)
        guest.url = f"http://127.0.0.1:{server.port}/v1/rooms/{NAMES['room']}/join"
        people[who] = await guest.join()
    open_here = next(iter((await caller.ask("GET", "/v1/rooms"))["rooms"]))
    path = f"/v1/rooms/{open_here['id']}"
    await until(lambda: any("speaker.joined" in str(one) for one in people["ada"].events))
    tokens = {}
    for speaker in ("p1", "p2"):
        body = {"audience": "participant", "speaker": speaker}
        tokens[speaker] = (await caller.ask("POST", f"{path}/tokens", json=body))["token"]
    caller.answers[-2:] = []  # who asks for a token is told one
    async with (
        listening(session, tokens["p1"]) as own,
        listening(session, tokens["p2"]) as other,
        listening(session, SECRETS["server.token"]) as everyone,
    ):
        await people["ada"].speak(60)
        await until(lambda: PRIVATE in "".join(own))
        elsewhere = (await caller.ask("POST", "/v1/rooms", json={"template": "meeting"}))["id"]
        while (await caller.ask("GET", f"/v1/rooms/{elsewhere}"))["state"] == "joining":
            await asyncio.sleep(0.05)
        await caller.refused(outside.replace("http", "ws"))
        await caller.ask("PUT", f"{path}/consent", json={"speaker": "p2", "level": "presence"})
        for place in ("/metrics", "/v1/openapi.json", "/v1/rooms", "/v1/page"):
            await caller.ask("GET", place)
        for place in ("/v1/meetings", f"/v1/meetings/{NAMES['room']}", f"/v1/meetings/{NAMES['room']}/beside"):
            await caller.ask("GET", place, "dashboard.token")
        (tokens["pass"], hers), (tokens["bo's pass"], his) = [await caller.own(one) for one in people.values()]
        own.append(hers)
        for one in people.values():
            await one.leave()
        await until(lambda: "".join(everyone).count("speaker.left") >= 2)
    page = [json.dumps(people["bo"].events)]
    return {"own": own, "other": other, "everyone": everyone, "bo's page": page, "bo's data": [his]}, tokens


def hits(text, *words):
    """Which canaries stand in a text, as they are or as parts of what is written of them."""
    return [word for word in words if word.lower() in text.lower()]


@pytest.mark.parametrize("log", [{"level": "info", "format": "text"}, {"level": "debug", "format": "json"}], ids=str)
async def test_nothing_planted_comes_out_where_it_must_not(log, tmp_path, redis_server, monkeypatch, capfd):
    store = redis_server("--requirepass", SECRETS["redis"])
    url = store.url.replace("//", f"//:{SECRETS['redis']}@")
    logs.setup(**log)
    async with receiving() as (outside, posted):
        settings = configured(tmp_path, url, outside, monkeypatch)
        async with serving(settings) as server, ClientSession(f"http://127.0.0.1:{server.port}") as session:
            caller = Caller(session)
            told, tokens = await meet(server, outside, caller, session)
            await until(lambda: any("speaker.left" in body for _, _, body in posted))
    said = capfd.readouterr()
    audit = "".join(path.read_text() for path in tmp_path.glob("audit*.jsonl") if "salt" not in path.name)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        kept = "".join(str(client.xrange(key)) for key in client.scan_iter("ut:*", _type="stream"))
    told = {who: "".join(messages) for who, messages in told.items()}
    secrets = [*SECRETS.values(), *tokens.values()]
    names = [NAMES["ada"], NAMES["bo"], "Canary-Surname", "Canary-Byname", NAMES["ada's key"]]

    assert PRIVATE in told["own"], "the canary sings where it may"
    assert NAMES["ada"] in told["everyone"]
    assert NAMES["bo"] in told["bo's data"]
    assert "participant joined" in said.err
    assert audit.count("\n") > 5

    worker_says = {"its log": said.err + said.out, "its audit log": audit}
    assert hits(told["bo's data"], NAMES["ada"]) == []
    for where, text in worker_says.items():
        assert hits(text, MARK, *secrets) == [], where
    answers = "\n".join(caller.answers)
    assert hits(answers, *secrets, PRIVATE, NAMES["ada's key"]) == []
    public = [one for one in caller.answers if not re.match(r"\w+ /v1/(rooms|meetings)\S* 20", one)]
    assert hits("\n".join(public), *names) == []
    for where, text in {**told, "redis": kept, "webhook": str([body for *_, body in posted])}.items():
        assert hits(text, *secrets, NAMES["ada's key"], *([PRIVATE] if where != "own" else [])) == [], where
    assert {path for path, *_ in posted} == {"/events"}
    assert hits(str([headers for _, headers, _ in posted]), *secrets, *names, PRIVATE) == []
