"""How long a word takes from one browser's microphone to the speaker's tile in another."""

import asyncio
import base64
import io
import json
import time
import wave
from datetime import UTC, datetime
from itertools import pairwise
from statistics import quantiles
from typing import Any

import av
import numpy as np

from worker import supervisor
from worker.audio import Samples
from worker.bench.browser import chromium, join
from worker.bench.policy import EVERYTHING
from worker.config import settle
from worker.envelope import Envelope
from worker.events import SpeechStarted
from worker.ops.http import Server
from worker.rooms.guests import packets

ROUND_S = 2.5
"""From one onset to the next; the voice takes about half of it."""
WARMING_ROUNDS = 6
RATE = 48_000

MICROPHONE = """
(sound) => {
  const usual = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    const stream = await usual(wish);
    if (!stream.getAudioTracks().length) return stream;
    const context = new AudioContext({ sampleRate: 48000 });
    const microphone = context.createMediaStreamDestination();
    // a sound too low to hear: a context that is quite still sends no packets, as no real microphone does
    const hum = new GainNode(context, { gain: 0.0001 });
    const oscillator = new OscillatorNode(context);
    oscillator.connect(hum).connect(microphone);
    oscillator.start();
    const bytes = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt(0));
    const voice = await context.decodeAudioData(bytes.buffer);
    window.say = () => {
      const source = new AudioBufferSourceNode(context, { buffer: voice });
      source.connect(microphone);
      const at = context.currentTime + 0.05;
      source.start(at);
      return Date.now() + (at - context.currentTime) * 1000;
    };
    return new MediaStream([...microphone.stream.getAudioTracks(), ...stream.getVideoTracks()]);
  };
}
"""

WATCH = """
() => {
  window.seen = [];
  const tile = document.querySelector('.tile[aria-label="Speaker"]');
  new MutationObserver(() => {
    if (tile.dataset.speaking === "true") window.seen.push(performance.timeOrigin + performance.now());
  }).observe(tile, { attributeFilter: ["data-speaking"] });
}
"""


class Stamps:
    """A sink that notes when the worker said that speech began, and when it says the voice was heard."""

    notes: list[tuple[float, float]] = []
    """(wall-clock ms when said, wall-clock ms of the sound's arrival)."""

    async def send(self, envelope: Envelope) -> None:
        if isinstance(envelope.event, SpeechStarted):
            self.notes.append((time.time() * 1000, envelope.time.timestamp() * 1000))

    async def close(self) -> None:
        """Nothing to close."""


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds from onset to tile over real Chromium, real WebRTC and the data channel on one machine.

    Every onset is the same synthetic sentence, from its first loud sample on, played by an audio graph in place of a
    microphone. So it shows the spread of the path, not that of voices, and no sound card's delay is in it.
    """
    return asyncio.run(_run(8 if quick else 60))


async def _run(onsets: int) -> dict[str, Any]:
    Stamps.notes.clear()
    started = asyncio.get_running_loop().create_future()
    settings = settle(
        {
            "room": {"kind": "embedded"},
            "policy": EVERYTHING,
            "sinks": [{"kind": "data_channel"}, {"kind": "worker.bench.latency:Stamps"}],
            "server": {"port": 0},
            "logs": {"level": "error"},
        }
    )
    serving = asyncio.create_task(supervisor.serve(settings, started.set_result))
    try:
        server: Server = await asyncio.wait_for(started, 30)
        said, seen = await converse(f"http://localhost:{server.port}", onsets)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return {"bar_p95_ms": 500} | figures(said, Stamps.notes, seen)


async def converse(address: str, onsets: int) -> tuple[list[float], list[float]]:
    """(when each word began, when the tile changed), wall-clock ms; it begins once words are heard."""
    async with chromium() as here, chromium() as there:
        speaker, listener = await here.new_page(), await there.new_page()
        await speaker.add_init_script(f"({MICROPHONE})({json.dumps(voice())})")
        await join(speaker, address, "Speaker")
        await join(listener, address, "Listener")
        await listener.wait_for_selector('.tile[aria-label="Speaker"]')
        await listener.evaluate(WATCH)
        for _ in range(WARMING_ROUNDS):
            await speaker.evaluate("window.say()")
            await asyncio.sleep(ROUND_S)
            if await listener.evaluate("window.seen.length"):
                break
        said = []
        for number in range(onsets):
            said.append(await speaker.evaluate("window.say()"))
            # written steps, so that onsets fall on every phase of the 20 ms packets and the 32 ms windows
            await asyncio.sleep(ROUND_S + 0.007 * (number % 11))
        return said, await listener.evaluate("window.seen")


def figures(said: list[float], notes: list[tuple[float, float]], seen: list[float]) -> dict[str, Any]:
    """Match each onset with the first answer within its round; the parts add up to the whole."""
    rows = []
    for begun in said:
        tile = next((at for at in seen if 0 < at - begun < ROUND_S * 1000), None)
        note = next((note for note in notes if 0 < note[0] - begun < ROUND_S * 1000), None)
        if tile is not None and note is not None:
            rows.append((begun, note[1], note[0], tile))
    result: dict[str, Any] = {"onsets": len(said), "answered": len(rows)}
    if len(rows) < 2:
        return result
    names = ("capture_codec_network_ms", "deciding_that_it_is_speech_ms", "worker_to_tile_ms")
    for name, part in zip(names, zip(*[[b - a for a, b in pairwise(row)] for row in rows], strict=True), strict=True):
        result[name] = spread(part)
    result["onset_to_tile_ms"] = spread([row[-1] - row[0] for row in rows])
    result["measured"] = datetime.now(UTC).date().isoformat()
    return result


def spread(values: Any) -> dict[str, float]:
    cuts = quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "max": round(max(values), 1)}


def voice() -> str:
    """1.2 s of the first guest's voice from its very first sound on, as base64 of a WAV file."""
    sound = _decoded(packets(0))
    loud = np.flatnonzero(np.abs(sound) > 0.05)[0]
    spoken = sound[loud : loud + round(1.2 * RATE)]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((spoken * 32767).astype("<i2").tobytes())
    return base64.b64encode(file.getvalue()).decode()


def _decoded(opus: list[bytes]) -> Samples:
    codec = av.CodecContext.create("libopus", "r")
    frames = [frame for payload in opus[:250] for frame in codec.decode(av.Packet(payload))]
    sound = np.concatenate([frame.to_ndarray().reshape(frame.samples, -1)[:, 0] for frame in frames])
    full = 32768 if sound.dtype == np.int16 else 1
    return (sound / full).astype(np.float32)
