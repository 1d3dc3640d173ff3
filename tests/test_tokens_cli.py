"""`undertone token`: what it prints opens what it should, and what it refuses to make."""

import pytest
from typer.testing import CliRunner

from worker.cli import app
from worker.errors import ConfigError
from worker.ops.tokens import ANY_RUN, EVERY, Tokens

KEY = "k" * 32


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of a configuration whose key is in the environment."""
    monkeypatch.setenv("SIGNING", KEY)
    path = tmp_path / "worker.yaml"
    path.write_text("room: {kind: embedded}\nserver: {signing_key: env:SIGNING}\n")
    return path


def made(config, *options):
    answer = CliRunner().invoke(app, ["token", str(config), *options])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.output.strip()


@pytest.mark.parametrize(("options", "room"), [
    (["--audience", "operator"], EVERY),
    (["--audience", "operator", "--room", "standup"], "standup"),
    (["--audience", "manager", "--room", "standup"], "standup"),
    (["--audience", "viewer", "--room", "standup", "--ttl-s", "60"], "standup"),
])  # fmt: skip
def test_a_token_is_printed_for_its_audience_and_every_run_of_its_room(config, options, room):
    right = Tokens(KEY).read(made(config, *options), options[1])
    assert (right.holder.audience, right.room, right.epoch) == (options[1], room, ANY_RUN)


@pytest.mark.parametrize(("options", "sentence"), [
    (["--audience", "manager"], "name the room with --room"),
    (["--audience", "viewer", "--room", EVERY], "name one room"),
    (["--audience", "operator", "--ttl-s", "3601"], "from 1 to 3600 s"),
])  # fmt: skip
def test_what_no_token_may_say_is_refused(config, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        made(config, *options)


def test_participants_come_from_the_worker_and_no_key_makes_no_token(config):
    assert "is not one of" in made(config, "--audience", "participant", "--room", "standup")
    config.write_text("room: {kind: embedded}\n")
    with pytest.raises(ConfigError, match=r"set server\.signing_key"):
        made(config, "--audience", "operator")
