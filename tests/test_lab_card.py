"""What the card says of figures that are known."""

import numpy as np
import pytest

from worker.emotion import CLASSES, Emotion
from worker.lab.card import card
from worker.lab.corpora import Clip
from worker.lab.evaluate import figures
from worker.lab.judge import Verdicts

ABOUT = {
    "classes": CLASSES,
    "corpora": {"crema_d": "ODbL 1.0", "rir": "MIT"},
    "fold": 0,
    "splits": "ab",
    "training": {"votes": 0.3},
}


def judged(engine, speakers, tmp_path, live=None):
    """Two clips of each speaker, one of them heard right: two angry in three that are taken for that."""
    clips, said = [], []
    for number in range(speakers):
        for take, (emotion, heard) in enumerate((("angry", "angry"), ("sad", "angry" if number % 2 else "fearful"))):
            clips.append(Clip(tmp_path / f"{take}", f"s{number}", emotion, "crema_d", slices={"fold": str(number % 5)}))
            said.append(Emotion(0.0, 0.9, 0.0, {c: 0.9 if c == heard else 0.02 for c in CLASSES}))
    each = figures(clips, Verdicts(said, np.ones(len(said)))) | ({"live": live} if live else {})
    each["labels shown"]["low"]["precision"] = None  # as JSON has it, since it is never shown
    return {"engine": engine, "corpora": {"crema_d": each}, "not speech": {}}


@pytest.fixture
def text(tmp_path):
    ours = {"engine": "onnx", "sha256": "ff", "splits": "ab"}
    sheets = [
        judged(ours, 20, tmp_path),
        judged({"engine": "hybrid", "note": "It does not say."}, 20, tmp_path, {"model calls": 0.42})
        | {"noise": "hiss"},
        judged({"engine": "egemaps", "folds": 5}, 9, tmp_path),
    ]
    return card(ABOUT, "ff", sheets)


def test_room_responses_are_thanked_for(text):
    assert "| rir | room responses: IoSR" in text
    assert "| MIT |" in text


def test_intervals_of_few_speakers_are_marked(text):
    [shipped, _, svm] = [
        part for part in text.split("\n## ") if part.startswith(("This", "The engine", "The baseline"))
    ]
    assert "few speakers" not in shipped
    assert svm.count("few speakers") == 2


def test_precision_stands_beside_what_chance_gives(text):
    assert "tense of 40 0.5 (0.5)" in text
    assert "| 0.667 | 0.500 | 0.000 |" in text


def test_all_engines_stand_side_by_side(text):
    table = text.split("## Side by side")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| crema_d")]
    assert [row[1] for row in rows] == [
        "This file, on speakers it never heard",
        "The engine `hybrid`, which asks the model now and then",
        "The baseline: eGeMAPS functionals and a support vector machine, one for each fold",
    ]
    assert [row[-1] for row in rows] == ["– |", "42% |", "– |"]


def test_figures_say_which_noise_and_what_is_not_known(text):
    assert "It does not say.\nNoise was hiss.\n" in text


def test_each_fold_has_its_own_figure(text):
    assert "crema_d, UAR by fold: 0 0.75, 1 0.75, 2 0.75, 3 0.75, 4 0.75." in text
