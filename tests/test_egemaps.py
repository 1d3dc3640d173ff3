"""The baseline engine: a machine whose answers are known, on functionals that need no openSMILE."""

import io
import json
import sys

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.speech import silence, speech, windows
from worker.emotion import CLASSES, egemaps
from worker.emotion.egemaps import FEATURES, LEVEL, PARTS, Egemaps, Svm, levelled, load, save
from worker.errors import ConfigError


def machine(**about):
    random = np.random.default_rng(1)
    held = {"classes": CLASSES, "level": LEVEL, "gamma": 0.01, "temperature": 0.5}
    return Svm(
        mean=random.normal(size=FEATURES),
        scale=random.uniform(0.5, 2, FEATURES),
        vectors=random.normal(size=(40, FEATURES)),
        weights=random.normal(size=(40, 6)),
        offsets=random.normal(size=6),
        about=held | about,
    )


def few_numbers(window):
    """In place of openSMILE's functionals."""
    return np.resize(levelled(window)[:FEATURES] * 20, FEATURES).astype(np.float32)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(egemaps, "extractor", lambda: few_numbers)
    save(machine(), tmp_path / "model.npz")
    return Egemaps(model=str(tmp_path / "model.npz"))


def test_an_answer_names_every_class_and_nothing_else(engine):
    [(emotion, state)] = engine.predict([(speech("anna")[:32_000], None)])
    assert state is None
    assert (emotion.arousal, emotion.valence, emotion.speech, emotion.learning) == (None, None, True, False)
    assert tuple(emotion.scores) == CLASSES
    assert sum(emotion.scores.values()) == pytest.approx(1)
    assert emotion.confidence == max(emotion.scores.values())
    assert engine.predict([]) == []


def test_a_batch_says_what_single_windows_say(engine):
    batch = [(window, None) for window in windows(speech("ben"))]
    together = [dict(emotion.scores) for emotion, _ in engine.predict(batch)]
    for pair, scores in zip(batch, together, strict=True):
        assert scores == pytest.approx(dict(engine.predict([pair])[0][0].scores), abs=1e-9)


def test_a_decision_is_the_weighted_nearness_to_each_vector():
    svm = machine()
    heard = np.random.default_rng(2).normal(size=FEATURES)
    seen = (heard - svm.mean) / svm.scale
    near = [np.exp(-0.01 * np.sum((seen - vector) ** 2)) for vector in svm.vectors]
    expected = sum(n * w for n, w in zip(near, svm.weights, strict=True)) + svm.offsets
    np.testing.assert_allclose(svm.decide(heard[np.newaxis])[0], expected)


def test_a_lower_temperature_is_surer():
    heard = np.zeros((1, FEATURES))
    assert machine(temperature=0.1).probabilities(heard).max() > machine(temperature=2).probabilities(heard).max()


def test_the_level_of_a_window_does_not_matter():
    window = speech("anna")[:16_000]
    np.testing.assert_allclose(levelled(window * np.float32(0.25)), levelled(window), atol=1e-6)
    assert np.sqrt(np.mean(levelled(window) ** 2)) == pytest.approx(LEVEL, rel=1e-3)
    assert not levelled(silence(1)).any()
    assert len(levelled(window[:5])) == egemaps.SHORTEST


def test_a_model_survives_its_file(tmp_path):
    save(machine(corpora={"made": "synthetic"}), tmp_path / "new" / "model.npz")
    held = load(tmp_path / "new" / "model.npz")
    for name in PARTS:
        np.testing.assert_array_equal(getattr(held, name), getattr(machine(), name))
    assert held.about["corpora"] == {"made": "synthetic"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.npz"]


def file_with(**changed):
    svm = machine()
    arrays = {name: getattr(svm, name) for name in PARTS} | {"about": np.array(json.dumps(svm.about))} | changed
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file.getvalue()


def lone_array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def about(**changed):
    return np.array(json.dumps(machine().about | changed))


DAMAGED = {
    "empty": b"",
    "junk": b"not a model",
    "truncated": file_with()[:9_000],
    "flipped": file_with().replace(np.float64(machine().mean[0]).tobytes(), bytes(8)),
    "array": lone_array(),
    "foreign": file_with(vectors=None),
    "pickle": file_with(vectors=np.array([{"a": 1}], dtype=object)),
    "no JSON": file_with(about=np.array("{")),
    "nothing said": file_with(about=np.array("{}")),
    "no temperature": file_with(about=about(temperature=None)),
    "words": file_with(offsets=np.array(["a"] * 6)),
}
OTHER = {
    "shape": file_with(vectors=np.zeros((40, 62))),
    "count": file_with(weights=np.zeros((39, 6))),
    "infinite": file_with(weights=np.full((40, 6), np.inf)),
    "scale": file_with(scale=np.zeros(FEATURES)),
    "classes": file_with(about=about(classes=CLASSES[::-1])),
    "level": file_with(about=about(level=1.0)),
    "gamma": file_with(about=about(gamma=-1)),
    "temperature": file_with(about=about(temperature=0)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.npz is no model"):
        Egemaps(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
def test_a_model_that_does_not_fit_is_refused_by_name(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.npz was made for another version"):
        Egemaps(str(tmp_path / "mine.npz"))


def test_a_file_that_is_not_there_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"none\.npz cannot be read \(No such file"):
        load(tmp_path / "none.npz")
    save(machine(), tmp_path / "large.npz")
    monkeypatch.setattr(egemaps, "LARGEST", 1_000)
    with pytest.raises(ConfigError, match=r"large\.npz is larger than"):
        load(tmp_path / "large.npz")
    svm = machine()
    arrays = {name: np.zeros_like(getattr(svm, name)) for name in PARTS}
    np.savez_compressed(tmp_path / "bomb.npz", **arrays, about=np.array(json.dumps(svm.about)))
    monkeypatch.setattr(egemaps, "LARGEST", (tmp_path / "bomb.npz").stat().st_size)
    with pytest.raises(ConfigError, match=r"bomb\.npz is no model"):
        load(tmp_path / "bomb.npz")


def test_without_opensmile_it_says_what_to_install_and_under_which_licence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    save(machine(), tmp_path / "model.npz")
    with pytest.raises(ConfigError, match=r"pip install 'undertone\[egemaps\]'.*not in products"):
        Egemaps(str(tmp_path / "model.npz"))


def test_it_warns_of_the_licence_once_when_it_starts(engine, tmp_path):
    with capture_logs() as logs:
        again = Egemaps(model=str(tmp_path / "model.npz"))
        again.predict([(silence(1), None)])
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "not in products" in logs[0]["event"]


def test_opensmile_gives_the_functionals_of_a_window_of_any_length_and_level():
    pytest.importorskip("opensmile", reason="its licence is for each person to accept: install the extra egemaps")
    hear, window = egemaps.extractor(), speech("anna")[:32_000]
    for heard in (window, window[:400], silence(1)):
        assert hear(heard).shape == (FEATURES,)
        assert np.isfinite(hear(heard)).all()
    np.testing.assert_allclose(hear(window * np.float32(0.25)), hear(window), rtol=1e-2, atol=1e-2)
    assert not np.allclose(hear(window), hear(speech("ben")[:32_000]), rtol=0.1)
