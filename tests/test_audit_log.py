"""Noting without waiting: what a running worker writes down, and what it does when it can't."""

import asyncio
import json
import threading

import pytest
from aiohttp import ClientSession, web
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.consenting import OPEN, agree
from tests.test_control import CONTROL, TOKEN
from tests.test_manager import HERE, room
from worker.cli import app
from worker.config import settle
from worker.errors import ConfigError
from worker.manager import Rooms
from worker.ops import audit as module
from worker.ops.audit import Audit, Noted
from worker.ops.audit_cli import examine
from worker.ops.http import Server
from worker.privacy.consent import Terms
from worker.privacy.levels import Level
from worker.registry import construct, load

KEY = "0123456789abcdef" * 2


def entries(path, kind=""):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [one for one in found if one["kind"].startswith(kind)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


class Stuck:
    """A disk that answers when it is told to."""

    def __init__(self, ledger):
        self._append, self.go, self.threads = ledger.append, threading.Event(), set()
        self.fail = False
        ledger.append = self

    def __call__(self, notes):
        self.threads.add(threading.current_thread())
        if self.fail:
            raise OSError(28, "No space left on device")
        assert self.go.wait(10)
        self._append(notes)


async def test_nothing_is_written_on_the_event_loop_and_nothing_is_lost(path):
    audit = Audit(path, KEY)
    stuck = Stuck(audit.ledger)
    for number in range(1000):
        audit.note("export", "demo", "p1", records=number)
    assert not entries(path, "export")
    stuck.go.set()
    await audit.settle()
    assert [one["fields"]["records"] for one in entries(path, "export")] == list(range(1000))
    assert threading.main_thread() not in stuck.threads
    await audit.close()
    assert examine([path], KEY.encode()).findings == []


async def test_notes_without_a_place_are_counted_in_the_log_itself(path, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 3)
    audit = Audit(path)
    stuck = Stuck(audit.ledger)
    for number in range(5):
        audit.note("export", records=number)
    stuck.go.set()
    await audit.settle()
    assert [one["kind"] for one in entries(path)[1:]] == ["export"] * 3 + ["audit.lost"]
    assert entries(path, "audit.lost")[0]["fields"] == {"entries": 2}
    assert audit.lost == 0


async def test_a_full_disk_is_said_tried_again_and_said_at_the_end(path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    audit = Audit(path)
    stuck = Stuck(audit.ledger)
    stuck.fail = True
    stuck.go.set()
    with capture_logs() as logs:
        audit.note("export", "canary-room", "canary-ada")
        while not logs:
            await asyncio.sleep(0)
        stuck.fail = False
        await audit.settle()
        assert len(entries(path, "export")) == 1
        stuck.fail = True
        audit.note("export")
        await audit.close()
    assert logs[0]["reason"] == "No space left on device"
    assert logs[-1]["event"] == "audit log incomplete"
    assert logs[-1]["lost"] == 1
    assert "canary" not in str(logs)


async def test_what_the_log_never_holds_is_refused_where_it_is_noted(path):
    audit = Audit(path)
    with pytest.raises(ValueError, match="single words"):
        audit.note("export", by="Ada Lovelace")
    await audit.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"key": "short"}, "32 bytes"), ({"path": "nowhere/audit.jsonl"}, "does not exist"), ({"path": "/tmp"}, "a file")],
)
def test_what_can_be_no_log_is_one_sentence(path, options, said):
    with pytest.raises(ConfigError, match=said):
        construct(Audit, {"path": path} | options, "audit")


# -- what a worker notes ----------------------------------------------------------------------------------------------


def worker(path, **control):
    """(settings of a worker with this log and a control API)"""
    return settle({
        "vad": {"kind": f"{HERE}:Counted"}, "emotion": None, "server": {"port": 0, "token": "hush"},
        "control": CONTROL | control, "audit": {"path": path, "key": KEY}, "drain_s": 3,
    })  # fmt: skip


async def test_a_yes_that_lapses_because_somebody_else_came_is_noted(path):
    settings = worker(path)
    audit = construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, Server(port=0), None, audit)
    policy = (await rooms.prepare(room())).policy
    policy.present("ada", "feed 1")
    agree(policy, "ada")
    policy.present("ada", "feed 2")
    agree(policy, "ada", False)
    await rooms.close()
    await audit.close()
    decided = [(entry["kind"], entry["fields"].get("by")) for entry in entries(path, "consent")]
    assert decided == [("consent.granted", "page"), ("consent.withdrawn", "replaced"), ("consent.denied", "page")]
    granted, *_ = entries(path, "consent")
    assert granted["fields"]["level"] == "emotion"
    assert granted["fields"]["text"] == policy.terms.text
    [ruled] = entries(path, "policy")
    assert ruled["fields"]["speaker"] == granted["fields"]["speaker"]
    said = {key: ruled["fields"][key] for key in ("level", "rule", "context", "role")}
    assert said == {"level": "metrics", "rule": "level", "context": "unknown", "role": "unknown"}


async def test_a_no_is_noted_whatever_came_with_it(path):
    settings = worker(path)
    audit = construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, Server(port=0), None, audit)
    policy = (await rooms.prepare(room())).policy
    for number, text in enumerate(("Ada", "Ada says no!", "\ud800", "x" * 9000)):
        policy.record(f"p{number}", Level.PRESENCE, "page", Terms("anything at all", text))
    await rooms.close()
    await audit.close()
    assert [entry["fields"].keys() for entry in entries(path, "consent.denied")] == [{"room", "speaker", "by"}] * 4


@pytest.mark.parametrize(
    "section", [room(name="canary-room"), {"kind": "embedded", "name": "canary-room"}], ids=["elsewhere", "embedded"]
)
async def test_what_people_decide_is_noted_by_pseudonym(path, section):
    settings, server = worker(path), Server(port=0)
    audit = construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, server, None, audit)
    one = await rooms.prepare(section)
    for speaker, agreed in [("canary-ada", True), ("canary-bob", False), ("canary-ada", False), ("canary-ada", True)]:
        agree(one.policy, speaker, agreed)
    rooms.begin(one)
    await rooms.close()
    await audit.close()
    decided = [(entry["kind"], entry["fields"]["speaker"]) for entry in entries(path, "consent")][:4]
    (_, ada), (_, bob), *_ = decided
    assert ada != bob
    assert decided == [
        ("consent.granted", ada), ("consent.denied", bob), ("consent.withdrawn", ada), ("consent.granted", ada),
    ]  # fmt: skip
    assert "canary" not in path.read_text()
    [model] = entries(path, "model")
    assert model["fields"]["part"] == "vad"
    assert model["fields"]["thresholds"]["threshold"] == 0.5


async def test_the_model_that_ships_is_noted_with_its_digest_and_thresholds(path):
    from worker.emotion.onnx import SHA256

    policy = {"level": "emotion", **OPEN}
    settings = settle({"room": {"kind": "embedded"}, "audit": {"path": path}, "policy": policy})
    audit = construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, Server(port=0), None, audit)
    await rooms.close()
    await audit.close()
    noted = {one["fields"]["part"]: one["fields"] for one in entries(path, "model")}
    assert noted["emotion"]["sha256"] == SHA256
    assert noted["emotion"]["thresholds"]["min_probability"] == 0.55
    assert set(noted["emotion"]["thresholds"]["speech"]) == {"1.0", "1.5", "2.0", "3.0"}
    assert noted["vad"]["name"] == "silero"


async def test_who_asks_the_control_api_is_noted_without_any_secret(path):
    settings = worker(path)
    server = construct(Server, settings.server, "server")
    audit = construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, server, None, audit)
    construct(
        load({}, "worker.ops.control:Control"), settings.control, "control", server=Noted(server, audit), rooms=rooms
    )
    await server.start()
    async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
        for method, where, headers in [
            ("GET", "/v1/rooms", TOKEN), ("GET", "/v1/rooms/canary-room", TOKEN), ("POST", "/v1/rooms", TOKEN),
            *[("GET", "/v1/rooms?canary=1", {"Authorization": "Bearer canary-token"})] * 5,
        ]:  # fmt: skip
            async with session.request(method, where, headers=headers):
                pass
    await rooms.close()
    await server.stop()
    await audit.close()
    accesses = [tuple(entry["fields"].values()) for entry in entries(path, "api.access")]
    assert accesses == [
        ("GET", "/v1/rooms", 200, 1), ("GET", "/v1/rooms/{id}", 404, 1), ("POST", "/v1/rooms", 415, 1),
        ("GET", "/v1/rooms", 401, 1), ("GET", "/v1/rooms", 401, 4),
    ]  # fmt: skip
    assert "canary" not in path.read_text()
    assert "hush" not in path.read_text()


async def test_a_door_that_fails_is_noted_too(path):
    audit = Audit(path)
    served = {}

    class Doors:
        tokens, loopback, authorise = None, True, None

        def serve(self, method, where, handler):
            served[where] = handler

    async def broken(request):
        raise ZeroDivisionError

    async def absent(request):
        raise web.HTTPNotFound

    doors = Noted(Doors(), audit)
    doors.serve("GET", "/broken", broken)
    doors.serve("GET", "/absent", absent)
    with pytest.raises(ZeroDivisionError):
        await served["/broken"](None)
    with pytest.raises(web.HTTPNotFound):
        await served["/absent"](None)
    await audit.close()
    assert [entry["fields"]["status"] for entry in entries(path, "api.access")] == [500, 404]


# -- the command ------------------------------------------------------------------------------------------------------


async def written(path):
    audit = Audit(path, KEY)
    for number in range(3):
        audit.note("export", "demo", "p1", records=number)
    await audit.close()


def run(*words, key=KEY):
    return CliRunner().invoke(app, ["audit", "verify", *map(str, words)], env={"UNDERTONE_AUDIT_KEY": key})


async def test_the_command_says_intact_or_what_is_not(path):
    await written(path)
    done = run(path)
    assert done.exit_code == 0
    assert done.stdout.startswith("4 entries, as they were written")
    copy = path.with_name("head-of-monday")
    copy.write_bytes(path.with_name("audit.jsonl.head").read_bytes())
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    path.with_name("audit.jsonl.head").unlink()
    done = run(path)
    assert done.exit_code == 1
    assert "the head: it is missing" in done.stdout
    done = run(path, "--head", copy, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["intact"], found["findings"][0]["code"]) == (1, False, "cut")
    assert run(path, "--head", copy, key="").exit_code == 1


def test_a_file_that_is_none_is_one_sentence(path):
    done = run(path)
    assert isinstance(done.exception, ConfigError)
    assert "cannot be read" in str(done.exception)
