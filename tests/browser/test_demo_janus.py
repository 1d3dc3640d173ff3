"""`undertone demo --sfu janus`, as `make demo SFU=janus` runs it: a Janus, a worker in its room, and the same page."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tests.browser.test_room import microphone
from tests.speech import speech
from tests.support import require
from worker.audio import RATE
from worker.bench.browser import chromium, join


class Demo:
    """The command in a process group of its own, as a terminal has it; `end` is Ctrl-C there."""

    def __init__(self, folder):
        self.log = (folder / "log.txt").open("w+")
        command = [sys.executable, "-m", "worker", "demo", "--sfu", "janus", "--port", "0"]
        options = {"stdout": self.log, "stderr": subprocess.STDOUT, "process_group": 0}
        self.process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(folder)}, **options)

    async def says(self, pattern):
        async with asyncio.timeout(30):
            while (found := re.search(pattern, self.said())) is None:
                assert self.process.poll() is None, self.said()
                await asyncio.sleep(0.1)
        return found[1]

    def said(self):
        self.log.seek(0)
        return self.log.read()

    async def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, 20)


@pytest.fixture
async def demo(tmp_path):
    require("janus")
    require("chromium")
    one = Demo(tmp_path)
    yield one
    await one.end()
    one.log.close()


def servers(folder):
    """Processes of Janus whose files lie there."""
    commands = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [command for command in commands if "-F" in command and command[-1].startswith(str(folder))]


async def test_two_people_meet_in_janus_and_ctrl_c_ends_everything(demo, tmp_path):
    await demo.says(r"Janus runs at (ws://127\.0\.0\.1:\d+)")
    address = await demo.says(r"Open (http://\S+) in a browser")
    assert len(servers(tmp_path)) == 1
    talk = microphone(tmp_path / "talk.wav", np.concatenate([speech("anna"), np.zeros(RATE, np.float32)]))
    quiet = microphone(tmp_path / "quiet.wav", np.zeros(10 * RATE, np.float32))
    async with chromium(talk) as here, chromium(quiet) as there:
        ada, bo = await here.new_page(), await there.new_page()
        refused = []
        for page in (ada, bo):
            page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
        await join(ada, address, "Ada")
        await join(bo, address, "Bo", "presence")
        for page in (ada, bo):
            await page.wait_for_selector('.tile[aria-label="Ada"][data-speaking="true"]', timeout=20_000)
        assert "Undertone" in await bo.text_content("#listener")
        assert await bo.locator(".tile").count() == 2
        assert refused == []
    begun = time.monotonic()
    assert await demo.end() == 0, demo.said()
    assert time.monotonic() - begun < 10
    assert servers(tmp_path) == []
    assert not list(tmp_path.glob("undertone-janus-*"))
    assert "Traceback" not in demo.said()


async def test_without_janus_one_sentence_says_what_to_install(tmp_path):
    command = [sys.executable, "-m", "worker", "demo", "--sfu", "janus"]
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == "undertone: Janus is not installed: install Debian's or Ubuntu's package janus.\n"
