"""Features on disk, batches of them, calibration on them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.made import corpus, voice
from worker.emotion import CLASSES
from worker.emotion.features import CHANNELS, RECIPE, analyse, normalise
from worker.errors import ConfigError
from worker.lab.augment import Pool
from worker.lab.batches import LONGEST, SHORTEST, by_side, epoch, epoch_clips, take, whole
from worker.lab.calibrate import calibrate
from worker.lab.corpora import NOT_SPEECH, Clip, read
from worker.lab.sound import decode, seeded
from worker.lab.store import Store, prepare
from worker.lab.targets import targets

LENT = {"responses": {}, "sha256": "made"}
POOL = Pool([], [voice(100, 3.0), voice(160, 3.0)], [])


def sound(clip):
    return decode(clip.path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    clips = read(f"csv:{corpus(folder / 'wav')}")
    prepare(folder / "features", clips, sound, POOL, 2, LENT)
    return Store(folder / "features")


def test_what_is_stored_is_what_was_heard(store):
    assert store.views == 2
    assert len(store.clips) == 50
    clip = next(i for i, clip in enumerate(store.clips) if clip.emotion == "angry")
    heard = analyse(decode(store.clips[clip].path))
    assert store.frames(clip) == len(heard)
    assert np.allclose(store.table(clip), heard, atol=0.02)
    assert not np.allclose(store.table(clip, 1), heard, atol=0.5)


def test_clips_come_back_as_they_were(tmp_path):
    clip = Clip(Path("a.wav"), "s", "sad", "c", (1, 2, 3, 4, 5, 6), "F", "en", "own", "t", {"x": "y"})
    prepare(tmp_path, [clip], lambda _: voice(120, 1.0), POOL, 1, LENT)
    assert Store(tmp_path).clips == [clip]


def test_a_view_that_is_missing_is_made_and_the_same(store, tmp_path):
    clips = store.clips[:4]
    prepare(tmp_path, clips, sound, POOL, 2, LENT)
    second = tmp_path / "view01.npy"
    before = second.read_bytes()
    second.unlink()
    prepare(tmp_path, clips, sound, POOL, 2, LENT)
    assert second.read_bytes() == before
    prepare(tmp_path, clips, lambda _: pytest.fail("what is there is not made again"), POOL, 2, LENT)


def test_a_folder_of_other_clips_is_refused(store, tmp_path):
    prepare(tmp_path, store.clips[:2], sound, POOL, 1, LENT)
    with pytest.raises(ConfigError, match="other clips"):
        prepare(tmp_path, store.clips[1:3], sound, POOL, 1, LENT)


def test_a_folder_with_other_sounds_mixed_in_is_refused(store, tmp_path):
    prepare(tmp_path, store.clips[:2], sound, POOL, 1, LENT)
    assert Store(tmp_path).lent == LENT
    with pytest.raises(ConfigError, match="other noises, voices or rooms"):
        prepare(tmp_path, store.clips[:2], sound, POOL, 2, LENT | {"sha256": "others"})


@pytest.mark.parametrize("recipe", [RECIPE - 1, None])
def test_features_by_another_recipe_are_refused(store, tmp_path, recipe):
    prepare(tmp_path, store.clips[:2], sound, POOL, 1, LENT)
    index = tmp_path / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"recipe": recipe}))
    with pytest.raises(ConfigError, match=f"recipe {recipe}, and this version's is {RECIPE}"):
        Store(tmp_path)
    with pytest.raises(ConfigError, match="recipe"):
        prepare(tmp_path, store.clips[:2], sound, POOL, 2, LENT)


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(ConfigError, match="lab prepare"):
        Store(tmp_path)


def test_an_epoch_shows_every_clip_with_a_class_and_some_others(store):
    chosen = list(range(len(store.clips)))
    shown = epoch_clips(store.clips, chosen, seeded(1))
    named = {i for i in chosen if store.clips[i].emotion in CLASSES}
    assert named <= set(shown.tolist())
    assert sum(i not in named for i in shown) == len(named) // 3


def test_batches_are_windows_of_one_length_and_the_same_for_a_seed(store):
    goals = targets(store.clips)
    chosen = list(range(len(store.clips)))
    one, two = (list(epoch(store, goals, chosen, 8, seeded(4))) for _ in range(2))
    assert one
    for batch, again in zip(one, two, strict=True):
        assert np.array_equal(batch.shown, again.shown)
        assert batch.shown.shape[0] == 8
        assert SHORTEST <= batch.shown.shape[1] <= LONGEST
        assert batch.shown.shape[2] == CHANNELS
        assert np.isfinite(batch.shown).all()
        assert np.allclose(batch.targets.classes[batch.targets.class_weight > 0].sum(axis=1), 1, atol=1e-4)


def test_whole_clips_in_batches_of_one_length(store):
    chosen = [3, 7, 20, 41]
    seen = {i: shown for members, batch in whole(store, chosen) for i, shown in zip(members, batch, strict=True)}
    assert sorted(seen) == chosen
    first = store.table(3)[: len(seen[3])]
    assert np.allclose(seen[3], normalise(first), atol=1e-4)
    openings = dict(pair for m, b in whole(store, chosen, seconds=1.0) for pair in zip(m, b, strict=True))
    assert {len(each) for each in openings.values()} <= {75, 100}


def test_sides(store):
    sides = {clip.speaker: "test" if clip.speaker == "s3" else "train" for clip in store.clips}
    assert [store.clips[i].speaker for i in by_side(store.clips, sides, "test")] == ["s3"] * 3
    assert by_side(store.clips, sides, "test", without=["table"]) == []
    assert by_side(store.clips, sides, "test", without_sentences=[""]) == []
    assert len(take(targets(store.clips), [1, 2]).speech) == 2


def test_calibration_finds_how_much_too_sure_a_model_is(store):
    dev = list(range(len(store.clips)))
    random = np.random.default_rng(0)

    def ask(chosen, seconds, view):
        """Right in seven of ten, and sure of it; speech and noise apart."""
        out = np.zeros((len(chosen), len(CLASSES) + 3), np.float32)
        for row, i in enumerate(chosen):
            clip = store.clips[i]
            if clip.emotion in CLASSES:
                right = CLASSES.index(clip.emotion)
                out[row, right if random.random() < 0.7 else (right + 1) % 6] = 8
            out[row, -1] = (-4 if clip.emotion == NOT_SPEECH else 4) + random.normal()
        return out

    found = calibrate(store.clips, dev, ask, views=2)
    assert all(value > 1.5 for value in found["temperature"].values())
    assert found["development"]["2.0"]["ece"] < found["development"]["2.0"]["ece before"]
    assert found["speech"]["auroc"]["2.0"] > 0.99
    assert found["speech"]["mistaken"]["2.0"] <= 0.1  # one of ten
    assert found["speech"]["heard"]["2.0"] >= 0.97
    json.dumps(found)


def test_calibration_needs_people(store):
    noise = [i for i, clip in enumerate(store.clips) if clip.emotion == NOT_SPEECH]
    with pytest.raises(ConfigError, match="no development speaker"):
        calibrate(store.clips, noise, lambda *_: None, views=1)
