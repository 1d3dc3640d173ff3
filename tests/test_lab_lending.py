"""Nobody lends a sound who is judged, and nobody is tuned on voices that were learned from."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

from tests.made import corpus, voice, write_wav
from worker.audio import RATE
from worker.lab import nonspeech
from worker.lab.cli import app
from worker.lab.corpora import NOT_SPEECH, UNLABELLED, Clip, read
from worker.lab.lending import Lenders, Rooms, rooms
from worker.lab.splits import SIDES, places

EMOTIONS = ("sad", "bored", UNLABELLED, NOT_SPEECH)


@settings(deadline=None)
@given(some.lists(some.tuples(some.integers(0, 30), some.sampled_from(EMOTIONS), some.sampled_from("FM")), min_size=1))
def test_only_who_is_never_judged_lends(tmp_path_factory, drawn):
    """Labelled and unlabelled clips of one corpus, and often of one speaker."""
    clips = [
        Clip(tmp_path_factory.getbasetemp() / f"{n}.wav", f"s{who}", e, "one", gender=g)
        for n, (who, e, g) in enumerate(drawn)
    ]
    placed = places(clips)
    lent = Lenders(clips, placed, Rooms()).clips
    labelled = {clip.speaker for clip in clips if clip.emotion in ("sad", "bored")}
    for side in SIDES:
        names = [clip.speaker for clip in lent[side]]
        assert len(set(names)) == len(names)
        assert labelled.isdisjoint(names)
        assert all(set(placed[name].sides) == {side} for name in names)
    assert {c.speaker for each in lent.values() for c in each} == {c.speaker for c in clips} - labelled


def test_what_was_lent_is_told_by_counts_and_a_digest(tmp_path):
    clips = read(f"csv:{corpus(tmp_path)}")
    facts = Lenders(clips, places(clips), Rooms()).facts()
    assert sum(facts[side]["noises"] for side in SIDES) == 10
    assert sum(facts[side]["voices"] for side in SIDES) == 10
    assert (facts["rooms"], facts["responses"]) == (0, {})
    gone = next(clip for clip in clips if clip.emotion == UNLABELLED)
    others = [clip for clip in clips if clip is not gone]
    assert Lenders(others, places(clips), Rooms()).facts()["sha256"] != facts["sha256"]


def test_room_responses_under_other_licences_are_left_out(tmp_path):
    sheet = tmp_path / "rirs.csv"
    sheet.write_text("path,licence\na.wav,MIT\nb.wav,GPL\n")
    found = rooms(tmp_path)
    assert found == Rooms(tmp_path.name, (tmp_path / "a.wav",), "MIT")
    assert Lenders([], {}, found).facts()["responses"] == {tmp_path.name: "MIT"}
    sheet.unlink()
    write_wav(tmp_path / "c.wav", np.zeros(10, np.float32))
    assert rooms(tmp_path) == Rooms(tmp_path.name, (tmp_path / "c.wav",))


@pytest.fixture
def voices(tmp_path):
    """Forty people without labels, each at a pitch of their own."""
    lines = [["path", "speaker", "emotion"]]
    for number in range(40):
        write_wav(tmp_path / f"{number}.wav", voice(90 + 5 * number, 1.0))
        lines.append([f"{number}.wav", f"u{number}", "unlabelled"])
    with (tmp_path / "voices.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return tmp_path / "voices.csv"


def test_sounds_are_made_of_voices_of_their_own_side(voices, tmp_path, monkeypatch):
    """Every sound is made of the side of the split on which it stands itself."""
    used = {}

    def make(name, pool):
        used[name] = {each[:100].tobytes() for each in pool.voices}
        return np.ones(RATE, np.float32)

    monkeypatch.setattr(nonspeech, "KINDS", {"babble": 20})
    monkeypatch.setattr(nonspeech, "make", make)
    CliRunner().invoke(
        app, ["prepare", str(tmp_path / "work"), "--corpus", f"csv:{voices}", "--views", "1"], catch_exceptions=False
    )
    with (tmp_path / "work" / "splits.csv").open() as file:
        side = {row["speaker"]: row["fold0"] for row in csv.DictReader(file)}
    heard = {each: [used[n] for n in used if side[f"made:{n}"] == each] for each in SIDES}
    assert all(heard.values())
    for each in SIDES:
        assert all(voices == heard[each][0] for voices in heard[each])
    assert heard["train"][0].isdisjoint(heard["dev"][0] | heard["test"][0])
    assert heard["dev"][0].isdisjoint(heard["test"][0])


def test_a_side_without_voices_has_no_sounds_made_of_them(tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", voice(100, 1.0))
    (tmp_path / "one.csv").write_text("path,speaker,emotion\na.wav,ada,unlabelled\n")
    monkeypatch.setattr(nonspeech, "KINDS", {"babble": 20})
    CliRunner().invoke(
        app,
        ["prepare", str(tmp_path / "work"), "--corpus", f"csv:{tmp_path}/one.csv", "--views", "1"],
        catch_exceptions=False,
    )
    with (tmp_path / "work" / "splits.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["fold0"] for row in rows}) == 1
    assert {"ada"} < {row["speaker"] for row in rows}
