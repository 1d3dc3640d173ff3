"""The figures of a conversation at one moment; docs/metrics.md defines each of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from worker.conversation.balance import LEAST_HERE_S, Person, Shares, share
from worker.conversation.ordering import Ordered
from worker.conversation.pace import Pace
from worker.conversation.sums import Sums
from worker.events import SpeechEnded, SpeechStarted
from worker.figures import Figures, PersonFigures, RoomFigures

LEAST_HEARD_S = 30.0
"""Of the room before anything is told of its silence, or by the minute (judgement)."""
LEAVERS_TOLD = 20
"""Of those who left, the ones who talked most are told of."""

NOBODY = Pace()


@dataclass(frozen=True, slots=True)
class Going:
    """What goes on at a moment."""

    silence_s: float
    run_s: float
    """Of whoever has the floor."""


def measure(sums: Sums, silent_after_s: float, going: Going, leavers: bool) -> Figures:
    """Everything as of the moment up to which `sums` were advanced; with `leavers` also of people who left."""
    now = sums.activity.now
    shares = sums.balance.shares(now)
    told = _told(sums, leavers)
    return Figures(
        _room(sums, shares, going),
        {speaker: _person(sums, shares, going, speaker, person) for speaker, person in told.items()},
        shares.sides,
        _among(told, sums.tallies.interrupted_by),
        _among(told, sums.tallies.floor),
        sums.balance.silent(now, silent_after_s),
    )


def going(sums: Sums, at: float, waiting: Sequence[tuple[float, Ordered]]) -> Going:
    """What goes on at `at`, by what is known of the time since the sums were made; see Ordering.waiting."""
    activity, turn = sums.activity, sums.floor.table.turn
    speaking, since = set(activity.speaking), activity.silent_since
    until = turn.until if turn is not None else 0.0
    for when, event in waiting:
        if isinstance(event, SpeechStarted):
            speaking.add(event.speaker)
            since = None
        elif isinstance(event, SpeechEnded) and event.speaker in speaking:
            speaking.remove(event.speaker)
            since = since if speaking else when
            until = when if turn is not None and event.speaker == turn.speaker else until
    run_s = 0.0
    if turn is not None and turn.speaker in speaking:
        run_s = max(0.0, at - turn.started)
    elif turn is not None and at - until < sums.floor.rules.bridge_s:
        run_s = max(0.0, until - turn.started)
    return Going(max(0.0, at - since) if since is not None and not speaking else 0.0, run_s)


def _told(sums: Sums, leavers: bool) -> dict[str, Person]:
    people = sums.balance.people
    gone = sorted((name for name, one in people.items() if not one.here), key=lambda name: -people[name].past_s)
    left_out = set(gone[LEAVERS_TOLD:] if leavers else gone)
    return {speaker: person for speaker, person in sorted(people.items()) if speaker not in left_out}


def _among(told: Collection[str], matrix: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The counts of those who are told of with each other."""
    rows = ((one, {other: n for other, n in counts.items() if other in told}) for one, counts in matrix.items())
    return {one: row for one, row in rows if row and one in told}


def _room(sums: Sums, shares: Shares, going: Going) -> RoomFigures:
    activity, tallies, now = sums.activity, sums.tallies, sums.activity.now
    recent_speech_s, recent_silence_s = activity.recent()
    recent_heard_s = recent_speech_s + recent_silence_s
    return RoomFigures(
        people=sum(person.here for person in sums.balance.people.values()),
        heard_s=activity.heard_s,
        speech_s=activity.speech_s,
        overlap_s=activity.overlap_s,
        overlap_share=share(activity.overlap_s, activity.speech_s),
        silence_s=going.silence_s,
        longest_silence_s=max(activity.longest_silence_s, going.silence_s),
        silence_share=_part(activity.all_silence_s, activity.heard_s),
        recent_silence_share=_part(recent_silence_s, recent_heard_s),
        floor_changes=tallies.floor_changes.all,
        floor_changes_per_min=_per_min(tallies.floor_changes.all, activity.heard_s),
        recent_floor_changes_per_min=_per_min(tallies.floor_changes.recent(now), recent_heard_s),
        response_gap_s=tallies.room.gap_s(now),
        recent_response_gap_s=tallies.room.recent_gap_s(now),
        interruptions=tallies.room.interruptions.all,
        recent_interruptions=tallies.room.interruptions.recent(now),
        balance=shares.balance,
        recent_balance=shares.recent_balance,
    )


def _part(seconds: float, heard_s: float) -> float | None:
    return min(1.0, seconds / heard_s) if heard_s >= LEAST_HEARD_S else None


def _per_min(count: int, seconds: float) -> float | None:
    return count * 60 / seconds if seconds >= LEAST_HEARD_S else None


def _person(sums: Sums, shares: Shares, going: Going, speaker: str, person: Person) -> PersonFigures:
    now, tally = sums.activity.now, sums.tallies.of(speaker)
    run_s = going.run_s if sums.floor.table.holds(speaker) else 0.0
    settled_run_s = sums.floor.run_s(now) if run_s else 0.0
    talk_s, recent_s = person.talk_s(now), shares.recent_s[speaker]
    recent_share = share(recent_s, shares.recent_everyone_s)
    compared = person.here and recent_share is not None and now - person.since >= LEAST_HERE_S
    pace = sums.paces.get(speaker, NOBODY)
    return PersonFigures(
        talk_s=talk_s,
        talk_share=share(talk_s, shares.everyone_s),
        recent_talk_s=recent_s,
        recent_talk_share=recent_share,
        recent_equal_share=recent_share * shares.recent_people if compared and recent_share is not None else None,
        turns=tally.turns,
        run_s=run_s,
        longest_run_s=max(tally.longest_run_s, settled_run_s),
        interruptions=tally.interruptions.all,
        recent_interruptions=tally.interruptions.recent(now),
        interrupted=tally.interrupted.all,
        recent_interrupted=tally.interrupted.recent(now),
        back_channels=tally.back_channels,
        response_gap_s=tally.gap_s(now),
        recent_response_gap_s=tally.recent_gap_s(now),
        silent_for_s=person.silent_s(now),
        syllables_per_s=pace.syllables_per_s,
        pace_change=pace.change,
        loudness_change_db=pace.loudness_change_db,
        pitch_spread_st=pace.pitch_spread_st,
        pitch_spread_change_st=pace.pitch_spread_change_st,
    )
