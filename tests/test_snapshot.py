"""What a late listener is told."""

import json

import pytest

from tests.fakes import EPOCH, envelopes, folded
from worker.events import (
    EmotionEstimated,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
    Talk,
    TalkTime,
)
from worker.sinks.snapshot import Snapshot

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
    ],
)
def test_the_newest_word_on_a_speaker_counts(events, field, value):
    assert speaker(*events)[field] == value


def test_talk_time_outlives_leaving_and_coming_back():
    events = TalkTime(2.0, {"ada": Talk(1.5, 1.0)}), SpeakerLeft(3.0, "ada"), SpeakerJoined(4.0, "ada", "Ada", 2)
    assert speaker(*events)["talk"] == {"seconds": 1.5, "share": 1.0}
    assert speaker(*events)["generation"] == 2


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
