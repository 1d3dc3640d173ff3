"""One room, from joining to closing: takes what the room gives, asks the speakers, tells the sinks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from worker.audio import RATE, AudioChunk
from worker.audio.windows import Window
from worker.conversation import Observer
from worker.envelope import Envelope, Numbering
from worker.errors import RoomError
from worker.events import (
    EmotionDrifted,
    Event,
    RoomClosed,
    RoomInterrupted,
    RoomOpened,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
)
from worker.privacy.levels import Level
from worker.privacy.policy import Policy
from worker.prompts import ALONE, IN_CALL, PRIVATE, TONE
from worker.ring import Ring
from worker.rooms import Answered, ListenerJoined, Room, RoomItem, Tick
from worker.speaker import Speaker

log = structlog.get_logger()

WAITING = 120
"""Items of one speaker that may wait: 2 s of 20 ms packets, and the ticks between them."""
LEAVERS = 200
"""People who left and may still withdraw: as many as observers keep."""


class Listeners(Protocol):
    """Everyone who is told; a live room never waits for them."""

    def put(self, envelope: Envelope) -> None: ...

    async def welcome(self, listener: str, behind: bool) -> None: ...

    async def settle(self) -> None:
        """Wait until they have caught up; only a recording can."""
        ...


class Live:
    """A speaker with a queue and two tasks: one that hears, one that feels only the newest window."""

    def __init__(self, speaker: Speaker, after: "Live | None", level: Level, withdrawals: int) -> None:
        self.speaker = speaker
        self.level, self.withdrawals = level, withdrawals
        """How much might be made of this voice, and how often it had ceased to be heard, when that was last asked."""
        self.sound: Ring[AudioChunk | Tick | SpeakerMuted] = Ring(WAITING)
        self.windows: Ring[Window] = Ring(1)
        self.asked: asyncio.Task[list[Event]] | None = None
        """What the engine is being asked."""
        self.reason: SpeakerLeft | None = None
        self.done = asyncio.Event()
        self.after = after
        """The same person's earlier connection, which says its last word first."""
        self.held: list[Event] = []
        """What waits for that."""
        self.until = 0.0
        """End of the sound whose events have been said."""
        self.begun: float | None = None
        """Start of the utterance under way, as far as it has been said."""

    def put(self, item: AudioChunk | Tick | SpeakerMuted) -> float:
        """Seconds of sound that were dropped to make room."""
        oldest = self.sound.put(item)
        return len(oldest.samples) / RATE if isinstance(oldest, AudioChunk) else 0.0

    def renew(self, fresh: Speaker) -> list[Event]:
        """Forget all that waits and all state of the voice; what was begun ends where it was last heard."""
        self.sound.clear()
        self.windows.clear()
        if self.asked is not None:
            self.asked.cancel()  # where it still waits for the engine it is not heard at all
        speaker, self.speaker = self.speaker, fresh
        if self.begun is None:
            return []
        for event in speaker.stop(self.until):
            if isinstance(event, SpeechEnded) and event.started == self.begun:
                return [event]
        return [SpeechEnded(self.until, fresh.id, self.begun)]  # the speaker ended it while this was being asked

    def leave(self, reason: SpeakerLeft) -> None:
        self.reason = reason
        self.sound.close()


class Session:
    """Runs until the room closes. `say` is the one place where an event becomes public.

    In lockstep (a recording) everything before a Tick is answered, in a fixed order, before more is asked for, so that
    the same recording gives the same events. Live, each speaker has a bounded queue and nobody waits for anybody.
    """

    def __init__(
        self,
        room: Room,
        policy: Policy,
        make_speaker: Callable[[str, Level], Speaker],
        observers: Sequence[Observer],
        numbering: Numbering,
        listeners: Listeners,
    ) -> None:
        self.dropped_s = 0.0
        """Seconds of sound that were not heard because a speaker's queue was full."""
        self.skipped = 0
        """Windows that a newer one of the same speaker replaced before the engine came to them: under load everyone's
        hop grows, and nobody is left out."""
        self._room = room
        self._policy = policy
        self._make_speaker = make_speaker
        self._observers = observers
        self._on_tone = {rule for one in observers for rule in getattr(one, "on_tone", ())}
        """Rules whose prompts rest on how a voice sounded."""
        self._tones_in_call = False
        self._numbering = numbering
        self._listeners = listeners
        self._speakers: dict[str, Speaker] = {}
        self._chunks: list[AudioChunk] = []
        self._live: dict[str, Live] = {}
        self._leavers: dict[str, Level] = {}
        """Who left and was heard to the end, the newest, and how far; what is kept of them is theirs to withdraw."""
        self._at = 0.0
        self._over = False

    async def run(self) -> None:
        """Raises RoomError when the platform failed; whatever else it raises is a bug."""
        self.say(RoomOpened(0.0))
        reason = "failed"
        try:
            await (self._run_lockstep() if self._room.lockstep else self._run_live())
            reason = "ended"
        finally:
            for observer in self._observers:
                for event in observer.close(self._at):
                    self.say(event)
            self.say(RoomClosed(self._at, reason))
            self._over = True

    def say(self, event: Event) -> None:
        """Number an event, tell everyone, and let the observers add what follows from it."""
        self._at = max(self._at, event.at)
        self._listeners.put(self._numbering.wrap(event, self._in_call(event)))
        for observer in self._observers:
            for following in observer.push(event):
                self.say(following)

    def _in_call(self, event: Event) -> str:
        """The audience of what is left to those in the call alone; empty for anything else.

        What rests on a tone goes no further than tones do, from the first on that was left to them.
        """
        if isinstance(event, TONE) and self._policy.in_call_only(event.speaker):
            self._tones_in_call = True
            return IN_CALL
        if isinstance(event, PRIVATE) and event.rule in self._on_tone and self._tones_in_call:
            return f"{ALONE}{event.to}"
        return ""

    def answer(self, who: str, prompt: str, answer: str) -> None:
        """`who`, a speaker or the managers, says what they did with a prompt: observers that take answers judge it."""
        for observer in self._observers:
            if not self._over and (learn := getattr(observer, "answer", None)) is not None:
                for event in learn(who, prompt, answer, self._at):
                    self.say(event)

    def _tick(self, at: float) -> None:
        self._at = max(self._at, at)
        for observer in self._observers:
            for event in observer.tick(at):
                self.say(event)

    # -- a recording: everything in its turn ----------------------------------------------------------------------

    async def _run_lockstep(self) -> None:
        async for item in self._room:
            if isinstance(item, AudioChunk):
                if self._policy.may_hear(item.speaker):
                    self._chunks.append(item)
                continue
            await self._hear_chunks()
            match item:
                case SpeakerJoined():
                    level = self._policy.level(item.speaker)
                    self._speakers[item.speaker] = self._make_speaker(item.speaker, level)
                    self.say(_at_level(item, level))
                case SpeakerLeft():
                    speaker = self._speakers.pop(item.speaker)
                    await self._tell(speaker, speaker.stop(item.at))
                    self.say(item)
                case Tick():
                    for speaker in self._speakers.values():
                        await self._tell(speaker, speaker.tick(item.at))
                    self._tick(item.at)
                    await self._listeners.settle()
                case _:
                    await self._other(item)

    async def _hear_chunks(self) -> None:
        """Hear all speakers at once, so that the model batches; tell what was found one speaker after another."""
        chunks, self._chunks = self._chunks, []
        speakers = [self._speakers[chunk.speaker] for chunk in chunks]
        found = await asyncio.gather(*(s.hear(chunk) for s, chunk in zip(speakers, chunks, strict=True)))
        for speaker, items in zip(speakers, found, strict=True):
            await self._tell(speaker, items)

    async def _tell(self, speaker: Speaker, found: Sequence[Event | Window]) -> None:
        for item in found:
            for event in await speaker.feel(item) if isinstance(item, Window) else [item]:
                self.say(event)

    # -- a live room: nobody waits for anybody --------------------------------------------------------------------

    async def _run_live(self) -> None:
        failure: RoomError | None = None
        async with asyncio.TaskGroup() as tasks:
            try:
                async for item in self._room:
                    await self._take(item, tasks)
            except RoomError as error:
                failure = error  # raised below: what was heard before it is still told
            finally:
                for live in self._live.values():
                    live.sound.close()
        if failure is not None:
            raise failure

    async def _take(self, item: RoomItem, tasks: asyncio.TaskGroup) -> None:
        match item:
            case AudioChunk():
                if (live := self._live.get(item.speaker)) is not None and self._hears(live):
                    self.dropped_s += live.put(item)
            case SpeakerJoined():
                live = self._arrive(item.speaker, self._policy.level(item.speaker))
                self._say_in_turn(live, _at_level(item, live.level))
                tasks.create_task(self._listen(live))
                tasks.create_task(self._feel(live))
            case SpeakerLeft():
                if (live := self._live.get(item.speaker)) is not None:
                    live.leave(item)
            case Tick():
                self._at = max(self._at, item.at)
                self._heed()
                for live in self._live.values():
                    self.dropped_s += live.put(item)
                self._tick(item.at)
            case SpeakerMuted() | SpeakerUnmuted():
                if (live := self._live.get(item.speaker)) is not None:
                    if isinstance(item, SpeakerMuted):
                        self.dropped_s += live.put(item)
                    self._say_in_turn(live, item)
            case _:
                await self._other(item)

    def _arrive(self, speaker: str, level: Level) -> Live:
        self._leavers.pop(speaker, None)
        withdrawals = self._policy.withdrawals(speaker)
        self._live[speaker] = Live(self._make_speaker(speaker, level), self._live.get(speaker), level, withdrawals)
        return self._live[speaker]

    def _hears(self, live: Live) -> bool:
        """Whether this person may be heard; with another level than before, or after a no that was not noticed before
        the next yes, all that is held of them is dropped.

        Asked before sound is taken and again before anything that follows from it is said.
        """
        level, withdrawals = self._policy.level(live.speaker.id), self._policy.withdrawals(live.speaker.id)
        if (level, withdrawals) != (live.level, live.withdrawals):
            was, missed = live.level, withdrawals != live.withdrawals and Level.PRESENCE not in (level, live.level)
            live.level, live.withdrawals = level, withdrawals
            self._spread(live, live.renew(self._make_speaker(live.speaker.id, level)))
            if missed and live.reason is None:
                self._say_level(live, Level.PRESENCE)
            if level < was or (live.reason is None and (missed or level > was)):
                self._say_level(live, level)  # of who leaves only that they agree to less
        return level > Level.PRESENCE

    def _say_level(self, live: Live, level: Level) -> None:
        self._say_in_turn(live, _analysed(self._at, live.speaker.id, level))

    def _heed(self) -> None:
        """Ask of everyone, before anything is made of what is kept of them: also of earlier connections that have not
        said their last word, and of those who withdraw after they left."""
        for newest in list(self._live.values()):
            live: Live | None = newest
            while live is not None:
                self._hears(live)
                live = live.after
        for speaker, was in list(self._leavers.items()):
            if (level := self._policy.level(speaker)) < was:
                self._leavers[speaker] = level
                self.say(_analysed(self._at, speaker, level))

    def _part(self, live: Live, left: SpeakerLeft) -> None:
        live.windows.clear()
        self.say(left)
        if live.level > Level.PRESENCE and self._live.get(live.speaker.id) is live:
            self._leavers[live.speaker.id] = live.level
            if len(self._leavers) > LEAVERS:
                del self._leavers[next(iter(self._leavers))]

    def _say_in_turn(self, live: Live, event: Event) -> None:
        """Say it now, or once the same person's earlier connection has said its last word."""
        if live.after is None:
            self.say(event)
        else:
            live.held.append(event)

    async def _listen(self, live: Live) -> None:
        if live.after is not None:
            await live.after.done.wait()
            live.after = None
            for event in live.held:
                self.say(event)
        async for item in live.sound:
            match item:
                case AudioChunk():
                    await self._hear(live, item)
                case Tick():
                    self._spread(live, live.speaker.tick(item.at))
                case SpeakerMuted():
                    self._spread(live, live.speaker.stop(item.at))
        self._spread(live, live.speaker.stop(self._at))
        if live.reason is not None:
            self._part(live, live.reason)
        if self._live.get(live.speaker.id) is live:
            del self._live[live.speaker.id]
        live.windows.close()
        live.done.set()

    async def _hear(self, live: Live, chunk: AudioChunk) -> None:
        speaker = live.speaker
        if not self._hears(live) or speaker is not live.speaker:
            return
        found = await speaker.hear(chunk)
        if self._hears(live) and speaker is live.speaker:  # another one if consent was withdrawn meanwhile
            self._spread(live, found)
            live.until = chunk.end

    def _spread(self, live: Live, found: Sequence[Event | Window]) -> None:
        for item in found:
            if isinstance(item, Window):
                self.skipped += live.windows.put(item) is not None
                continue
            if isinstance(item, SpeechStarted | SpeechEnded):
                live.begun = item.at if isinstance(item, SpeechStarted) else None
            self.say(item)

    async def _feel(self, live: Live) -> None:
        async for window in live.windows:
            speaker = live.speaker
            if not self._hears(live) or speaker is not live.speaker:
                continue
            live.asked = asyncio.create_task(speaker.feel(window))
            try:
                await asyncio.wait({live.asked})
            finally:
                live.asked.cancel()
            if live.asked.cancelled():
                continue
            felt = live.asked.result()
            gone = live.reason is not None and live.done.is_set()
            told = not gone and self._hears(live) and speaker is live.speaker
            for event in felt:
                if told or isinstance(event, EmotionDrifted):  # that is of nobody in particular, and said once
                    self.say(event)

    # -- both -----------------------------------------------------------------------------------------------------

    async def _other(self, item: RoomItem) -> None:
        match item:
            case SpeakerMuted() | SpeakerUnmuted() | RoomInterrupted():
                self.say(item)
            case ListenerJoined():
                await self._listeners.welcome(item.listener, item.behind)
            case Answered():
                self.answer(item.speaker, item.prompt, item.answer)


def _analysed(at: float, speaker: str, level: Level) -> SpeakerAnalysed:
    return SpeakerAnalysed(at, speaker, level > Level.PRESENCE, level.word)


def _at_level(item: SpeakerJoined, level: Level) -> SpeakerJoined:
    return replace(item, analysed=level > Level.PRESENCE, level=level.word)
