"""What a turn is, and what counts as an interruption and a back-channel."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TurnRules:
    """Seconds that the decisions of docs/metrics.md turn on: common turn-taking practice, and judgement."""

    bridge_s: float = 2.0
    """A shorter pause of one speaker does not end their run."""
    take_floor_s: float = 1.0
    """Who has spoken for this long while nobody holds the floor, or its holder has stopped, has it."""
    back_channel_s: float = 1.0
    """A shorter utterance, while another goes on, is one."""
    overlap_s: float = 0.5
    """A shorter overlap is an ordinary change of turns."""
    yields_s: float = 1.0
    """Who is interrupted has had the floor for this long, and stops within it."""
    interruption_s: float = 1.5
    """Who interrupts speaks for at least this long."""


@dataclass(slots=True)
class Turn:
    """A run of speech that has the floor."""

    speaker: str
    started: float
    since: float
    """When the turn before had ended, or this one started if that was later."""
    until: float
    """End of its last utterance; meaningless while one goes on."""


@dataclass(slots=True)
class Table:
    """Who speaks and who has the floor, at one moment."""

    turn: Turn | None = None
    """The run that has the floor, until its pause exceeds `bridge_s`."""
    speaking: dict[str, float] = field(default_factory=dict)
    """Since when each of them does."""

    def holds(self, speaker: str) -> bool:
        return self.turn is not None and self.turn.speaker == speaker

    def holder_speaks(self) -> bool:
        return self.turn is not None and self.turn.speaker in self.speaking
