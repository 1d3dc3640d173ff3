"""Secrets by name."""

import pytest

from worker.errors import ConfigError
from worker.secrets import reveal


def test_a_secret_comes_from_where_it_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("UT_SECRET", "from the environment")
    (tmp_path / "secret").write_text("from a file\n")
    assert reveal("env:UT_SECRET") == "from the environment"
    assert reveal(f"file:{tmp_path / 'secret'}") == "from a file"
    assert reveal("redis://localhost") == "redis://localhost"


def test_a_secret_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("UT_SECRET", raising=False)
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for text, sentence in {
        "env:UT_SECRET": "UT_SECRET is empty or not set",
        f"file:{tmp_path / 'missing'}": "No such file",
        f"file:{tmp_path / 'empty'}": "is empty: write the secret",
        f"file:{tmp_path / 'binary'}": "it is not text",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            reveal(text)
