"""Takes the README's pictures from the running page: python -m tests.screenshot"""

import asyncio
import tempfile
from pathlib import Path

from tests.browser.test_room import microphone, worker
from tests.speech import speech
from worker.bench.browser import chromium, join
from worker.config import read, shipped

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PICTURES = {"tiles": (1200, 760, "light"), "tiles-dark": (1200, 760, "dark"), "narrow": (320, 900, "light")}
WATCHED_S = 27
"""Long enough for every voice to have spoken once and one of them to be speaking."""


async def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice = microphone(folder / "ada.wav", speech("anna"))
        sections = {"room": {"kind": "embedded", "guests": 3}, "policy": read(shipped("customer_call.yaml")).policy}
        async with worker(folder, **sections) as one, chromium(voice) as browser:
            context = await browser.new_context()
            page = await context.new_page()
            await join(page, one.address, "Ada")
            await page.click("#hide")
            await asyncio.sleep(WATCHED_S)
            for picture, (width, height, scheme) in PICTURES.items():
                await page.set_viewport_size({"width": width, "height": height})
                await page.emulate_media(color_scheme=scheme)
                await asyncio.sleep(0.5)
                await page.screenshot(path=IMAGES / f"{picture}.png")


if __name__ == "__main__":
    asyncio.run(main())
