"""Field by field, what of an event is about somebody, and what stays of it without them."""

import dataclasses
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import envelopes
from tests.storied import ANY_EVENT, PEOPLE, ROLES, SPEAKERS, words_of
from worker.data.decisions import CONVERSATION, DECISIONS, PROMPTED, about, changes, speakers
from worker.data.person import ERASED, Person, Whom, without_words
from worker.data.records import about_message, parsed, without_message, written
from worker.events import EVENTS, Interrupted, SpeechStarted, TalkTime
from worker.figures import Talk


def person(who, alone=True):
    others = {role for other, role in ROLES.items() if other != who and role}
    return Person(
        who,
        frozenset({PEOPLE[who]}),
        frozenset(name for other, name in PEOPLE.items() if other != who),
        frozenset({ROLES[who]} if ROLES[who] else ()),
        frozenset(others),
    )


def whom(who, epoch=7):
    return Whom("quiet", who, {epoch: person(who)})


def without(kind, data, who):
    changed = changes(kind, data, person(who))
    return None if changed is None else {**data, **changed}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_field_of_every_event_is_decided(event):
    fields = {field.name for field in dataclasses.fields(event)} - {"at"}
    assert DECISIONS[event.type].fields == fields, "decide in worker/data/decisions.py whom the field is about"


def test_nothing_is_decided_that_does_not_exist():
    assert set(DECISIONS) == {event.type for event in EVENTS}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_field_that_is_a_speaker_is_an_owner_or_a_party(event):
    decided = DECISIONS[event.type]
    named = {
        field.name for field in dataclasses.fields(event) if field.name in ("speaker", "by", "on", "to", "previous")
    }
    assert named == {name for name in (decided.owner, *decided.parties) if name}


@given(ANY_EVENT, SPEAKERS)
@settings(max_examples=500, deadline=None)
def test_nothing_of_the_erased_stays_and_all_of_others_does(event, who):
    [envelope] = envelopes(event)
    message = parsed(envelope.as_json())
    left = without_message(message, whom(who))
    if left is not None:
        for text in words_of(left):
            assert not re.search(rf"(?<!\w){re.escape(who)}(?!\w)", text)
            if not (left["type"].endswith("joined.v1") and text == left["data"]["name"]):
                assert not person(who).is_in(text)
    owner = DECISIONS[event.type].owner
    if message.get("audience") == "managers" or (owner and getattr(event, owner) == who):
        return  # it was theirs alone, whoever else is named in it
    for other in set(PEOPLE) - {who}:
        before, after = about_message(message, whom(other)), left and about_message(left, whom(other))
        if before is not None:
            assert after == renamed(before, who)


@given(ANY_EVENT, SPEAKERS)
@settings(max_examples=500, deadline=None)
def test_what_is_given_out_is_about_them_and_names_nobody_else(event, who):
    [envelope] = envelopes(event)
    own = about_message(parsed(envelope.as_json()), whom(who))
    if own is None:
        return
    on_their_side = set(own["data"].get("sides", ())) & person(who).sides
    assert who in words_of(own) or on_their_side or person(who).is_in(" ".join(words_of(own)))
    if own.get("audience") != who:
        for text in words_of(own):
            others = set(PEOPLE.values()) - {PEOPLE[who]}
            assert without_words(text, others, {PEOPLE[who]}) == text


@given(ANY_EVENT, SPEAKERS)
@settings(max_examples=500, deadline=None)
def test_twice_is_as_good_as_once(event, who):
    [envelope] = envelopes(event)
    left = without_message(parsed(envelope.as_json()), whom(who))
    if left is not None:
        assert about_message(left, whom(who)) is None
        assert without_message(left, whom(who)) is left


def renamed(message, who):
    """What stays of a message about another when `who` is erased."""
    data = dict(message["data"])
    kind = message["type"].removeprefix("io.undertone.")
    for name in ("speaker", "by", "on", "previous"):
        if data.get(name) == who:
            data[name] = ERASED
    if kind.startswith("back_channel") and data["to"] == who:
        data["to"] = ERASED
    for name in ("interrupted_by", "floor"):
        if name in data:
            data[name] = {
                ERASED if row == who else row: {ERASED if one == who else one: n for one, n in counts.items()}
                for row, counts in data[name].items()
            }
    for name in ("text", "reason"):
        if kind == PROMPTED:
            data[name] = person(who).cut_from(data[name])
    if kind == PROMPTED:
        data["numbers"] = {name: ERASED if value == who else value for name, value in data["numbers"].items()}
    subject = {"subject": ERASED} if message.get("subject") == who else {}
    return {**message, **subject, "data": data}


def test_who_interrupted_whom_stays_as_a_fact_of_the_other():
    cut_off = {"at": 1.0, "speaker": "p2", "by": "p1", "overlap_s": 0.5}
    assert without("interrupted.v1", cut_off, "p1") == cut_off | {"by": ERASED}
    assert without("interrupted.v1", cut_off, "p2") == cut_off | {"speaker": ERASED}
    assert without("interrupted.v1", cut_off | {"by": ERASED}, "p2") is None
    back_channel = {"at": 1.0, "speaker": "p1", "to": "p2", "seconds": 0.3}
    assert without("back_channel.v1", back_channel, "p1") is None
    assert without("back_channel.v1", back_channel, "p2")["to"] == ERASED


def test_counts_with_several_erased_add_up():
    floor = {"p1": {"p2": 2, "p3": 1}, "p2": {"p1": 3}, ERASED: {"p1": 4, "p2": 5}, "p3": {ERASED: 6}}
    [left] = [changes(CONVERSATION, {"floor": floor}, person("p1"))]
    assert left == {"floor": {ERASED: {"p2": 7, "p3": 1}, "p2": {ERASED: 3}, "p3": {ERASED: 6}}}


def test_figures_of_a_side_go_with_the_only_one_who_was_on_it():
    sides = {"seller": {"talk_s": 3}, "customer": {"talk_s": 4}}
    assert changes(CONVERSATION, {"sides": sides}, person("p1")) == {"sides": {"customer": {"talk_s": 4}}}
    assert changes(CONVERSATION, {"sides": sides}, person("p2")) == {}
    assert about(CONVERSATION, {"sides": sides}, person("p1")) == {"sides": {"seller": {"talk_s": 3}}}
    unknown = Person("p9", shared=frozenset({"customer"}))
    assert changes(CONVERSATION, {"sides": sides}, unknown) == {"sides": {"customer": {"talk_s": 4}}}


def test_figures_of_the_room_go_where_nobody_else_was_counted():
    alone = {"at": 1.0, "room": {"speech_s": 9}, "speakers": {"p1": {}}, "silent": []}
    assert without(CONVERSATION, alone, "p1") is None
    assert without(CONVERSATION, alone | {"silent": ["p2"]}, "p1")["room"] == {"speech_s": 9}
    assert without("talk_time.v1", {"at": 1.0, "speakers": {}}, "p1") == {"at": 1.0, "speakers": {}}


def test_what_managers_were_told_of_somebody_is_theirs_and_names_nobody_else():
    told = {"at": 1.0, "prompt": "managers.1", "to": "managers", "rule": "r", "text": "Ada cut Bo off.", "reason": "Bo"}
    assert about(PROMPTED, told, person("p1"))["text"] == "Ada cut somebody off."
    assert without(PROMPTED, told, "p1") is None
    other = told | {"to": "p2", "text": "Let Ada speak, says p1, not Ada Lovelace."}
    assert about(PROMPTED, other, person("p1")) is None
    assert without(PROMPTED, other, "p1")["text"] == "Let somebody speak, says somebody, not Ada Lovelace."


def test_words_are_whole_words():
    assert without_words("Adam and Ada", {"Ada"}) == "Adam and somebody"
    assert without_words("a*b *", {"*"}) == "asomebodyb somebody"
    assert without_words("", {" "}) == ""


@pytest.mark.parametrize(
    "data",
    [
        {"speaker": ["p1"]},
        {"speakers": ["p1"]},
        {"speakers": {"p2": {}}, "floor": {"p1": 3}},
        {"speakers": {"p2": {}}, "floor": {"p1": {"p2": "3"}}},
        {"speakers": {"p2": {}}, "later": {"whispered": [{"to": "p1"}]}},
        {"speakers": {"p2": {}}, "later": "Ada did."},
    ],
)
@pytest.mark.parametrize("kind", [CONVERSATION, "of.a.later.worker.v1"])
def test_what_is_not_understood_and_mentions_them_goes(kind, data):
    assert changes(kind, data, person("p1")) is None
    assert changes(kind, data, person("g1")) == {}
    assert about(kind, data, person("p1")) is None or kind == CONVERSATION
    assert isinstance(speakers(kind, data), list)


def test_other_rooms_and_runs_are_not_looked_at():
    for room, epoch in (("quiet", 8), ("loud", 7)):
        [envelope] = envelopes(SpeechStarted(1.0, "p1"), room=room, epoch=epoch)
        message = parsed(envelope.as_json())
        assert without_message(message, whom("p1")) is message
        assert about_message(message, whom("p1")) is None


@given(st.text())
def test_half_a_surrogate_is_written_as_json_can(name):
    for text in (name, name + "\ud800"):
        line = written({"name": text})
        assert json.loads(line) == {"name": text}
        assert line.decode("utf-8")


def test_an_event_in_memory_is_judged_like_one_on_the_disk():
    from worker.data.envelopes import without_envelope

    said = envelopes(
        SpeechStarted(1.0, "p1"),
        Interrupted(2.0, "p2", "p1", 0.5),
        TalkTime(3.0, {who: Talk(1.0, 0.5) for who in PEOPLE}),
    )
    left = [without_envelope(envelope, whom("p1")) for envelope in said]
    assert left[0] is None
    assert [one and one.as_dict() for one in left] == [
        without_message(parsed(one.as_json()), whom("p1")) for one in said
    ]
    assert said[1].as_dict()["data"]["by"] == "p1"
    assert without_envelope(said[0], whom("p2")) is said[0]
