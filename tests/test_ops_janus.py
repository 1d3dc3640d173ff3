"""A Janus of its own: it starts, takes connections, and leaves nothing behind."""

import socket
from pathlib import Path

import pytest

from tests.support import require
from worker.errors import ConfigError, UndertoneError
from worker.ops.janus import LocalJanus


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_runs_on_a_port_of_its_own_until_the_end(tmp_path, monkeypatch):
    require("janus")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with LocalJanus() as one, LocalJanus() as other:
        assert one.port != other.port
        assert answers(one.port)
        assert answers(other.port)
        one.kill()
        assert not answers(one.port)
        one.start()
        assert answers(one.port)
    assert not answers(one.port)
    assert not answers(other.port)
    assert list(tmp_path.iterdir()) == []


def test_without_janus_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="install Debian's or Ubuntu's package janus"):
        LocalJanus()


def test_a_janus_that_does_not_start_says_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "janus").write_text("#!/bin/sh\necho 'Missing plugins.'\n")
    (tmp_path / "janus").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    one = LocalJanus()
    with pytest.raises(UndertoneError, match=r"did not start; it said: Missing plugins\."), one:
        pytest.fail("it must not be entered")
    assert not Path(one._folder.name).exists()
