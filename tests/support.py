"""What tests need of the machine they run on."""

import json
import os
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from typing import Any

import pytest


def require(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails when UNDERTONE_REQUIRE_ALL=1."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed"
        print(reason)
        (pytest.fail if os.environ.get("UNDERTONE_REQUIRE_ALL") == "1" else pytest.skip)(reason)
    return path


def in_node(script: str, *arguments: str) -> Any:
    """The JSON that a script of ES modules writes."""
    command = [require("node"), "--input-type=module", "-e", script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    return json.loads(done.stdout)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for_port(port: int, host: str = "127.0.0.1", within_s: float = 10.0) -> None:
    """Until a server that was just started takes connections; the test fails where it does not."""
    for _ in range(round(within_s / 0.01)):
        try:
            socket.create_connection((host, port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"nothing listens on port {port} of {host}")


def require_module(name: str) -> None:
    """Without this package the test is skipped, or fails when UNDERTONE_REQUIRE_ALL=1."""
    if find_spec(name) is None:
        reason = f"{name} is not installed"
        print(reason)
        (pytest.fail if os.environ.get("UNDERTONE_REQUIRE_ALL") == "1" else pytest.skip)(reason)
