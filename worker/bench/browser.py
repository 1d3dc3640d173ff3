"""Headless Chromium as a person in a room, for benchmarks and tests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from worker.errors import ConfigError, RoomError

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
"""Nothing that talks to the outside; a camera and a microphone that are made up and granted."""


def find_chromium() -> str:
    """The browser's path. Raises ConfigError when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    raise ConfigError("Chromium is not installed: install Debian's package chromium.")


@asynccontextmanager
async def chromium(microphone: Path | None = None) -> AsyncIterator[Any]:
    """A browser of its own whose microphone plays a WAV file over and over; gives a Playwright Browser."""
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise ConfigError("Playwright is not installed: pip install 'undertone[dev]'.") from error
    arguments = [*QUIET, *([f"--use-file-for-fake-audio-capture={microphone}"] if microphone else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


async def choose(page: Any, place: str, level: str | None = None) -> None:
    """Agree to a level, by default to the highest that is offered there, if anything is asked at all."""
    offered = page.locator(f'{place} input[name="level"]')
    if await offered.count():
        await (offered.last if level is None else page.locator(f'{place} input[name="level"][value="{level}"]')).check()


async def join(page: Any, address: str, name: str, level: str | None = None) -> None:
    """Open the page and go in, as a person would: name, choice, join. Raises RoomError with what the page says."""
    from playwright.async_api import TimeoutError as PageTimeoutError

    await page.goto(address)
    await page.fill("#name", name)
    await page.wait_for_selector("#submit:not([disabled])")
    await choose(page, "#form", level)
    await page.click("#submit")
    try:
        await page.wait_for_selector("#room:not([hidden]) .tile")
    except PageTimeoutError as error:
        said = [(await page.text_content(id)) or "" for id in ("#submit", "#problem", "#status")]
        raise RoomError(f"{name} did not get into the room; the page says: {' / '.join(said)}") from error
