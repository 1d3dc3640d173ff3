"""Who is in a Janus room, from lists and events as Janus says them."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from worker.audio import AudioChunk
from worker.events import SpeakerJoined, SpeakerLeft
from worker.rooms.janus.roster import Roster, feeds_in


def feed(number, display="ada", *streams, **fields):
    """A publisher as Janus lists it; a microphone, if nothing else is said."""
    return {"id": number, "display": display, "streams": list(streams) or [audio()]} | fields


def audio(mid="0", **fields):
    return {"type": "audio", "mid": mid, "mindex": 0, "codec": "opus"} | fields


def roster(identity="display", agreed=lambda *_: True, realm="here"):
    return Roster(realm, identity, agreed)


def brief(happened):
    return [" ".join([type(e).__name__.removeprefix("Speaker").lower(), *map(str, _rest(e))]) for e in happened]


def _rest(event):
    if isinstance(event, SpeakerJoined):
        return [event.name, event.generation]
    return [event.reason] if isinstance(event, SpeakerLeft) else []


def test_people_come_and_go():
    one = roster()
    assert brief(one.announce([feed(1), feed(2, "ben")], 1.0)) == ["joined ada 1", "joined ben 1"]
    assert one.announce([feed(1)], 2.0) == []
    assert brief(one.leave(1, 3.0)) == ["left left"]
    assert one.leave(1, 3.0) == []
    assert [person.heard.name for person in one.people] == ["ben"]


def test_a_page_loaded_anew_is_the_same_speaker():
    one = roster()
    (first,) = one.announce([feed(1)], 1.0)
    one.leave(1, 2.0)
    (again,) = one.announce([feed(2)], 3.0)
    assert (again.speaker, again.generation) == (first.speaker, 2)


def test_a_pseudonym_is_the_same_in_the_same_room_only():
    (here,), (there,), (again,) = (roster(realm=r).announce([feed(1)], 1.0) for r in ("here", "there", "here"))
    assert here.speaker == again.speaker != there.speaker
    assert "ada" not in here.speaker


def test_a_second_feed_stands_by_until_the_first_is_gone():
    one = roster()
    one.announce([feed(1)], 1.0)
    assert one.announce([feed(2)], 2.0) == []
    assert one.leave(2, 3.0) == []
    one.announce([feed(3)], 4.0)
    assert brief(one.leave(1, 5.0)) == ["left left", "joined ada 2"]
    assert [person.heard.id for person in one.people] == [3]


def test_a_dead_connection_gives_way_to_the_newer_one():
    one = roster()
    one.announce([feed(1), feed(2)], 1.0)
    assert one.replace_silent(lambda _: False, 2.0) == []
    assert brief(one.replace_silent(lambda number: number == 1, 3.0)) == ["left replaced", "joined ada 2"]
    assert one.replace_silent(lambda _: True, 4.0) == []  # nobody newer is there
    one.announce([feed(4)], 4.0)
    one.moderate(2, "0", True, 4.0)
    assert one.replace_silent(lambda _: True, 5.0) == []  # a moderator silenced it
    assert one.leave(1, 5.0) == []


def chunk(speaker, peak):
    return AudioChunk(speaker, 0.0, np.full(320, peak, np.float32))


def test_who_disables_the_feed_that_is_heard_is_heard_on_another_until_it_is_back():
    one = roster()
    (joined,) = one.announce([feed(1)], 1.0)
    one.hear(chunk(joined.speaker, 0.3))
    assert one.announce([feed(2)], 2.0) == []  # a shared screen
    off, on = feed(1, "ada", audio(disabled=True)), feed(1)
    assert brief(one.announce([off], 3.0)) == ["left replaced", "joined ada 2"]
    assert brief(one.announce([on], 4.0)) == ["left replaced", "joined ada 3"]
    assert [person.heard.id for person in one.people] == [1]
    one.announce([off], 5.0)
    one.hear(chunk(joined.speaker, 0.3))  # the screen plays a film
    assert brief(one.announce([on], 6.0)) == ["left replaced", "joined ada 5"]


def test_a_feed_that_never_had_sound_gives_way_to_one_that_has():
    one = roster()
    (joined,) = one.announce([feed(1)], 1.0)
    one.announce([feed(2)], 2.0)
    one.hear(chunk(joined.speaker, 0.005))
    assert one.talks(2, "7", 3.0) == []  # another line of it
    assert brief(one.talks(2, "0", 3.0)) == ["left replaced", "joined ada 2"]
    assert one.talks(9, "0", 3.0) == one.talks(None, None, 3.0) == []
    assert brief(one.announce([feed(1, "ada", audio(talking=True))], 4.0)) == ["left replaced", "joined ada 3"]
    assert one.talks(2, "0", 5.0) == []


def test_whoever_is_muted_by_a_moderator_is_not_heard_by_another_way():
    one = roster()
    (joined,) = one.announce([feed(1)], 1.0)
    one.hear(chunk(joined.speaker, 0.3))
    one.announce([feed(2)], 2.0)
    assert brief(one.moderate(1, "0", True, 3.0)) == ["muted"]
    assert one.talks(2, "0", 4.0) == []


def test_a_new_feed_is_heard_at_once_where_the_first_one_is_disabled():
    one = roster()
    one.announce([feed(1, "ada", audio(disabled=True))], 1.0)
    assert brief(one.announce([feed(2)], 2.0)) == ["left replaced", "joined ada 2"]


def test_people_without_a_name_are_apart():
    one = roster()
    happened = one.announce([feed(1, ""), feed(2, None), feed(3, "  ")], 1.0)
    assert len({event.speaker for event in happened}) == 3
    assert [event.name for event in happened] == ["feed 1", "feed 2", "feed 3"]


def test_metadata_tells_people_of_one_name_apart():
    one = roster("metadata.user")
    listed = [feed(1, metadata={"user": 7}), feed(2, metadata={"user": 8}), feed(3, metadata={"user": 7}), feed(4)]
    assert brief(one.announce(listed, 1.0)) == ["joined ada 1"] * 3  # the third is the first one's other feed
    assert len({person.speaker for person in one.people}) == 3


def test_each_feed_may_be_a_person_of_its_own():
    assert len(roster("feed").announce([feed(1), feed(2)], 1.0)) == 2


@pytest.mark.parametrize("name", ["a" * 500, "ada\u202e\x00  lovelace", " \n"])
def test_a_name_is_fit_to_be_shown(name):
    (joined,) = roster().announce([feed(1, name)], 1.0)
    assert 0 < len(joined.name) <= 60
    assert joined.name.isprintable()


def test_without_sound_nobody_is_a_speaker():
    one = roster()
    video = {"type": "video", "mid": "1"}
    assert one.announce([feed(1, "ada", video)], 1.0) == []
    assert brief(one.announce([feed(1, "ada", video, audio("2"))], 2.0)) == ["joined ada 1"]
    assert [person.heard.mid for person in one.people] == ["2"]
    assert brief(one.announce([feed(1, "ada", video)], 3.0)) == ["left left"]


def test_of_several_microphones_the_first_that_sends_is_heard():
    one = roster()
    one.announce([feed(1, "ada", audio("0", disabled=True), audio("1"))], 1.0)
    assert [person.heard.mid for person in one.people] == ["1"]


def test_muted_by_themselves_and_by_a_moderator():
    one = roster()
    assert brief(one.announce([feed(1, "ada", audio(moderated=True))], 1.0)) == ["joined ada 1", "muted"]
    assert brief(one.moderate(1, "0", False, 2.0)) == ["unmuted"]
    assert one.moderate(1, "9", True, 2.0) == []
    assert brief(one.announce([feed(1, "ada", audio(disabled=True))], 3.0)) == ["muted"]
    assert one.moderate(1, "0", True, 4.0) == []
    assert brief(one.announce([feed(1)], 5.0)) == ["unmuted"]


def test_who_is_analysed_is_asked_at_each_coming():
    asked = []
    one = roster(agreed=lambda speaker, feed: bool(asked.append(speaker)) or len(asked) > 1)
    assert [e.analysed for e in one.announce([feed(1)], 1.0)] == [False]
    one.leave(1, 2.0)
    assert [e.analysed for e in one.announce([feed(1)], 3.0)] == [True]


def test_a_list_of_streams_tells_who_is_on_which_line():
    streams = [
        {"type": "audio", "mid": "0", "active": True, "feed_id": 5},
        {"type": "audio", "mid": "1", "active": False},
        {"type": "video", "mid": "2", "active": True, "feed_id": 6},
        {"type": "audio", "mid": "3", "active": True},
        "nonsense",
    ]
    assert feeds_in(streams) == {"0": 5}


class People(RuleBasedStateMachine):
    """Whatever Janus says in whatever order, everyone who joined leaves once before joining again."""

    def __init__(self):
        super().__init__()
        self.roster, self.here = roster(), {}

    def note(self, happened):
        for event in happened:
            if isinstance(event, SpeakerJoined):
                assert self.here.get(event.speaker, 0) == 0
                self.here[event.speaker] = 1
            elif isinstance(event, SpeakerLeft):
                assert self.here[event.speaker] == 1
                self.here[event.speaker] = 0
            else:
                assert self.here[event.speaker] == 1

    @rule(number=st.integers(1, 5), name=st.sampled_from("ab"), sends=st.booleans(), video=st.booleans())
    def announce(self, number, name, sends, video):
        stream = {"type": "video", "mid": "1"} if video else audio(disabled=not sends)
        self.note(self.roster.announce([feed(number, name, stream)], 1.0))

    @rule(number=st.integers(1, 5))
    def leave(self, number):
        self.note(self.roster.leave(number, 1.0))

    @rule(number=st.integers(1, 5), muted=st.booleans())
    def moderate(self, number, muted):
        self.note(self.roster.moderate(number, "0", muted, 1.0))

    @rule(number=st.integers(1, 5))
    def talk(self, number):
        self.note(self.roster.talks(number, "0", 1.0))

    @rule(number=st.integers(1, 5))
    def fall_silent(self, number):
        self.note(self.roster.replace_silent(lambda feed: feed == number, 1.0))

    @invariant()
    def everyone_here_is_heard_on_one_feed(self):
        people = self.roster.people
        assert {person.speaker for person in people} == {speaker for speaker, here in self.here.items() if here}
        heard = [person.heard.id for person in people if person.heard is not None]
        assert len(heard) == len(set(heard)) == len(people)


TestPeople = People.TestCase


def test_whoever_is_asked_about_a_feed_is_shown_what_its_publisher_said_of_it():
    asked = []
    one = roster(agreed=lambda speaker, feed: asked.append((feed.id, feed.metadata)) or True)
    said = {"undertone": {"level": "metrics", "text": "v1"}}
    one.announce([feed(1, "Ada", metadata=said), feed(2, "Bo", metadata=["nonsense"]), feed(3, "Cy")], 0.0)
    assert asked == [(1, said), (2, {}), (3, {})]
