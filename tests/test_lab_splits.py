"""No speaker stands on two sides."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from worker.errors import ConfigError
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.splits import FOLDS, NOWHERE, PARTS, deal, held_out, places, read, side, write


def people(corpus, genders, emotion="sad"):
    return [
        Clip(Path(f"{corpus}{i}-{take}.wav"), f"{corpus}_{i}", emotion, corpus, gender=gender)
        for i, gender in enumerate(genders)
        for take in range(2)
    ]


def test_every_part_is_judged_once_and_tunes_one_fold_at_most():
    for part in range(PARTS):
        sides = Counter(side(part, fold) for fold in range(FOLDS))
        assert sides["test"] == 1
        assert sides["dev"] <= 1


@settings(deadline=None)
@given(some.lists(some.sampled_from("FM"), min_size=1, max_size=60))
def test_no_speaker_stands_on_two_sides_of_a_file(tmp_path_factory, genders):
    clips = people("a", genders) + people("b", genders[:3]) + people("n", genders, NOT_SPEECH)
    path = tmp_path_factory.mktemp("splits") / "splits.csv"
    digest = write(path, places(clips))
    lines = path.read_text().splitlines()[1:]
    speakers = [line.split(",")[0] for line in lines]
    assert len(set(speakers)) == len(speakers)
    assert set(speakers) == {clip.speaker for clip in clips}
    for fold in range(FOLDS):
        sides = read(path, fold)
        groups = {name: {s for s in sides if sides[s] == name} for name in ("train", "dev", "test")}
        assert sum(map(len, groups.values())) == len(speakers)
    tested = Counter(s for fold in range(FOLDS) for s, where in read(path, fold).items() if where == "test")
    assert all(tested[s] == 1 for s in speakers if not s.startswith("n"))
    assert write(path, places(clips[::-1])) == digest


def test_sexes_and_corpora_are_dealt_evenly():
    parts = deal(people("a", "F" * 30 + "M" * 30))
    women = Counter(parts[f"a_{i}"] for i in range(30))
    assert set(women.values()) == {3}
    assert set(Counter(deal(people("b", "FFFFFMMMMM")).values()).values()) == {1}


def test_noise_stands_still_while_people_change_sides(tmp_path):
    path = tmp_path / "splits.csv"
    write(path, places(people("a", "FM" * 10) + people("n", "F" * 20, NOT_SPEECH)))
    noise = [{s: where for s, where in read(path, fold).items() if s.startswith("n")} for fold in range(FOLDS)]
    assert all(each == noise[0] for each in noise)
    assert set(noise[0].values()) == {"train", "dev", "test"}


def test_a_file_with_a_speaker_twice_is_refused(tmp_path):
    path = tmp_path / "splits.csv"
    write(path, places(people("a", "FM")))
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(ConfigError, match="speaker twice"):
        read(path, 0)


def test_no_file_says_what_to_run(tmp_path):
    with pytest.raises(ConfigError, match="lab prepare"):
        read(tmp_path / "splits.csv", 0)


def test_noise_that_a_model_learned_from_judges_none(tmp_path):
    clips = [Clip(tmp_path / f"{i}.wav", f"noise:{i}", NOT_SPEECH, "noise") for i in range(30)]
    clips += [Clip(tmp_path / f"{i}.wav", f"table:{i}", "sad", "table") for i in range(30)]
    write(tmp_path / "splits.csv", places(clips))
    held, sides = held_out(tmp_path / "splits.csv"), read(tmp_path / "splits.csv", 0)
    assert all((held[speaker] == 0) is (stands == "test") for speaker, stands in sides.items())
    assert {held[c.speaker] for c in clips if c.corpus == "table"} == set(range(5))
    assert {held[c.speaker] for c in clips if c.corpus == "noise"} == {0, NOWHERE}
