"""What not everyone is told: who is, and what they may answer."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from worker.events import (
    EmotionAbstained,
    EmotionEstimated,
    EmotionShifted,
    EmotionUnavailable,
    Event,
    PromptAnswered,
    Prompted,
)

MANAGERS = "managers"
"""The audience of those who look after a room; never the name of a speaker."""
IN_CALL = "participants"
"""The audience of everyone who is in the call, and of nothing that keeps or sums up; never the name of a speaker."""
PRIVATE = (Prompted, PromptAnswered)
"""Events that are told to their addressee alone."""
TONE = (EmotionEstimated, EmotionAbstained, EmotionUnavailable, EmotionShifted)
"""Events that say how a voice sounded: the law may leave them to `IN_CALL` alone."""
ALONE = f"{IN_CALL}/"
"""Before a speaker: the audience of that one person in the call, and of nothing that keeps or sums up."""
ANSWERS = ("dismissed", "snoozed", "not_helpful")
Audience: TypeAlias = Literal["viewer", "participant", "manager", "operator"]
"""What the holder of a token may be: who has what everyone has, one of the speakers, who looks after the room; or who
opens and closes rooms, and listens to none."""
LETTERS = 200
"""Private events that a sink keeps for addressees who come back."""

_LONGEST = 200
"""Letters in a prompt's name."""


def audience_of(event: Event) -> str:
    """Who alone may have an event: a speaker, or `MANAGERS`; empty for everyone."""
    return event.to if isinstance(event, PRIVATE) else ""


def is_in_call(audience: str) -> bool:
    """Whether what is for this audience is kept by nothing."""
    return audience == IN_CALL or audience.startswith(ALONE)


def addressee(audience: str) -> str:
    """Whom an audience names, when it is not everyone in the call."""
    return audience.removeprefix(ALONE)


def read_answer(message: Mapping[str, Any]) -> tuple[str, str]:
    """The prompt that a listener's message of the type `coaching` answers, and how.

    Raises ValueError with a sentence for the listener.
    """
    prompt, answer = message.get("prompt"), message.get("answer")
    if message.get("type") == "coaching" and isinstance(prompt, str) and len(prompt) <= _LONGEST and answer in ANSWERS:
        return prompt, str(answer)
    raise ValueError(f'A prompt is answered with its name as "prompt" and an "answer": {", ".join(ANSWERS)}.')
