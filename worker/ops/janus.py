"""A Janus of its own on this machine, for the demo and for measuring: Debian's, as deploy/janus configures it."""

import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from worker.errors import ConfigError, UndertoneError
from worker.packaged import packaged

ROOM = 1234
"""The one that deploy/janus opens."""
START_S, END_S = 10.0, 3.0


class LocalJanus:
    """Runs from entering the context until leaving it, on a free port of loopback and with its files in a private
    folder; a Janus that the machine runs anyway is left alone.

    Its media goes over the machine's first network: libnice never uses loopback. Raises ConfigError when Janus is not
    installed, UndertoneError when it does not start.
    """

    def __init__(self) -> None:
        program = shutil.which("janus")
        if program is None:
            raise ConfigError("Janus is not installed: install Debian's or Ubuntu's package janus.")
        self._program = program
        self.port = _free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self._folder = TemporaryDirectory(prefix="undertone-janus-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        here = Path(self._folder.name)
        for file in (packaged("deploy") / "janus").glob("*.jcfg"):
            text = file.read_text(encoding="utf-8")
            (here / file.name).write_text(re.sub(r"\bws_port = \d+", f"ws_port = {self.port}", text), encoding="utf-8")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        """Returns when it takes connections."""
        here = Path(self._folder.name)
        with (here / "janus.log").open("ab") as log:
            # a session of its own, so that Ctrl-C ends the worker first, which then leaves the room in order
            self._process = subprocess.Popen(  # noqa: S603
                [self._program, "-F", str(here)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=here,  # where it may leave a core
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        said = (here / "janus.log").read_text(errors="replace").splitlines()[-5:]
        raise UndertoneError(f"Janus did not start; it said: {' / '.join(said)}", "janus")

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """As if the machine had failed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
