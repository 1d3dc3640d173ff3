"""From the click on the page's control that stops it to the cleared tiles, in real browsers."""

import asyncio
import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from worker import supervisor
from worker.bench.browser import chromium, join
from worker.bench.consent.place import sections
from worker.bench.consent.withdraw import spread_ms
from worker.bench.latency import voice
from worker.config import settle
from worker.ops import logs
from worker.ops.http import Server

NOTE_CLICKS = """
() => {
  window.clicked = [];
  addEventListener("click", ({ target }) => {
    const steady = performance.now();
    if (target.closest("#stop")) window.clicked.push({ steady, wall: performance.timeOrigin + steady });
  }, true);
}
"""
NOTE_CLEARED = """
() => {
  window.cleared = [];
  const tile = document.querySelector('.tile[data-speaker="p1"]');
  const clear = () => {
    const { level, talk, arousal, speaking, mood } = tile.dataset;
    const words = tile.querySelector("[data-part=talk]").textContent;
    return level === "presence" && speaking === "false" && mood === "off" && !(talk || arousal || words);
  };
  let was = clear();
  const look = () => {
    const [before, begun] = [was, performance.now()];
    was = clear();
    if (was && !before) requestAnimationFrame(() => setTimeout(() => {
      const steady = performance.now();
      window.cleared.push({ steady, wall: performance.timeOrigin + steady, painting: steady - begun });
    }));
  };
  new MutationObserver(look).observe(tile, { attributes: true, childList: true, characterData: true, subtree: true });
}
"""
"""Notes when the first speaker's tile shows nothing of a voice any more, and that has been painted."""
SHOWN = """
() => {
  const { level, talk } = document.querySelector('.tile[data-speaker="p1"]').dataset;
  return level === "emotion" && talk !== "";
}
"""
PATIENCE_MS = 30_000


def measure(quick: bool) -> dict[str, Any]:
    """Two pages in a browser each; one person speaks, clicks `stop`, and agrees again once both tiles are cleared."""
    return asyncio.run(_measure(8 if quick else 200))


async def _measure(rounds: int) -> dict[str, Any]:
    started = asyncio.get_running_loop().create_future()
    settings = settle(sections(sinks=[{"kind": "data_channel"}]))
    logs.setup(**settings.logs.model_dump())
    serving = asyncio.create_task(supervisor.serve(settings, started.set_result))
    try:
        server: Server = await asyncio.wait_for(started, 60)
        with TemporaryDirectory() as folder:
            sound = Path(folder) / "voice.wav"
            sound.write_bytes(base64.b64decode(voice()))
            found = await _withdraw(f"http://localhost:{server.port}", sound, rounds)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return figures(*found)


async def _withdraw(address: str, sound: Path, rounds: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Clicks, and when the own tile and that in the other page was cleared."""
    async with chromium(sound) as here, chromium() as there:
        own, other = await here.new_page(), await there.new_page()
        await join(own, address, "Speaker")
        await join(other, address, "Listener")
        await other.wait_for_selector('.tile[data-speaker="p1"]')
        await own.evaluate(NOTE_CLICKS)
        for page in (own, other):
            await page.evaluate(NOTE_CLEARED)
        await own.click("#mine-open")
        for number in range(rounds):
            for page in (own, other):
                await page.wait_for_function(SHOWN, timeout=PATIENCE_MS)
            await asyncio.sleep(0.037 * (number % 11))
            await own.click("#stop")
            for page in (own, other):
                await page.wait_for_function(f"() => window.cleared.length > {number}", timeout=PATIENCE_MS)
            await own.check('#mine-choice input[value="emotion"]')
        names = [(own, "clicked"), (own, "cleared"), (other, "cleared")]
        clicked, mine, theirs = [await page.evaluate(f"window.{name}") for page, name in names]
    return clicked, mine, theirs


def figures(clicked: list[Any], own: list[Any], other: list[Any]) -> dict[str, Any]:
    """Both are painted. The own tile by the page's steady clock, the other one by the machine's."""
    return {
        "clicks": len(clicked),
        "to_own_tile_ms": {"bar_p99": 1000} | _between(clicked, own, "steady"),
        "to_other_tile_ms": {"bar_p99": 1000} | _between(clicked, other, "wall"),
        "of_which_painting_ms": spread_ms([one["painting"] / 1000 for one in other]),
    }


def _between(clicked: list[Any], cleared: list[Any], clock: str) -> dict[str, float]:
    return spread_ms([(b[clock] - a[clock]) / 1000 for a, b in zip(clicked, cleared, strict=True)])
