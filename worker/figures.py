"""The numbers of a conversation: what rules may ask for, and what pages show; docs/metrics.md has the formulas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from pydantic import Field

Count: TypeAlias = Annotated[int, Field(ge=0)]
Duration: TypeAlias = Annotated[float, Field(ge=0)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Talk:
    """One speaker's part of the talking."""

    seconds: Duration
    share: Share
    """Of all speakers' seconds together; 0 while nobody has spoken."""


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """One person. `recent_` means the rolling window, all else the whole call; None, until there is enough to say."""

    talk_s: Duration = 0.0
    """Seconds of speech; where people overlap each one's counts."""
    talk_share: Share | None = None
    """Of everyone's seconds together."""
    recent_talk_s: Duration = 0.0
    recent_talk_share: Share | None = None
    recent_equal_share: Duration | None = None
    """The recent share as a multiple of the equal one: 1 is a fair part, 0.25 a quarter of it."""
    turns: Count = 0
    """Times this person took the floor."""
    run_s: Duration = 0.0
    """How long this person has gone on by now, pauses under the bridge included; 0 while they have not the floor."""
    longest_run_s: Duration = 0.0
    interruptions: Count = 0
    """Times this person cut somebody off."""
    recent_interruptions: Count = 0
    interrupted: Count = 0
    """Times somebody cut this person off."""
    recent_interrupted: Count = 0
    back_channels: Count = 0
    """Short sounds while another went on, such as "mhm"."""
    response_gap_s: Duration | None = None
    """Median pause between another's turn and this person's next one; 0 where they overlapped."""
    recent_response_gap_s: Duration | None = None
    silent_for_s: Duration = 0.0
    """Since this person's last speech, or since they came if there was none; 0 while they speak."""
    syllables_per_s: Duration | None = None
    """Articulation rate over their last seconds of speech."""
    pace_change: float | None = None
    """That rate against this person's own usual: 0.15 is 15 % faster."""
    loudness_change_db: float | None = None
    """Level of their last seconds of speech against their own usual."""
    pitch_spread_st: Duration | None = None
    """Semitones over which the pitch moves in their last seconds of speech."""
    pitch_spread_change_st: float | None = None
    """That spread against this person's own usual, in semitones."""


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """Everyone together. `recent_` means the rolling window, all else the whole call; None, until there is enough."""

    people: Count = 0
    """Who may be counted, silent ones included."""
    heard_s: Duration = 0.0
    """Seconds in which the worker heard the room."""
    speech_s: Duration = 0.0
    """Seconds in which anyone spoke."""
    overlap_s: Duration = 0.0
    """Seconds in which two or more spoke at once."""
    overlap_share: Share | None = None
    """Of the seconds in which anyone spoke."""
    silence_s: Duration = 0.0
    """How long nobody has spoken by now."""
    longest_silence_s: Duration = 0.0
    silence_share: Share | None = None
    """Of the seconds in which the room was heard."""
    recent_silence_share: Share | None = None
    floor_changes: Count = 0
    floor_changes_per_min: Duration | None = None
    recent_floor_changes_per_min: Duration | None = None
    response_gap_s: Duration | None = None
    """Median pause between two people's turns."""
    recent_response_gap_s: Duration | None = None
    interruptions: Count = 0
    recent_interruptions: Count = 0
    balance: Share | None = None
    """Normalised entropy of the talk shares: 1 is equal, 0 is one person alone."""
    recent_balance: Share | None = None


@dataclass(frozen=True, slots=True)
class SideFigures:
    """Everyone of one side of the conversation, such as `seller` and `customer`."""

    talk_s: Duration = 0.0
    talk_share: Share | None = None
    recent_talk_share: Share | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All numbers of a room at one moment."""

    room: RoomFigures = RoomFigures()
    people: Mapping[str, PersonFigures] = field(default_factory=dict)
    """By speaker; only those who are analysed."""
    sides: Mapping[str, SideFigures] = field(default_factory=dict)
    """By role; only where the host application told roles."""
    interrupted_by: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts: first who was cut off, then by whom."""
    floor: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of floor changes: first from whom, then to whom."""
    silent: tuple[str, ...] = ()
    """Who is here and has said nothing for long."""
