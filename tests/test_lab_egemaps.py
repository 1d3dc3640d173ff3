"""The baseline from recordings to a judged model, by the commands; openSMILE's place is taken by one number."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.made import corpus
from tests.support import require_module
from worker.emotion import CLASSES
from worker.emotion.egemaps import FEATURES, load
from worker.errors import ConfigError
from worker.lab import egemaps
from worker.lab.cli import app
from worker.lab.judge import judge
from worker.lab.splits import read
from worker.lab.store import Store


def glide(window):
    """How far the pitch of `tests.made` moves from a window's first quarter to its last, over and over."""
    quarter = len(window) // 4
    first, last = (np.mean(np.diff(np.signbit(part))) for part in (window[:quarter], window[-quarter:]))
    return np.full(FEATURES, np.log(last / first), np.float32)


@pytest.fixture(scope="module", autouse=True)
def ears():
    require_module("sklearn")
    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr("worker.emotion.egemaps.extractor", lambda: glide)
        monkey.setattr("worker.lab.egemaps.extractor", lambda: glide)
        yield


def lab(*arguments):
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def work(tmp_path_factory, ears):
    folder = tmp_path_factory.mktemp("work")
    table = corpus(folder / "wav", speakers=20)
    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr("worker.lab.nonspeech.KINDS", {"babble": 2})
        lab("prepare", folder, "--corpus", f"csv:{table}", "--views", 1)
    return folder


@pytest.fixture(scope="module")
def run(work):
    lab("train", work, "--engine", "egemaps", "--out", work / "run", "--fold", 1)
    return work / "run"


@pytest.fixture
def heard(work):
    store = Store(work / "features")
    return store.clips, egemaps.functionals(store), read(work / "splits.csv", 1)


ABOUT = {"fold": 1, "splits": "", "without": []}


def test_the_file_says_what_it_learned_from(work, run):
    about = load(run / "model.npz").about
    assert tuple(about["classes"]) == CLASSES
    assert about["corpora"] == {"table": ""}
    assert about["fold"] == 1
    assert len(about["splits"]) == 64
    assert 0.25 <= about["temperature"] <= 4
    assert set(about["development"]) == {"uar", "ece", "ece before", "brier"}


def test_it_is_judged_on_speakers_that_were_held_out(work, run):
    arguments = ("--corpus", f"csv:{work}/wav/table.csv", "--splits", work / "splits.csv", "--fold", 1, "--quick")
    lab("evaluate", "--engine", run / "model.npz", *arguments, "--json", work / "figures.json")
    figures = json.loads((work / "figures.json").read_text())
    assert figures["engine"]["engine"] == "egemaps"
    assert figures["engine"]["corpora"] == {"table": ""}
    assert figures["corpora"]["table"]["speakers"] == 4
    assert figures["corpora"]["table"]["uar"] > 0.8


def test_calibrating_again_gives_the_same_model(work, run):
    lab("calibrate", work, "--run", run, "--out", work / "again.npz")
    assert (work / "again.npz").read_bytes() == (run / "model.npz").read_bytes()


def test_numpy_decides_as_scikit_learn_does():
    from sklearn.svm import SVC

    random = np.random.default_rng(0)
    goals = np.arange(120) % 5  # nobody is disgusted
    raw = random.normal(3, 5, (120, FEATURES)) + goals[:, np.newaxis]
    mean, scale = egemaps.scaler(raw)
    seen = (raw - mean) / scale
    svm = egemaps.Svm(mean, scale, *egemaps.machines(seen, goals, 1.0, 0.01), {"gamma": 0.01})
    asked = random.normal(3, 6, (50, FEATURES))
    for number in range(5):
        one = SVC(C=1.0, gamma=0.01, class_weight="balanced").fit(seen, goals == number)
        np.testing.assert_allclose(svm.decide(asked)[:, number], one.decision_function((asked - mean) / scale))
    assert (svm.decide(asked).argmax(axis=1) != 5).all()


def test_only_training_speakers_are_learned_from(heard):
    clips, table, sides = heard
    svm = egemaps.train(clips, table, sides, ABOUT)
    held_out = np.array([sides[clip.speaker] == "test" for clip in clips])
    changed = egemaps.train(clips, np.where(held_out[:, np.newaxis], 99.0, table), sides, ABOUT)
    np.testing.assert_array_equal(svm.weights, changed.weights)
    dev = np.array([sides[clip.speaker] == "dev" for clip in clips])
    changed = egemaps.train(clips, np.where(dev[:, np.newaxis], table + 1, table), sides, ABOUT)
    np.testing.assert_array_equal(svm.mean, changed.mean)
    np.testing.assert_array_equal(svm.scale, changed.scale)


def test_what_is_left_out_teaches_nothing(heard):
    clips, table, sides = heard
    with pytest.raises(ConfigError, match="'train' has fewer than two emotions"):
        egemaps.train(clips, table, sides, ABOUT | {"without": ["table"]})


def test_functionals_are_computed_once(work, run, monkeypatch):
    monkeypatch.setattr(egemaps, "extractor", lambda: pytest.fail("computed again"))
    store = Store(work / "features")
    table = egemaps.functionals(store)
    with_class = [clip.emotion in CLASSES for clip in store.clips]
    assert np.isfinite(table).all(axis=1).tolist() == with_class
    store.clips.pop()
    with pytest.raises(ConfigError, match=r"egemaps\.npy is of other clips"):
        egemaps.functionals(store)


def test_an_engine_that_is_not_trained(work):
    with pytest.raises(ConfigError, match=r"prosody.* is not trained here"):
        lab("train", work, "--engine", "prosody", "--out", work / "no")


def test_the_name_alone_is_no_model_to_judge():
    with pytest.raises(ConfigError, match=r"--engine\.model is missing"):
        judge("egemaps")


def test_without_scikit_learn_it_says_what_to_install(heard, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ConfigError, match="pip install"):
        egemaps.train(*heard, ABOUT)
