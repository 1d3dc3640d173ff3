"""What a voice is put through when a model is judged."""

import numpy as np
import pytest

from tests.made import voice, write_wav
from worker.audio import RATE
from worker.lab import augment
from worker.lab.corpora import NOT_SPEECH, Clip
from worker.lab.stress import MADE, conditions, noise_of, unsteady


def unrest(noise, seed):
    """How far, in dB, the strength of single bands wanders from one fifth of a second to the next."""
    sound = noise(4 * RATE, np.random.default_rng(seed))
    frames = sound.reshape(20, -1)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]))) ** 2
    bands = np.stack([part.mean(axis=1) for part in np.array_split(power[:, 10:], 12, axis=1)])
    return float(np.std(10 * np.log10(bands), axis=1).mean())


def test_noise_to_judge_by_is_not_of_the_kind_that_is_trained_with():
    assert min(unrest(unsteady, seed) for seed in range(5)) > 3 * max(unrest(augment.coloured, s) for s in range(5))


@pytest.mark.parametrize("samples", [1, 255, 5_000])
def test_made_noise_is_as_long_as_the_speech_and_as_strong_as_other_noise(samples):
    noise = unsteady(samples, np.random.default_rng(0))
    assert noise.shape == (samples,)
    assert noise.dtype == np.float32
    assert samples < 1000 or float(np.std(noise)) == pytest.approx(0.1, rel=0.01)


def clip(tmp_path, number, emotion=NOT_SPEECH, gender=""):
    write_wav(tmp_path / f"{number}.wav", np.full(RATE, 0.1 + 0.1 * number, np.float32))
    return Clip(tmp_path / f"{number}.wav", f"hum:{number}", emotion, "hum", gender=gender)


def test_recordings_that_are_given_are_the_noise(tmp_path):
    clips = [clip(tmp_path, 0), clip(tmp_path, 1), clip(tmp_path, 2, "sad"), clip(tmp_path, 3, gender="F")]
    noise, said = noise_of(clips)
    assert said == "recorded: 2 clips of hum"
    assert noise(2 * RATE, np.random.default_rng(0)) == pytest.approx(0.5, abs=0.01)  # begun again, its peak at 0.5
    assert noise_of(clips[2:]) == (unsteady, MADE)


def test_noise_lies_as_far_below_the_voice_as_it_says():
    speech = voice(120, 2.0)
    changed = conditions(lambda samples, random: np.full(samples, 0.3, np.float32))
    for name, db in (("noise at 20 dB", 20), ("noise at 10 dB", 10)):
        added = changed[name](speech, np.random.default_rng(0)) - speech
        assert 20 * np.log10(np.std(speech) / np.mean(added)) == pytest.approx(db, abs=3)
