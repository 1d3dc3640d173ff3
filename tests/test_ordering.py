from worker.conversation import ordering
from worker.conversation.ordering import Ordering
from worker.events import SpeakerLeft, SpeechEnded, SpeechStarted


def out(held, settled):
    return [(at, type(event).__name__, event.speaker) for at, event in held.until(settled)]


def test_events_come_out_in_the_order_of_what_happened_once_settled():
    held = Ordering()
    for event in (SpeechStarted(3.0, "bo"), SpeechEnded(2.0, "ada", 1.0), SpeechStarted(1.0, "ada")):
        held.push(event)
    assert out(held, 2.5) == [(1.0, "SpeechStarted", "ada"), (2.0, "SpeechEnded", "ada")]
    assert [(at, event.speaker) for at, event in held.waiting()] == [(3.0, "bo")]
    assert out(held, 3.0) == [(3.0, "SpeechStarted", "bo")]


def test_at_one_moment_who_ends_no_longer_speaks_when_another_starts():
    held = Ordering()
    for event in (SpeechStarted(2.0, "bo"), SpeechEnded(2.0, "ada", 1.0), SpeechStarted(2.0, "ab")):
        held.push(event)
    assert [name for _, _, name in out(held, 2.0)] == ["ada", "ab", "bo"]


def test_what_is_known_too_late_happened_at_the_last_settled_moment():
    held = Ordering()
    held.push(SpeechStarted(1.0, "ada"))
    assert len(out(held, 5.0)) == 1
    held.push(SpeechEnded(4.0, "ada", 1.0))
    held.push(SpeechStarted(4.5, "bo"))
    held.push(SpeechEnded(4.8, "bo", 4.5))
    assert out(held, 6.0) == [(5.0, "SpeechEnded", "ada"), (5.0, "SpeechStarted", "bo"), (5.0, "SpeechEnded", "bo")]
    assert held.late == 3


def test_an_utterance_without_length_ends_after_its_start():
    held = Ordering()
    held.push(SpeechEnded(1.0, "ada", 1.0))
    held.push(SpeechStarted(1.0, "ada"))
    assert [kind for _, kind, _ in out(held, 2.0)] == ["SpeechStarted", "SpeechEnded"]


def test_who_leaves_and_comes_at_one_moment_does_so_in_the_order_that_was_told():
    held = Ordering()
    held.push(SpeakerLeft(1.0, "ada"))
    held.push(SpeechStarted(1.0, "ada"))
    assert [kind for _, kind, _ in out(held, 2.0)] == ["SpeakerLeft", "SpeechStarted"]


def test_where_too_many_wait_no_more_starts_are_taken(monkeypatch):
    monkeypatch.setattr(ordering, "MOST", 2)
    held = Ordering()
    for number in range(4):
        held.push(SpeechStarted(1.0 + number, "ada"))
    held.push(SpeechEnded(2.5, "ada", 2.0))
    assert (held.dropped, len(out(held, 9.0))) == (2, 3)
