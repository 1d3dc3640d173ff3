"""Events that are still in memory: the same decisions as for those that are kept."""

from dataclasses import fields, replace

from worker.data.decisions import changes
from worker.data.person import Whom
from worker.envelope import Envelope


def without_envelope(envelope: Envelope, whom: Whom) -> Envelope | None:
    """The envelope without somebody: itself where nothing of them is in it, None where nothing else is."""
    person = whom.person(envelope.room, envelope.epoch)
    if person is None:
        return envelope
    if envelope.audience == person.speaker:
        return None
    event = envelope.event
    changed = changes(event.type, {field.name: getattr(event, field.name) for field in fields(event)}, person)
    if changed is None:
        return None
    return replace(envelope, event=replace(event, **changed), _text=[]) if changed else envelope
