"""What a late listener is told."""

import json

import pytest

from tests.fakes import EPOCH, envelopes, folded
from worker.events import (
    EmotionEstimated,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
    Talk,
    TalkTime,
)
from worker.sinks.data_channel import LARGEST
from worker.sinks.snapshot import LEAVERS, Snapshot

ADA = SpeakerJoined(1.0, "ada", "Ada L.")
EMOTION = EmotionEstimated(4.0, "ada", 1.0, 0.5, None, {}, 0.8, False, "prosody")


def speaker(*events):
    return json.loads(folded(envelopes(ADA, *events)).as_json())["data"]["speakers"]["ada"]


def test_an_empty_room_has_no_time_yet():
    assert json.loads(Snapshot("quiet", 3).as_json()) == {
        "specversion": "1.0",
        "id": "quiet:3:0:snapshot",
        "source": "/rooms/quiet",
        "type": "io.undertone.snapshot.v1",
        "datacontenttype": "application/json",
        "seq": 0,
        "epoch": 3,
        "data": {"room": "quiet", "at": 0.0, "speakers": {}},
    }


def test_everything_said_so_far_is_in_it():
    talk = TalkTime(5.0, {"ada": Talk(3.5, 1.0)})
    message = json.loads(folded(envelopes(ADA, SpeechStarted(2.0, "ada"), EMOTION, talk)).as_json())
    assert (message["seq"], message["epoch"], message["time"]) == (4, EPOCH, "2026-01-01T12:00:05.000Z")
    assert message["data"] == {
        "room": "quiet",
        "at": 5.0,
        "speakers": {
            "ada": {
                "name": "Ada L.",
                "generation": 1,
                "analysed": True,
                "level": "presence",
                "present": True,
                "muted": False,
                "speaking": True,
                "talk": {"seconds": 3.5, "share": 1.0},
                "emotion": {
                    "type": "emotion.estimated.v1",
                    "at": 4.0,
                    "speaker": "ada",
                    "window_start": 1.0,
                    "arousal": 0.5,
                    "valence": None,
                    "scores": {},
                    "confidence": 0.8,
                    "provisional": False,
                    "engine": "prosody",
                    "label": None,
                },
            }
        },
    }


TALKED, NO_TALK = TalkTime(2.0, {"ada": Talk(1.5, 1.0)}), {"seconds": 0.0, "share": 0.0}


@pytest.mark.parametrize(
    ("events", "field", "value"),
    [
        ([SpeechStarted(2.0, "ada"), SpeechEnded(3.0, "ada", 2.0)], "speaking", False),
        ([SpeakerMuted(2.0, "ada")], "muted", True),
        ([SpeakerMuted(2.0, "ada"), SpeakerUnmuted(3.0, "ada")], "muted", False),
        ([SpeechStarted(2.0, "ada"), SpeakerLeft(3.0, "ada")], "present", False),
        ([SpeechStarted(2.0, "ada"), SpeakerLeft(3.0, "ada")], "speaking", False),
        ([EMOTION, SpeakerLeft(5.0, "ada")], "emotion", None),
        ([SpeakerMuted(2.0, "ada"), SpeakerJoined(3.0, "ada", "Ada", 2)], "muted", False),
        ([SpeechStarted(2.0, "bob")], "speaking", False),
        ([SpeakerAnalysed(2.0, "ada", False)], "analysed", False),
        ([SpeakerAnalysed(2.0, "ada", False), SpeakerAnalysed(3.0, "ada", True)], "analysed", True),
        ([SpeakerAnalysed(2.0, "ada", True, "metrics")], "level", "metrics"),
        ([TALKED, SpeechStarted(3.0, "ada"), SpeakerAnalysed(4.0, "ada", False)], "talk", NO_TALK),
        ([TALKED, SpeechStarted(3.0, "ada"), SpeakerAnalysed(4.0, "ada", False)], "speaking", False),
        ([TALKED, SpeakerLeft(3.0, "ada"), SpeakerJoined(4.0, "ada", "Ada", 2, False)], "talk", NO_TALK),
        ([EMOTION, SpeakerAnalysed(5.0, "ada", False)], "emotion", None),
        ([EMOTION, SpeakerAnalysed(5.0, "ada", True, "prosody")], "emotion", None),
    ],
)
def test_the_newest_word_on_a_speaker_counts(events, field, value):
    assert speaker(*events)[field] == value


def test_talk_time_outlives_leaving_and_coming_back():
    events = TalkTime(2.0, {"ada": Talk(1.5, 1.0)}), SpeakerLeft(3.0, "ada"), SpeakerJoined(4.0, "ada", "Ada", 2)
    assert speaker(*events)["talk"] == {"seconds": 1.5, "share": 1.0}
    assert speaker(*events)["generation"] == 2


def test_who_left_without_a_word_is_forgotten_once_talk_time_has_said_so():
    said = envelopes(ADA, SpeakerLeft(2.0, "ada"), TalkTime(3.0, {"ada": Talk(0.0, 0.0)}))
    assert list(folded(said[:2]).as_dict()["data"]["speakers"]) == ["ada"]
    assert list(folded(said).as_dict()["data"]["speakers"]) == []


def crowd(count, here, seconds=lambda number: 1.0 + number):
    """So many people with long names and an emotion each, of whom the last `here` have not left."""
    names = [f"p{number:012}" for number in range(count)]
    joined = [SpeakerJoined(1.0, name, "名" * 60) for name in names]
    felt = [EmotionEstimated(4.0, name, 1.0, 0.5, None, {"neutral": 0.9}, 0.8, False, "onnx") for name in names]
    talk = TalkTime(5.0, {name: Talk(seconds(number), 0.1) for number, name in enumerate(names)})
    left = [SpeakerLeft(6.0, name) for name in names[: count - here]]
    return folded(envelopes(*joined, *felt, talk, *left, TalkTime(7.0, {}))), names


def test_of_those_who_left_only_the_newest_are_kept():
    snapshot, names = crowd(300, 5)
    assert list(snapshot.as_dict()["data"]["speakers"]) == names[295 - LEAVERS :]


@pytest.mark.parametrize(
    ("count", "here", "kept", "felt"), [(300, 40, 40, True), (300, 120, 120, False), (300, 300, 158, False)]
)
def test_what_fits_a_data_channel_is_sent_and_who_is_present_comes_first(count, here, kept, felt):
    snapshot, names = crowd(count, here)
    assert len(snapshot.as_json().encode()) > LARGEST
    text = snapshot.as_json(LARGEST)
    speakers = json.loads(text)["data"]["speakers"]
    assert len(text.encode()) <= LARGEST
    assert sorted(speakers) == names[-kept:]  # who is here, and of them who talked most
    assert all((fields["emotion"] is not None) == felt for fields in speakers.values())


def test_a_snapshot_that_fits_is_whole():
    snapshot, _ = crowd(20, 10)
    assert snapshot.as_json(LARGEST) == snapshot.as_json()
    assert json.loads(snapshot.as_json(1))["data"]["speakers"] == {}


def test_its_clock_never_goes_back():
    said = envelopes(ADA, SpeechStarted(2.0, "ada"), SpeechEnded(1.5, "ada", 1.2))
    assert folded(said).as_dict()["data"]["at"] == 2.0


def test_the_hash_holds_each_speaker_under_a_field_of_its_own():
    fields = folded(envelopes(ADA, SpeakerJoined(2.0, "seq", "Bob"))).as_hash()
    assert set(fields) == {"room", "epoch", "seq", "at", "speaker:ada", "speaker:seq"}
    assert fields["seq"] == "2"
    assert json.loads(fields["speaker:seq"])["name"] == "Bob"


def test_a_gap_is_only_where_something_is_missing():
    snapshot = folded(envelopes(ADA, SpeechStarted(2.0, "ada")))
    assert (snapshot.gap_since(0).event.from_seq, snapshot.gap_since(0).event.to_seq) == (1, 2)
    with pytest.raises(ValueError, match="no event"):
        snapshot.gap_since(2)
