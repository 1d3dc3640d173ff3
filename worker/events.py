"""Everything the worker can say: the contract with every listener."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field

from worker.figures import PersonFigures, RoomFigures, SideFigures, Talk

PREFIX = "io.undertone."

Seconds: TypeAlias = Annotated[float, Field(description="Seconds on the room's clock, from media timestamps.")]
Speaker: TypeAlias = Annotated[str, Field(description="A pseudonym, stable for one person in one room.")]
Unit: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Signed: TypeAlias = Annotated[float, Field(ge=-1, le=1)]


@dataclass(frozen=True, slots=True)
class SpeakerJoined:
    """A person is in the room."""

    type: ClassVar[str] = "speaker.joined.v1"
    at: Seconds
    speaker: Speaker
    name: str
    """The display name; personal data, never logged."""
    generation: int = 1
    """Rises each time the same person connects anew."""
    analysed: bool = True
    """False when this person's sound is forwarded but never decoded by the worker."""
    role: str = ""
    """What this person is in this call, such as `seller` or `customer`, as the host application said; never guessed."""
    level: str = "presence"
    """How much may be made of this voice: `presence`, `metrics`, `prosody` or `emotion`."""


@dataclass(frozen=True, slots=True)
class SpeakerLeft:
    """A person is no longer in the room."""

    type: ClassVar[str] = "speaker.left.v1"
    at: Seconds
    speaker: Speaker
    reason: str = "left"


@dataclass(frozen=True, slots=True)
class SpeakerMuted:
    """A person switched their microphone off."""

    type: ClassVar[str] = "speaker.muted.v1"
    at: Seconds
    speaker: Speaker


@dataclass(frozen=True, slots=True)
class SpeakerUnmuted:
    """A person switched their microphone on again."""

    type: ClassVar[str] = "speaker.unmuted.v1"
    at: Seconds
    speaker: Speaker


@dataclass(frozen=True, slots=True)
class SpeakerAnalysed:
    """How much may be made of a person's voice has changed; whoever shows more of them than that clears it."""

    type: ClassVar[str] = "speaker.analysed.v1"
    at: Seconds
    speaker: Speaker
    analysed: bool
    """False from the moment on that they withdrew, or that a yes ceased to be theirs."""
    level: str = "presence"
    """`presence`, `metrics`, `prosody` or `emotion`."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance began at `at`, which lies a little before this was certain."""

    type: ClassVar[str] = "speech.started.v1"
    at: Seconds
    speaker: Speaker


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The utterance that began at `started` ended at `at`, which lies the minimum silence before this was certain."""

    type: ClassVar[str] = "speech.ended.v1"
    at: Seconds
    speaker: Speaker
    started: Seconds


@dataclass(frozen=True, slots=True)
class EmotionEstimated:
    """How a voice sounded over the smoothed windows that end at `at`."""

    type: ClassVar[str] = "emotion.estimated.v1"
    at: Seconds
    speaker: Speaker
    window_start: Seconds
    arousal: Signed | None
    """From -1, calm, to 1, lively; for `prosody` relative to this speaker's own usual."""
    valence: Signed | None
    """From -1, unpleasant, to 1, pleasant; null when the engine does not hear it."""
    scores: Mapping[str, Unit]
    """Probability of each category; empty for engines that name none."""
    confidence: Unit
    provisional: bool
    """True for a first answer made from less speech than a full window."""
    engine: str
    label: str | None = None
    """The word for screens, one of `worker.emotion.labels`; null when the engine names no categories."""


@dataclass(frozen=True, slots=True)
class EmotionAbstained:
    """There was speech, and the engine does not know how it sounds."""

    type: ClassVar[str] = "emotion.abstained.v1"
    at: Seconds
    speaker: Speaker
    window_start: Seconds
    reason: str
    """`mixed` when no label is likely enough, `not_speech` when the sound is no single voice, `unsure`, or `learning`
    while the speaker's own baseline is not known yet."""
    engine: str


@dataclass(frozen=True, slots=True)
class EmotionUnavailable:
    """There was speech, and the engine failed; its error code is the reason."""

    type: ClassVar[str] = "emotion.unavailable.v1"
    at: Seconds
    speaker: Speaker
    window_start: Seconds
    reason: str
    engine: str


@dataclass(frozen=True, slots=True)
class EmotionDrifted:
    """What an engine hears, of all speakers together, is no longer what it was at first; its answers may mislead."""

    type: ClassVar[str] = "emotion.drifted.v1"
    at: Seconds
    measure: str
    """`confidence`, `voiced_ratio` or `level_dbfs`, each a mean over windows; `class_mix` for how often each class is
    the likeliest."""
    reference: float
    """The first period's mean; for `class_mix` the stability index that chance exceeds once in a hundred times."""
    now: float
    """The last period's mean; for `class_mix` its stability index against the first period."""
    windows: Annotated[int, Field(ge=1)]
    """In the last period."""
    engine: str


@dataclass(frozen=True, slots=True)
class TalkTime:
    """How long all who are here have spoken, and the leavers who talked most; once a second, and at the end."""

    type: ClassVar[str] = "talk_time.v1"
    at: Seconds
    speakers: Mapping[str, Talk]


@dataclass(frozen=True, slots=True)
class SpeechMeasured:
    """How a stretch of speech was spoken, without any word of it."""

    type: ClassVar[str] = "speech.measured.v1"
    at: Seconds
    speaker: Speaker
    window_start: Seconds
    syllables_per_s: Annotated[float, Field(ge=0)] | None
    """Syllable nuclei per second of speech; null where noise hides them."""
    level_dbfs: float
    """Of the voiced part; 0 is full scale."""
    pitch_spread_st: Annotated[float, Field(ge=0)] | None = None
    """Semitones between the 20th and the 80th percentile of the pitch; null where it can't be told."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The floor passed to a speaker, whose turn began at `at`, one to two seconds before this was certain."""

    type: ClassVar[str] = "turn.started.v1"
    at: Seconds
    speaker: Speaker
    previous: Speaker | None
    """Who had the floor before; null for the first turn, and where they withdrew. The same speaker again, after a long
    pause."""
    gap_s: Annotated[float, Field(ge=0)] | None
    """Silence since the previous turn, 0 where they overlapped; null without one, or when it was not heard."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn that began at `started` ended at `at`."""

    type: ClassVar[str] = "turn.ended.v1"
    at: Seconds
    speaker: Speaker
    started: Seconds


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A speaker was cut off: somebody came in at `at`, and went on while the speaker stopped."""

    type: ClassVar[str] = "interrupted.v1"
    at: Seconds
    speaker: Speaker
    by: Speaker
    overlap_s: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Overlapped:
    """Two spoke at once, and it was neither an interruption nor a back-channel nor an ordinary change of turns."""

    type: ClassVar[str] = "overlapped.v1"
    at: Seconds
    speaker: Speaker
    """Who came in."""
    on: Speaker
    overlap_s: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class BackChannel:
    """A short sound while another had the floor and went on; it says "I am listening"."""

    type: ClassVar[str] = "back_channel.v1"
    at: Seconds
    speaker: Speaker
    to: Speaker
    seconds: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class ConversationMeasured:
    """The numbers of the conversation; said every few seconds, and when the room closes."""

    type: ClassVar[str] = "conversation.v1"
    at: Seconds
    window_s: Annotated[float, Field(gt=0)]
    """Length of the rolling window."""
    room: RoomFigures
    speakers: Mapping[str, PersonFigures]
    sides: Mapping[str, SideFigures]
    interrupted_by: Mapping[str, Mapping[str, int]]
    """Counts: first who was cut off, then by whom."""
    floor: Mapping[str, Mapping[str, int]]
    """Counts of floor changes: first from whom, then to whom."""
    silent: Sequence[str]
    """Who is here and has said nothing for long."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """How much of a conversation the room is having, from who speaks and when alone; no emotion is in it."""

    type: ClassVar[str] = "engagement.v1"
    at: Seconds
    score: Annotated[float, Field(ge=0, le=100)] | None
    """Null until there is enough to say."""
    parts: Mapping[str, Unit | None]
    """`balance`, `floor_changes`, `response_lag` and `silence`, each from 0 to 1."""
    weights: Mapping[str, Unit]
    confidence: Unit
    """Grows with the seconds of speech it was made from."""


@dataclass(frozen=True, slots=True)
class EmotionShifted:
    """How a voice sounded has changed for longer than a moment."""

    type: ClassVar[str] = "emotion.shifted.v1"
    at: Seconds
    speaker: Speaker
    kind: str
    """`arousal_rise`, or `to_negative` when a voice that had sounded neutral or positive came to sound tense or low."""
    before: Signed
    """Mean arousal before for `arousal_rise`, mean valence for `to_negative`."""
    now: Signed
    seconds: Annotated[float, Field(ge=0)]
    """For how long it has lasted."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A hint for one participant, or for the managers; told to nobody else."""

    type: ClassVar[str] = "coaching.prompted.v1"
    at: Seconds
    prompt: str
    """Its name, for the answer."""
    to: str
    """The speaker who is addressed, or `managers`."""
    rule: str
    severity: str
    """`info`, `hint` or `strong`."""
    text: str
    reason: str
    """Why, in words with the numbers in them."""
    numbers: Mapping[str, float | str | None]
    """What the rule's condition looked at, by name."""
    expires_s: Annotated[float, Field(gt=0)]
    """Shown later than this after `at` it would only disturb."""


@dataclass(frozen=True, slots=True)
class PromptAnswered:
    """What the person did with a prompt; told to those who were told of the prompt."""

    type: ClassVar[str] = "coaching.answered.v1"
    at: Seconds
    prompt: str
    to: str
    rule: str
    answer: str
    """`dismissed`, `snoozed` or `not_helpful`."""


@dataclass(frozen=True, slots=True)
class RoomOpened:
    """The worker began to listen."""

    type: ClassVar[str] = "room.opened.v1"
    at: Seconds


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """The worker stopped listening."""

    type: ClassVar[str] = "room.closed.v1"
    at: Seconds
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The events with these sequence numbers did not reach this listener and will not."""

    type: ClassVar[str] = "gap.v1"
    at: Seconds
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True)
class RoomInterrupted:
    """The worker lost the room and is in it again since `at`; nothing that was said meanwhile was heard."""

    type: ClassVar[str] = "room.interrupted.v1"
    at: Seconds
    seconds: Annotated[float, Field(ge=0)]
    """From when the loss was noticed."""
    reason: str
    """The stable code of what happened, one of those in docs/rooms.md."""
    attempts: Annotated[int, Field(ge=1)]
    """How many times it tried to come back."""


Event: TypeAlias = (
    SpeakerJoined
    | SpeakerLeft
    | SpeakerMuted
    | SpeakerUnmuted
    | SpeakerAnalysed
    | SpeechStarted
    | SpeechEnded
    | EmotionEstimated
    | EmotionAbstained
    | EmotionUnavailable
    | EmotionDrifted
    | TalkTime
    | SpeechMeasured
    | TurnStarted
    | TurnEnded
    | Interrupted
    | Overlapped
    | BackChannel
    | ConversationMeasured
    | Engagement
    | EmotionShifted
    | Prompted
    | PromptAnswered
    | RoomOpened
    | RoomClosed
    | Gap
    | RoomInterrupted
)

EVENTS: tuple[type[Any], ...] = Event.__args__
