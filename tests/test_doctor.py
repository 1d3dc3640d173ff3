"""What the doctor finds, and what it never says."""

import json
import socket
from importlib.metadata import PackageNotFoundError

import pytest
from rich.console import Console

from tests.support import free_port
from worker.ops import doctor
from worker.ops.doctor import Finding, as_dict, ask_redis, examine, healthy, show

ROOM = {"kind": "embedded"}


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_a_whole_machine_is_healthy():
    port = free_port()
    found = by_name(examine(ROOM, [], {"port": port}))
    assert healthy(list(found.values()))
    assert found["aiortc"].detail[0].isdigit()
    assert "silero_vad.onnx" in found["voice model"].detail
    assert found[f"port {port}"].status == "ok"
    assert "pytest" not in found


def test_a_port_in_use_is_missing():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = by_name(examine(ROOM, [], {"port": port}))
    assert found[f"port {port}"].status == "missing"
    assert "set server.port to another" in found[f"port {port}"].detail
    assert not healthy(list(found.values()))


@pytest.mark.parametrize(("server", "word"), [({"port": 99_999}, "65535"), ({"host": "no.invalid", "port": 1}, "host")])
def test_an_address_that_cannot_be_is_missing(server, word):
    [finding] = [finding for finding in examine(ROOM, [], server) if finding.name.startswith("port")]
    assert finding.status == "missing"
    assert word in finding.detail or "not known" in finding.detail


def test_a_replay_needs_no_port():
    assert not [finding for finding in examine({"kind": "replay"}, [], {}) if finding.name.startswith("port")]


def test_a_package_that_is_not_there_is_named_with_its_cure(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = by_name(examine(ROOM, [], {"port": free_port()}))
    assert found["aiohttp"] == Finding("aiohttp", "missing", "install it with: pip install aiohttp")
    assert found["torch"].status == "optional"


def test_a_model_that_is_not_there_is_named_with_its_cure(monkeypatch):
    from worker.vad import silero

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(silero, "distribution", absent)
    found = by_name(examine(ROOM, [], {"port": free_port()}))
    assert found["voice model"].status == "missing"
    assert "pip install --no-deps silero-vad" in found["voice model"].detail


def test_redis_that_answers_is_ok(redis_url):
    found = by_name(examine(ROOM, [{"kind": "redis", "url": redis_url}], {"port": free_port()}))
    assert found["redis"].status == "ok"


def test_absent_redis_is_optional_and_its_password_stays_secret():
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/0"
    findings = examine(ROOM, [{"kind": "redis", "url": url}], {"port": free_port(), "token": "hunter2"})
    assert by_name(findings)["redis"].status == "optional"
    assert by_name(findings)["server token"] == Finding("server token", "ok", "set")
    assert "hunter2" not in json.dumps(as_dict(findings))


def test_a_wrong_password_is_told_without_it(redis_server):
    url = redis_server("--requirepass", "right").url.replace("//", "//:hunter2@")
    found = by_name(examine(ROOM, [{"kind": "redis", "url": url}], {"port": free_port()}))["redis"]
    assert found == Finding("redis", "missing", "refuses the user or the password of its url: correct them there")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("hunter2", "is not one"), ("env:NOT_SET_HERE", "NOT_SET_HERE"), ("redis://h/0?hunter2=1", "is not one")],
)
def test_a_url_that_is_none_is_told(url, sentence):
    status, trouble = ask_redis(url)
    assert status == "missing"
    assert sentence in trouble
    assert "hunter2" not in trouble


def test_a_token_that_cannot_be_read_is_missing():
    found = by_name(examine(ROOM, [], {"port": free_port(), "token": "env:NOT_SET_HERE"}))
    assert found["server token"].status == "missing"


def test_both_ways_of_showing_say_the_same(capsys):
    findings = [Finding("python", "ok", "3.11"), Finding("port 1", "missing", "cannot be had")]
    show(findings, Console(width=100))
    text = capsys.readouterr().out
    assert "cannot be had" in text
    assert "Something needed is missing" in text
    assert as_dict(findings) == {
        "healthy": False,
        "findings": [
            {"name": "python", "status": "ok", "detail": "3.11"},
            {"name": "port 1", "status": "missing", "detail": "cannot be had"},
        ],
    }
