"""The model that ships is the one that was judged, and answers as it did then."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.speech import speech
from worker.audio import RATE
from worker.emotion import CLASSES
from worker.emotion.features import CHANNELS
from worker.emotion.onnx import SHA256, SHIPPED, Onnx
from worker.lab import splits

DATA = Path(__file__).parent / "data"
SAID = json.loads((DATA / "model_says.json").read_text(encoding="utf-8"))
"""Of two seconds of the recordings beside it: what the model said when it was made."""
CARD = SHIPPED.with_suffix(".md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def engine():
    return Onnx()


def test_it_is_small_and_the_card_is_of_this_very_file(engine):
    assert SHIPPED.stat().st_size <= 10_000_000
    assert engine.about["sha256"] == SHA256
    assert f"SHA-256 `{SHA256}`" in CARD


def test_it_learned_only_from_what_lets_companies_use_the_result(engine):
    free = {"crema_d", "emodb", "speech_librispeech_mini", "speech_ami_extracts", "noise_esc10", "made", "rir"}
    assert set(engine.about["corpora"]) <= free
    for corpus, licence in engine.about["corpora"].items():
        assert corpus in CARD
        assert licence in CARD


def test_it_answers_what_the_network_did_that_it_was_made_from(engine):
    frame, channel = np.mgrid[:98, :CHANNELS]
    pattern = (-5 + 3 * np.sin(0.37 * frame + 1.3 * channel)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(SHIPPED), providers=["CPUExecutionProvider"])
    said = session.run(None, {"shown": pattern[np.newaxis]})[0][0]
    assert said.tolist() == pytest.approx(engine.about["parity"], abs=1e-3)


@pytest.mark.parametrize("name", SAID)
def test_it_says_of_a_recording_what_it_said_then(engine, name):
    [(emotion, _)] = engine.predict([(speech(name)[RATE : 3 * RATE], None)])
    known = SAID[name]
    assert emotion.speech == known["speech"]
    assert [emotion.scores[each] for each in CLASSES] == pytest.approx(known["scores"], abs=0.02)
    assert (emotion.valence, emotion.arousal) == pytest.approx((known["valence"], known["arousal"]), abs=0.02)


def test_hiss_is_not_speech(engine):
    hiss = np.random.default_rng(0).normal(0, 0.05, 2 * RATE).astype(np.float32)
    [(emotion, _)] = engine.predict([(hiss, None)])
    assert not emotion.speech


def test_no_speaker_stands_on_two_sides_of_its_split(engine):
    path = SHIPPED.with_name("undertone-1.splits.csv")
    assert splits.digest(path) == engine.about["splits"]
    held = splits.held_out(path)
    for fold in range(splits.FOLDS):
        sides = splits.read(path, fold)  # refuses a speaker who stands there twice
        assert {speaker for speaker, side in sides.items() if side == "test"} >= {
            s for s, f in held.items() if f == fold
        }
        assert len([side for side in sides.values() if side == "dev"]) > 20
