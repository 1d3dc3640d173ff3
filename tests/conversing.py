"""Written conversations: who says what when, fed to an observer as the worker comes to know it."""

from worker.conversation.dynamics import Dynamics
from worker.events import ConversationMeasured, SpeakerJoined, SpeechEnded, SpeechStarted


def utterances(said):
    """The events of {speaker: [(start, end), …]}, one speaker after the other."""
    for speaker, stretches in said.items():
        for start, end in stretches:
            yield SpeechStarted(float(start), speaker)
            yield SpeechEnded(float(end), speaker, float(start))


def joined(*speakers, at=0.0, **roles):
    return [SpeakerJoined(at, speaker, "A name", role=roles.get(speaker, "")) for speaker in speakers]


def play(events, until, tick_s=0.1, late_s=None, **options):
    """All that is said of the events, each known `late_s` after it was (or by function), in the order of knowing."""
    late_s = late_s if callable(late_s) else lambda event: 0.0
    dynamics = Dynamics(**options)
    known = sorted(((event.at + late_s(event), number, event) for number, event in enumerate(events)))
    known.reverse()
    said = []
    for number in range(1, int(until / tick_s + 1e-9) + 1):
        at = number * tick_s
        while known and known[-1][0] <= at:
            said += dynamics.push(known.pop()[2])
        said += dynamics.tick(at)
    for _, _, event in reversed(known):
        said += dynamics.push(event)
    return said + list(dynamics.close(float(until)))


def converse(said, until, others=(), **options):
    """What is said of utterances by people who are all here from the start to the end."""
    return play([*joined(*said, *others), *utterances(said)], until, **options)


def only(kind, said):
    return [event for event in said if isinstance(event, kind)]


def last(said):
    return only(ConversationMeasured, said)[-1]
