"""The command line: each verb does what it says, and a mistake is one sentence and an exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import wave

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support import free_port
from worker import __version__, cli
from worker.errors import ConfigError, RoomError

SMALL = "room: {kind: embedded}\nserver: {port: PORT}\ndrain_s: 3\n"


def undertone(*arguments, **options):
    command = [sys.executable, "-m", "worker", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def invoke(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


@pytest.fixture
def recording(tmp_path):
    """A second of a quiet tone and a second of silence."""
    samples = np.concatenate([0.1 * np.sin(np.arange(16_000) * 2 * np.pi * 200 / 16_000), np.zeros(16_000)])
    path = tmp_path / "ada.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(autouse=True)
def unchanged_logging(monkeypatch):
    monkeypatch.setattr("worker.ops.logs.setup", lambda **options: None)


def code_and_sentence(capsys, monkeypatch, error):
    def app(prog_name):
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("Change it."), 2),
        (RoomError("Change it."), 1),
        (ExceptionGroup("", [ExceptionGroup("", [RoomError("Change it.")])]), 1),
    ],
)
def test_an_expected_error_is_one_sentence_and_a_code(capsys, monkeypatch, error, code):
    assert code_and_sentence(capsys, monkeypatch, error) == (code, "undertone: Change it.\n")


def test_a_bug_keeps_its_trace(monkeypatch):
    def app(prog_name):
        raise ExceptionGroup("", [ZeroDivisionError()])

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ExceptionGroup):
        cli.main()


def test_small_products_do_not_keep_other_cores_spinning(monkeypatch):
    """OpenBLAS reads its number of threads when numpy is imported: so it must be set by then."""
    monkeypatch.setattr(cli, "app", lambda prog_name: None)
    for wish, threads in ((None, "1"), ("4", "4")):
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        if wish:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", wish)
        with pytest.raises(SystemExit):
            cli.main()
        assert os.environ["OPENBLAS_NUM_THREADS"] == threads
    look = "import sys, worker.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_help_and_version():
    assert invoke("--version").stdout.strip() == __version__
    text = invoke("--help").stdout
    for verb in ("run", "demo", "replay", "config", "schema", "doctor", "bench"):
        assert f" {verb} " in text


def test_a_valid_configuration_is_said_to_be_valid(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("room: {kind: embedded}\nsinks: [{kind: redis, url: 'redis://:hunter2@host'}]\n")
    done = invoke("config", "check", path)
    assert done.exit_code == 0
    assert "is valid. Room: embedded. Emotion engine: onnx. Sinks: redis." in done.stdout
    assert "hunter2" not in done.output


def test_a_wrong_configuration_exits_with_2_and_one_line(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("room: {kind: embedded, gests: 1}\n")
    done = undertone("config", "check", path)
    assert done.returncode == 2
    assert done.stderr == "undertone: room.gests is not a known setting; did you mean 'guests'?\n"


def test_what_the_law_forbids_is_no_valid_configuration(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("room: {kind: embedded}\npolicy: {level: emotion, jurisdiction: eu, context: work}\n")
    done = undertone("config", "check", path)
    assert done.returncode == 2
    assert done.stderr.startswith("undertone: policy.level emotion is refused (eu_5_1_f): ")


def test_the_schema_of_configurations_is_printed():
    schema = json.loads(invoke("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)


def test_schemas_are_printed_written_and_compared(tmp_path):
    assert json.loads(invoke("schema").stdout)["title"] == "Undertone events"
    assert invoke("schema", "--out", tmp_path).exit_code == 0
    assert invoke("schema", "--out", tmp_path, "--check").exit_code == 0
    (tmp_path / "asyncapi.yaml").write_text("")
    done = undertone("schema", "--out", tmp_path, "--check")
    assert done.returncode == 1
    assert "asyncapi.yaml" in done.stderr


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = invoke("schema", "--out", tmp_path / "file" / "folder")
    assert isinstance(done.exception, ConfigError)


def test_the_doctor_speaks_json_and_fails_when_something_is_missing(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(SMALL.replace("PORT", str(free_port())))
    done = invoke("doctor", "--json", "--config", path)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["healthy"] is True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path.write_text(SMALL.replace("PORT", str(taken.getsockname()[1])))
        assert invoke("doctor", "--config", path).exit_code == 1


def test_a_replay_is_the_same_byte_for_byte(tmp_path, recording):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    for out in (one, two):
        done = undertone("replay", recording, "--out", out, "--report", tmp_path / "heard")
        assert done.returncode == 0, done.stderr
        assert f"The report is {tmp_path / 'heard.html'}." in done.stdout.replace("\n", "")
    lines = [json.loads(line) for line in one.read_text().splitlines()]
    assert one.read_bytes() == two.read_bytes()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {"io.undertone.speaker.joined.v1", "io.undertone.talk_time.v1"} <= {line["type"] for line in lines}


@pytest.mark.parametrize("content", [None, b"", b"no sound at all" * 100])
def test_a_file_that_is_no_recording_is_one_sentence(tmp_path, content):
    path = tmp_path / "ada.wav"
    if content is not None:
        path.write_bytes(content)
    done = undertone("replay", path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(path) in done.stderr.replace("\n", "")


def test_a_recording_is_never_written_over(tmp_path, recording):
    before = recording.read_bytes()
    alias = tmp_path / "alias.jsonl"
    alias.hardlink_to(recording)
    for out in (recording, tmp_path / "." / "ada.wav", alias):
        done = invoke("replay", recording, "--out", out)
        assert isinstance(done.exception, ConfigError)
        assert "is one of the recordings" in str(done.exception)
    assert recording.read_bytes() == before


def test_a_replay_that_cannot_begin_leaves_the_output_as_it_was(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("kept")
    assert isinstance(invoke("replay", tmp_path / "none.wav", "--out", out).exception, ConfigError)
    assert out.read_text() == "kept"


def test_places_that_do_not_exist_are_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("worker.bench.BENCHES", {"one": "tests.test_cli:never"})
    done = invoke("bench", "one", "--json", tmp_path / "none" / "figures.json")
    assert isinstance(done.exception, ConfigError)
    assert "in a folder that exists" in str(done.exception)
    done = invoke("schema", "--check", "--out", tmp_path / "none")
    assert "does not exist: run 'undertone schema --out" in str(done.exception)


def never(quick):
    raise AssertionError("it ran")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 0), ("SIGINT", 130)])
def test_being_told_to_stop_before_anything_runs_is_quiet(name, code):
    text = (
        "import os, signal; from worker import cli; "
        f"cli.app = lambda **options: os.kill(os.getpid(), signal.{name}); cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_bench_that_is_not_there_is_named():
    done = invoke("bench", "speed")
    assert isinstance(done.exception, ConfigError)
    assert "replay" in str(done.exception)


def test_figures_are_printed_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr("worker.bench.BENCHES", {"one": "tests.test_cli:figures"})
    out = tmp_path / "figures.json"
    done = invoke("bench", "one", "--quick", "--json", out)
    assert done.exit_code == 0
    assert "latency_s.p95" in done.stdout
    assert json.loads(out.read_text()) == {"quick": True, "latency_s": {"p95": 0.25}}


def figures(quick):
    return {"quick": quick, "latency_s": {"p95": 0.25}}


@pytest.fixture
def started():
    processes = []

    def start(*arguments):
        command = [sys.executable, "-m", "worker", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_opens_and_ends_in_order(started, number):
    process = started("demo", "--port", 0, "--no-redis", "--guests", 1)
    line = process.stdout.readline()
    assert "http://localhost:" in line
    begun = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - begun < 5
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = undertone("demo", "--port", port, "--no-redis")
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_redis_password_is_one_sentence(tmp_path, redis_server):
    url = redis_server("--requirepass", "right").url.replace("//", "//:hunter2@")
    path = tmp_path / "some.yaml"
    path.write_text(SMALL.replace("PORT", "0") + f"sinks: [{{kind: redis, url: '{url}'}}]")
    done = undertone("run", path)
    assert done.returncode == 2
    assert "password" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_goes_on_without_redis_only_where_none_answers(redis_url, capsys):
    section = {"kind": "redis", "url": redis_url}
    absent = {"kind": "redis", "url": f"redis://127.0.0.1:{free_port()}/0"}
    other = {"kind": "data_channel"}
    assert cli._without_absent_redis([other, section, absent], look=True) == [other, section]
    assert "Going on without Redis" in capsys.readouterr().err
    assert cli._without_absent_redis([other, section], look=False) == [other]


def test_a_demo_that_redis_refuses_says_what_to_do(redis_server, capsys):
    url = redis_server("--requirepass", "right").url.replace("//", "//:hunter2@")
    assert cli._without_absent_redis([{"kind": "redis", "url": url}], look=True) == []
    said = capsys.readouterr().err
    assert "refuses the user or the password" in said
    assert "UNDERTONE__SINKS__0__URL=redis://user:password@" in said
    assert "hunter2" not in said
