"""What of a meeting is for whom: those who look after a team, a personnel file, or one participant."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from worker.errors import ConfigError
from worker.report.meeting import Meeting

NOT_FOR_FILES = ("emotion", "shifts", "engagement", "parts", "prompts")
"""Of a record: guesses about a moment, and what was meant for one person alone."""
HOW_SPOKEN = ("syllables_per_s", "pace_change", "loudness_change_db", "pitch_spread_st", "pitch_spread_change_st")
"""Of a person's figures: how they spoke, from which somebody might conclude how they were."""
FOR_FILES = (
    "For a personnel file. Left out on purpose: everything about the sound of voices, the room's score, and what was"
    " suggested to people. These are guesses about a moment, or were meant for one person alone, and must not serve"
    " to judge anybody's work."
)


class Readers(StrEnum):
    """Whom a report is for."""

    TEAM = "team"
    PERSONNEL = "personnel"
    PARTICIPANT = "participant"


def record_for(
    meeting: Meeting, readers: Readers, participant: str = "", smallest: int = 1, contact: str = ""
) -> dict[str, Any]:
    """The record as these readers may have it; `contact` is whom to ask about it.

    Below `smallest` people there is nothing but its name and time, except for the `participant` themself. Raises
    ConfigError when there is no such participant.
    """
    if readers is Readers.PARTICIPANT:
        record = _own(meeting.copy(), participant)
    elif readers is Readers.PERSONNEL:
        record = _for_files(meeting.shown(smallest))
    else:
        record = meeting.shown(smallest)
    return {**record, **({"contact": contact} if contact else {})}


def _for_files(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in record.items() if key not in NOT_FOR_FILES}
    kept |= {"for": Readers.PERSONNEL.value, "note": FOR_FILES}
    if "withheld" in record:
        return kept
    kept["people"] = {speaker: _without(one, ("level",)) for speaker, one in record["people"].items()}
    if (figures := record["figures"]) is not None:
        speakers = {speaker: _without(one, HOW_SPOKEN) for speaker, one in figures["speakers"].items()}
        kept["figures"] = {**figures, "speakers": speakers}
    return kept


def _without(fields: Mapping[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in left_out}


def _own(record: Mapping[str, Any], who: str) -> dict[str, Any]:
    """One person's own figures and prompts: of others neither a name nor a number."""
    if who not in record["people"]:
        known = ", ".join(record["people"]) or "nobody"
        raise ConfigError(f"there is no participant {who!r} in this meeting: name one of {known} with --participant.")
    figures = (record["figures"] or {}).get("speakers", {})
    own = {key: {who: record[key][who]} if who in record[key] else {} for key in ("talk", "speech", "speaking")}
    return {
        **record,
        **own,
        "people": {who: record["people"][who]},
        "emotion": {who: record["emotion"].get(who, [])},
        "turns": [turn for turn in record["turns"] if turn[0] == who],
        "shifts": [shift for shift in record["shifts"] if shift[1] == who],
        "prompts": [prompt for prompt in record["prompts"] if prompt["to"] == who],
        "figures": {"speakers": {who: figures[who]} if who in figures else {}},
        **{key: [] for key in ("interruptions", "overlaps", "back_channels", "engagement")},
        "parts": None,
        "for": Readers.PARTICIPANT.value,
        "note": "For this person alone: their own numbers, and what was suggested to them. Others are left out.",
    }
