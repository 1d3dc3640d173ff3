"""Tells a Vapi voice agent how its caller sounds, as background and never as something to answer."""

from collections.abc import Mapping
from typing import Annotated, Any

from aiohttp import ClientError, ClientSession
from pydantic import Field

from worker.envelope import Envelope
from worker.errors import SinkError
from worker.events import (
    EmotionAbstained,
    EmotionEstimated,
    EmotionShifted,
    EmotionUnavailable,
    Event,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
)
from worker.secrets import reveal
from worker.sinks.post import NAMED, address, client

TIMEOUT_S = 4.0
NEUTRAL = "neutral"
SHIFTS = {
    "arousal_rise": "grew livelier than before and stayed so",
    "to_negative": "went from neutral or pleasant to unpleasant and stayed so",
}
MANNERS = (
    "An estimate from the sound alone, not from the words: let it guide how you speak, and do not state it as a fact."
)


class Tone:
    """What is known of one voice, and what of it has been told. Fed events, asked for the next sentence."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._told, self._told_at = NEUTRAL, -every_s
        self._heard: EmotionEstimated | None = None
        """The newest answer, while there is one."""
        self._since = 0.0
        """Since when its label is what it is."""
        self._shift: EmotionShifted | None = None

    def push(self, event: EmotionEstimated | EmotionShifted) -> None:
        if isinstance(event, EmotionShifted):
            self._shift = event if self._heard is not None else None
        elif not event.provisional and event.label is not None:
            if self._heard is None or self._heard.label != event.label:
                self._since = event.window_start
            self._heard = event

    def forget(self) -> None:
        """Nothing is known of the voice any more."""
        self._heard = self._shift = None

    def due(self, at: float) -> str | None:
        """What to tell at `at` seconds, if it is new and not too soon after the last; then it counts as told."""
        if self._heard is None or at - self._told_at < self._every_s:
            return None
        label = str(self._heard.label)
        if label == self._told and self._shift is None:
            return None
        told = self._sentence(self._heard, label, at)
        self._told, self._told_at, self._shift = label, at, None
        return told

    def _sentence(self, heard: EmotionEstimated, label: str, at: float) -> str:
        sure = "high" if heard.confidence >= 0.75 else "medium" if heard.confidence >= 0.5 else "low"
        words = f"tone sounded {label} for the last {max(1, round(at - self._since))} s, {sure} confidence"
        if self._shift is not None and self._shift.kind in SHIFTS:
            words += f"; over {max(1, round(self._shift.seconds))} s it {SHIFTS[self._shift.kind]}"
        return f"Caller's {words}. {MANNERS}"


class VapiSink:
    """One system message per change of a voice's steady label, or shift, to a call's `monitor.controlUrl`.

    `whose` tone is told is a speaker, or a role, as `speaker.joined` has them. It never makes the agent speak.
    Not more often than every `every_s` seconds; between, only the newest is kept. Nothing is told while the tone is
    unknown, nor that it is neutral before it was anything else. A message that fails is not sent again. `public_key` is
    for calls with `controlAuthenticationEnabled`. Shape: vapi-server-sdk 3.0.0, `ClientInboundMessageAddMessage`.
    """

    deadline_s = None

    def __init__(
        self,
        control_url: str,
        public_key: str = "",
        whose: str = "customer",
        every_s: Annotated[float, Field(ge=10, le=600)] = 10.0,
    ) -> None:
        self._url = reveal(control_url)
        self._where = address(self._url, "control_url")
        key = reveal(public_key)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._whose, self._every_s = whose, every_s
        self._tones: dict[str, Tone] = {}
        """Of those whose tone is told, while they are here."""
        self._session: ClientSession | None = None

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for an address that is none; one that is named as `env:` or `file:` is not looked up."""
        if not options["control_url"].startswith(NAMED):
            address(options["control_url"], "control_url")

    async def send(self, envelope: Envelope) -> None:
        """Raises SinkError when Vapi did not take what was to be told."""
        self._learn(envelope.event)
        for tone in self._tones.values():
            if (sentence := tone.due(envelope.event.at)) is not None:
                await self._post(sentence)

    def forget(self, speaker: str) -> None:
        """Nothing is known of this voice any more, nor told."""
        self._tones.pop(speaker, None)

    def _learn(self, event: Event) -> None:
        match event:
            case SpeakerJoined() if self._whose in (event.speaker, event.role):
                self._tones[event.speaker] = Tone(self._every_s)
            case SpeakerLeft():
                self._tones.pop(event.speaker, None)
            case SpeakerAnalysed() | EmotionAbstained() | EmotionUnavailable() if event.speaker in self._tones:
                self._tones[event.speaker].forget()
            case EmotionEstimated() | EmotionShifted() if event.speaker in self._tones:
                self._tones[event.speaker].push(event)

    async def _post(self, sentence: str) -> None:
        if self._session is None:
            self._session = client(TIMEOUT_S)
        body = {
            "type": "add-message",
            "message": {"role": "system", "content": sentence},
            "triggerResponseEnabled": False,  # left out, it makes the agent speak
        }
        try:
            async with self._session.post(self._url, json=body, headers=self._headers, allow_redirects=False) as answer:
                status = answer.status
        except (ClientError, TimeoutError, OSError) as error:
            raise SinkError(f"Vapi at {self._where} does not answer ({type(error).__name__}).", "vapi_away") from None
        if not 200 <= status < 300:
            raise SinkError(f"Vapi at {self._where} answers {status}: has the call ended?", "vapi_refused")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
