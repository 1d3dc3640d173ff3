import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from tests.speech import silence, speech
from worker.errors import ConfigError
from worker.vad import WINDOW, silero
from worker.vad.silero import Silero


@pytest.fixture(scope="module")
def model():
    return Silero()


def follow(model, samples):
    """Probabilities of one voice, a window at a time."""
    state, found = None, []
    for start in range(0, len(samples) - WINDOW + 1, WINDOW):
        [(probability, state)] = model.predict([(samples[start : start + WINDOW], state)])
        found.append(probability)
    return np.array(found)


def test_speech_is_voice_and_quiet_is_not(model):
    voice = follow(model, speech("anna"))
    assert (voice > 0.5).mean() > 0.6
    assert follow(model, silence(1)).max() < 0.1
    hiss = np.random.default_rng(0).normal(0, 0.01, 16_000).astype(np.float32)
    assert follow(model, hiss).max() < 0.4


def test_a_batch_hears_what_each_voice_alone_would(model):
    voices = [speech("anna"), speech("ben"), speech("anna_lively")]
    alone = np.array([follow(model, voice[: 60 * WINDOW]) for voice in voices])
    states, together = [None] * 3, []
    for start in range(0, 60 * WINDOW, WINDOW):
        answers = model.predict([(v[start : start + WINDOW], s) for v, s in zip(voices, states, strict=True)])
        states = [state for _, state in answers]
        together.append([probability for probability, _ in answers])
    np.testing.assert_allclose(np.array(together).T, alone, atol=1e-6)


def test_the_model_keeps_nothing(model):
    window = speech("ben")[WINDOW * 20 : WINDOW * 21]
    first = model.predict([(window, None)])
    state = first[0][1]
    before = [part.copy() for part in state]
    model.predict([(window, state), (speech("anna")[:WINDOW], None)])
    for part, was in zip(state, before, strict=True):
        np.testing.assert_array_equal(part, was)
    assert model.predict([(window, None)])[0][0] == first[0][0]


def test_state_and_context_matter(model):
    samples = speech("ben")
    fresh = [model.predict([(samples[i : i + WINDOW], None)])[0][0] for i in range(0, 40 * WINDOW, WINDOW)]
    assert np.abs(follow(model, samples[: 40 * WINDOW]) - fresh).max() > 0.2


def test_the_next_window_is_heard_after_the_end_of_this_one(model):
    window = speech("ben")[:WINDOW]
    [(_, (memory, context))] = model.predict([(window, None)])
    assert memory.shape == (2, 128)
    np.testing.assert_array_equal(context, window[-64:])


def test_nothing_in_nothing_out(model):
    assert model.predict([]) == []


def test_a_window_of_the_wrong_length_is_refused(model):
    with pytest.raises(ValueError, match="512 samples, not 480"):
        model.predict([(silence(0.03), None)])


def test_the_package_itself_is_never_imported(model):
    assert "silero_vad" not in sys.modules


def test_a_missing_distribution_names_the_command(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(silero, "distribution", missing)
    with pytest.raises(ConfigError, match="pip install --no-deps silero-vad"):
        Silero()


def test_a_missing_or_broken_model_file_names_the_command(monkeypatch, tmp_path):
    class Installed:
        def locate_file(self, name):
            return tmp_path / "silero_vad.onnx"

    monkeypatch.setattr(silero, "distribution", lambda name: Installed())
    with pytest.raises(ConfigError, match="without its model"):
        Silero()
    (tmp_path / "silero_vad.onnx").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="not a readable model"):
        Silero()
