"""From recordings to a model file, by the commands."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.made import corpus
from tests.support import require_module
from worker.emotion.features import RECIPE
from worker.errors import ConfigError, UndertoneError
from worker.lab.cli import app
from worker.lab.splits import digest


@pytest.fixture(scope="module", autouse=True)
def torch():
    require_module("torch")
    require_module("onnx")


def lab(*arguments):
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def work(tmp_path_factory, torch):
    folder = tmp_path_factory.mktemp("work")
    table = corpus(folder / "wav", speakers=20)
    monkey = pytest.MonkeyPatch()
    monkey.setattr("worker.lab.nonspeech.KINDS", {"babble": 4, "noise": 4})
    lab("prepare", folder, "--corpus", f"csv:{table}", "--views", 2)
    monkey.undo()
    return folder


@pytest.fixture(scope="module")
def run(work):
    lab("train", work, "--out", work / "run", "--epochs", 6, "--batch", 8, "--width", 16, "--rate", 0.003)
    return work / "run"


def state(run):
    from worker.lab.train import load

    return load(run / "model.pt")


def test_it_learns(run):
    log = state(run)[1]["log"]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert log[-1]["loss"] < log[0]["loss"]
    assert "table UAR" in log[-1]


def test_a_run_that_was_cut_off_goes_on_where_it_was(work, run):
    import torch

    cut = work / "cut"
    for epochs in (3, 6):
        lab("train", work, "--out", cut, "--epochs", epochs, "--batch", 8, "--width", 16, "--rate", 0.003)
    assert [line["epoch"] for line in state(cut)[1]["log"]] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ConfigError, match="other options"):
        lab("train", work, "--out", cut, "--epochs", 6, "--batch", 8, "--width", 24)
    assert torch.load(cut / "model.pt", weights_only=True)["epoch"] == 6


def test_the_model_file_says_what_the_network_says_and_all_about_itself(work, run):
    from worker.lab.export import difference
    from worker.lab.judge import judge

    path = work / "model.onnx"
    lab("calibrate", work, "--run", run, "--out", path)
    assert difference(state(run)[0], path) < 1e-3
    about = judge(str(path)).about
    assert about["corpora"] == {"made": "synthetic", "table": ""}
    assert set(about["temperature"]) == {"1.0", "1.5", "2.0", "3.0"}
    assert (about["splits"], about["fold"]) == (digest(work / "splits.csv"), 0)
    assert about["lent"]["train"]["voices"] > 0


def test_a_checkpoint_knows_the_split_that_it_learned_by(work, run, tmp_path):
    assert state(run)[1]["splits"] == digest(work / "splits.csv")
    other = tmp_path / "other"
    shutil.copytree(work / "features", other / "features")
    lines = (work / "splits.csv").read_text().splitlines()
    (other / "splits.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    with pytest.raises(ConfigError, match="was not trained with"):
        lab("calibrate", other, "--run", run, "--out", other / "model.onnx")
    shutil.copytree(run, other / "run")
    with pytest.raises(ConfigError, match="other speakers"):
        lab("train", other, "--out", other / "run", "--epochs", 7, "--batch", 8, "--width", 16, "--rate", 0.003)


def test_a_checkpoint_of_other_features_is_refused(run, tmp_path):
    import torch

    held = torch.load(run / "model.pt", weights_only=True)
    torch.save(held | {"features": RECIPE - 1}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="features of another version"):
        state(tmp_path)


def test_sentences_that_are_left_out_are_judged_alone(work, tmp_path):
    """A corpus in which each speaker says three sentences, of which one is kept for judging."""
    lines = (work / "wav" / "table.csv").read_text().splitlines()
    told = [f"{line},{'text' if not n else ('ieo', 'tie', 'dfa')[n % 3]}" for n, line in enumerate(lines)]
    (work / "wav" / "told.csv").write_text("\n".join(told) + "\n")
    lab("prepare", tmp_path, "--corpus", f"csv:{work}/wav/told.csv", "--views", 1)
    small = ("--epochs", 1, "--batch", 8, "--width", 8)
    lab("train", tmp_path, "--out", tmp_path / "run", *small, "--without-sentence", "ieo")
    options = state(tmp_path / "run")[1]["options"]
    assert options["without_sentences"] == ["ieo"]
    with pytest.raises(ConfigError, match="no clip with an emotion is left"):
        lab(
            "train",
            tmp_path,
            "--out",
            tmp_path / "no",
            *small,
            *(f"--without-sentence={s}" for s in ("ieo", "tie", "dfa")),
        )
    lab("calibrate", tmp_path, "--run", tmp_path / "run", "--out", tmp_path / "m.onnx")
    arguments = ("--corpus", f"csv:{work}/wav/told.csv", "--splits", tmp_path / "splits.csv", "--quick")
    lab("evaluate", "--engine", tmp_path / "m.onnx", *arguments, "--sentence", "ieo", "--json", tmp_path / "f.json")
    assert json.loads((tmp_path / "f.json").read_text())["corpora"]["told"]["clips"] == 4


def test_a_batch_says_what_single_windows_say(run):
    import torch

    network, _ = state(run)
    shown = torch.from_numpy(np.random.default_rng(0).normal(-4, 3, (5, 150, 67)).astype(np.float32))
    with torch.inference_mode():
        together, alone = network(shown), torch.cat([network(one[None]) for one in shown])
    assert torch.allclose(together, alone, atol=1e-5)


def test_evaluation_counts_only_speakers_that_were_held_out(work, run):
    lab("calibrate", work, "--run", run, "--out", work / "model.onnx")
    arguments = ("--corpus", f"csv:{work}/wav/table.csv", "--splits", work / "splits.csv", "--quick")
    lab("evaluate", "--engine", work / "model.onnx", *arguments, "--json", work / "figures.json")
    figures = json.loads((work / "figures.json").read_text())
    assert figures["corpora"]["table"]["speakers"] == 4
    assert figures["not speech"]["table"]["windows"] > 0
    lab("card", "--engine", work / "model.onnx", "--figures", work / "figures.json", "--out", work / "card.md")
    card = (work / "card.md").read_text()
    assert "; few speakers)" in card
    assert "| ECE of four |" in card
    assert "right when shown (by chance)" in card
    assert "voice activity detection lets" in card
    with pytest.raises(ConfigError, match="it is judged with --fold 0"):
        lab("evaluate", "--engine", work / "model.onnx", *arguments, "--fold", 1)
    assert f"| table | 12 | 4 | 3 | {figures['corpora']['table']['uar']:.3f} (" in card
    assert "Not meant for" in card


def test_a_model_that_differs_is_not_written(work, run, monkeypatch):
    from worker.lab import export

    monkeypatch.setattr(export, "difference", lambda network, path: 0.5)
    with pytest.raises(UndertoneError, match="differs"):
        lab("calibrate", work, "--run", run, "--out", work / "other.onnx")
    assert not list(work.glob("other*"))


def test_a_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"junk")
    with pytest.raises(ConfigError, match=r"model\.pt is no checkpoint"):
        state(tmp_path)
