"""The commands that ask a running worker, against a worker that runs."""

import asyncio
import json

import pytest
from aiohttp import web
from typer.testing import CliRunner

from tests.support import free_port
from tests.test_control import controlled
from worker import cli
from worker.errors import ConfigError, UndertoneError
from worker.ops.http import Server


async def undertone(*arguments, env=None):
    """(what it printed, what it ended with)"""

    def run():
        return CliRunner(env={"UNDERTONE_CONTROL_TOKEN": ""} | (env or {})).invoke(cli.app, ["rooms", *arguments])

    done = await asyncio.to_thread(run)
    return done.stdout, done.exception  # the worker of the test may log meanwhile


async def test_a_room_is_joined_listed_and_left(tmp_path):
    (tmp_path / "token").write_text("hush\n")
    async with controlled() as (session, rooms):
        here = ("--worker", str(session._base_url), "--token", f"file:{tmp_path / 'token'}")
        said, error = await undertone("join", "--template", "meeting", "room=a", 'extra:={"x": [1]}', *here)
        assert error is None
        room, state = said.split()[-2:]
        assert state == "open"
        assert room in rooms._open
        said, _ = await undertone("list", *here)
        assert said.split()[-5:] == [room, "room-a", "tests.test_control:Scripted", "open", "1"]
        said, _ = await undertone("list", "--json", "--worker", here[1], env={"UNDERTONE_CONTROL_TOKEN": "hush"})
        assert json.loads(said)["rooms"][0]["id"] == room
        said, error = await undertone("join", "--kind", "embedded", "name=hall", "largest:=3", *here)
        assert error is None
        assert said.split()[-1] == "open"
        for one in list(rooms._open):
            assert await undertone("leave", one, *here) == ("", None)
        assert len(rooms) == 0


async def test_a_secret_is_read_where_the_command_is_given(tmp_path):
    (tmp_path / "pin").write_text("hunter2\n")
    async with controlled() as (session, rooms):
        here = ("--worker", str(session._base_url), "--token", "hush", "--template", "anywhere")
        where = ("url=ws://sfu.test:8188", f"pin=file:{tmp_path / 'pin'}")
        said, error = await undertone("join", *where, *here)
        assert (said.split()[-1], error) == ("open", None)
        assert next(iter(rooms._open.values())).room._room.pin == "hunter2"
        assert (await undertone("join", *where[:1], "room=b", "pin=", *here))[1] is None


async def test_what_the_worker_refuses_is_its_sentence():
    async with controlled() as (session, _):
        here = ("--worker", str(session._base_url), "--token", "hush")
        for arguments, sentence in (
            (("join", "--template", "none", *here), "there is no such template"),
            (("join", "--template", "meeting", "fail=auth_failed", *here), "could not be joined: auth_failed"),
            (("leave", "00ff", *here), "There is no such room."),
            (("list", *here[:2]), "Authorization: Bearer"),
            (("list", *here[:2], "--token", "wrong"), "Authorization: Bearer"),
        ):
            _, error = await undertone(*arguments)
            assert isinstance(error, UndertoneError)
            assert sentence in str(error)


async def test_a_room_that_does_not_answer_is_not_waited_for_long():
    async with controlled() as (session, _):
        here = ("--worker", str(session._base_url), "--token", "hush")
        said, error = await undertone("join", "--template", "meeting", "fail=unreachable", "--wait", "0.3", *here)
        assert (said.split()[-1], error) == ("joining", None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("join", "room=a"), "name either --template or --kind"),
        (("join", "--template", "a", "--kind", "b"), "name either --template or --kind"),
        (("join", "--template", "a", "room"), "is no setting"),
        (("join", "--template", "a", "=1"), "is no setting"),
        (("join", "--template", "a", "room:=x"), "is not JSON"),
        (("leave", "../page"), "letters and digits only"),
        (("join", "--template", "a", "pin=hunter2"), "pin is a secret: write pin=env:NAME"),
        (("join", "--template", "a", 'room_token:="hunter2"'), "room_token is a secret"),
        (("join", "--template", "a", "turn_password=env:NOT_SET"), "NOT_SET"),
        (("list", "--worker", "file:///etc/passwd"), "is no address"),
        (("list", "--token", "env:NOT_SET"), "NOT_SET"),
    ],
)
async def test_a_mistake_is_one_sentence(arguments, sentence):
    _, error = await undertone(*arguments)
    assert isinstance(error, ConfigError)
    assert sentence in str(error)
    assert "\n" not in str(error)
    assert "hunter2" not in str(error)


async def test_a_worker_that_is_not_there_or_has_no_api_is_named():
    _, error = await undertone("list", "--worker", f"http://127.0.0.1:{free_port()}")
    assert "no worker answers" in str(error)
    server = Server(port=0)
    await server.start()
    _, error = await undertone("list", "--worker", f"http://127.0.0.1:{server.port}")
    assert "section control" in str(error)
    await server.stop()


@pytest.mark.parametrize("text", ["<title>Something else</title>", "[]", '{"status": "well"}', ""])
async def test_what_answers_and_is_no_worker_is_named(text):
    async def other(request):
        return web.Response(text=text)

    app = web.Application()
    app.router.add_route("*", "/v1/rooms", other)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for arguments in (("list",), ("list", "--json"), ("join", "--template", "meeting")):
        _, error = await undertone(*arguments, "--worker", f"http://127.0.0.1:{runner.addresses[0][1]}")
        assert isinstance(error, UndertoneError)
        assert "no control API answers" in str(error)
    await runner.cleanup()


async def test_the_token_is_sent_nowhere_else():
    asked = []

    async def elsewhere(request):
        asked.append(request.headers)
        return web.json_response({"rooms": []})

    async def away(request):
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{ports[1]}/v1/rooms")

    runners, ports = [], []
    for handler in (away, elsewhere):
        app = web.Application()
        app.router.add_get("/v1/rooms", handler)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        ports.append(runners[-1].addresses[0][1])
    _, error = await undertone("list", "--worker", f"http://127.0.0.1:{ports[0]}", "--token", "hush")
    assert isinstance(error, UndertoneError)
    assert asked == []
    for runner in runners:
        await runner.cleanup()
