"""`undertone lab`: make an emotion model from labelled speech, and judge any."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worker.errors import ConfigError

if TYPE_CHECKING:
    from worker.audio import Samples
    from worker.lab.corpora import Clip

app = typer.Typer(help="Make an emotion model from labelled speech, and judge any.", no_args_is_help=True)

Work = Annotated[Path, typer.Argument(help="The folder that 'lab prepare' fills.")]
Corpora = Annotated[
    list[str], typer.Option(help="READER:PATH, such as folder:data/crema_d or csv:mine.csv; repeat it.")
]
Fold = Annotated[int, typer.Option(min=0, max=4, help="Which speakers are held out.")]


@app.command()
def prepare(
    work: Work,
    corpus: Corpora,
    rooms: Annotated[Path | None, typer.Option(help="A folder of room impulse responses, WAV, MIT-licensed.")] = None,
    views: Annotated[int, typer.Option(min=1, max=50, help="Variants of each clip; the first is the clip itself.")] = 5,
    jobs: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
) -> None:
    """Read corpora, deal their speakers into folds, and store features of every clip, clean and augmented.

    Clips that are unlabelled lend their voices for babble, and those that are not speech lend noise.
    """
    from worker.lab import corpora, lending, nonspeech, splits, store
    from worker.lab.sound import decode
    from worker.lab.targets import agreements

    clips = [clip for spec in corpus for clip in corpora.read(spec)]
    placed = splits.places([*clips, *nonspeech.clips()])
    lenders = lending.Lenders(clips, placed, lending.rooms(rooms) if rooms else lending.Rooms())
    pools = {side: lenders.pool(side) for side in splits.SIDES}
    clips += [clip for clip in nonspeech.clips() if pools[placed[clip.speaker].sides[0]].voices]

    def sound(clip: "Clip") -> "Samples":
        if clip.corpus != nonspeech.CORPUS:
            return decode(clip.path)
        return nonspeech.make(clip.path.name, pools[placed[clip.speaker].sides[0]])

    for name, alpha in agreements(clips).items():
        print(f"{name}: listeners agree with Krippendorff's alpha {alpha:.3f}.")
    speakers = {clip.speaker for clip in clips}
    digest = splits.write(work / "splits.csv", {name: placed[name] for name in speakers})
    print(f"{len(clips)} clips of {len(speakers)} speakers; splits.csv has SHA-256 {digest}.")
    with _bar("clips") as step:
        store.prepare(work / "features", clips, sound, pools["train"], views, lenders.facts(), jobs, step)


@app.command()
def train(
    work: Work,
    out: Annotated[Path, typer.Option(help="A folder for the checkpoint; a run that stopped there goes on.")],
    fold: Fold = 0,
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    batch: Annotated[int, typer.Option(min=2, help="Windows per step.")] = 64,
    rate: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 1e-3,
    votes: Annotated[float, typer.Option(min=0, max=1, help="Share of listeners' votes in the labels.")] = 0.3,
    width: Annotated[int, typer.Option(min=8, help="Channels of the network.")] = 160,
    seed: Annotated[int, typer.Option(help="Another number is another run.")] = 1,
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="Faster where the processor knows this format.")] = False,
    without: Annotated[list[str] | None, typer.Option(help="A corpus not to learn from; repeat it.")] = None,
    without_sentence: Annotated[
        list[str] | None, typer.Option(help="A sentence (the corpus' column text) not to learn from; repeat it.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    engine: Annotated[str, typer.Option(help="onnx, or egemaps, which heeds --fold and --without only.")] = "onnx",
) -> None:
    """Train an engine on a fold's training speakers."""
    from worker.lab import splits
    from worker.lab.store import Store

    if engine not in ("onnx", "egemaps"):
        raise ConfigError(f"--engine {engine!r} is not trained here: use onnx or egemaps.")
    if engine == "egemaps":
        _train_egemaps(work, out, fold, without or [])
        return
    trainer = _with_torch("worker.lab.train")
    options = trainer.Options(
        fold=fold,
        epochs=epochs,
        batch=batch,
        rate=rate,
        votes=votes,
        width=width,
        seed=seed,
        bfloat16=bfloat16,
        without=tuple(without or ()),
        without_sentences=tuple(without_sentence or ()),
    )
    sides, digest = splits.read(work / "splits.csv", fold), splits.digest(work / "splits.csv")
    with _bar("batches") as step:

        def say(figures: dict[str, float]) -> None:
            print("  ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)

        path = trainer.train(Store(work / "features"), sides, digest, out, options, device, say, step)
    print(f"The checkpoint is {path}.")


@app.command()
def calibrate(
    work: Work,
    run: Annotated[Path, typer.Option(help="The folder of 'lab train'.")],
    out: Annotated[Path, typer.Option(help="The model file to write; .npz for egemaps, else .onnx.")],
) -> None:
    """Fit temperatures on the development speakers, and export the model with them."""
    from worker.emotion import CLASSES
    from worker.emotion.features import RECIPE
    from worker.lab import splits
    from worker.lab.batches import by_side
    from worker.lab.calibrate import calibrate as fit
    from worker.lab.store import Store

    if (run / "model.npz").exists():
        _calibrate_egemaps(work, run / "model.npz", out)
        return
    trainer = _with_torch("worker.lab.train")
    exporter = _with_torch("worker.lab.export")
    network, state = trainer.load(run / "model.pt")
    _check_splits(work, state["splits"], run)
    store, options = Store(work / "features"), state["options"]
    sides = splits.read(work / "splits.csv", options["fold"])
    left_out = options["without"], options["without_sentences"]
    dev = by_side(store.clips, sides, "dev", *left_out)

    def ask(chosen: Any, seconds: float, view: int) -> Any:
        return trainer.outputs_of(network, store, chosen, view, seconds)

    fitted = fit(store.clips, dev, ask, store.views)
    learnt = [store.clips[i] for i in by_side(store.clips, sides, "train", *left_out)]
    corpora = {clip.corpus: clip.licence for clip in learnt} | store.lent["responses"]
    about = {
        "classes": CLASSES,
        "features": RECIPE,
        "corpora": corpora,
        "lent": store.lent,
        "fold": options["fold"],
        "splits": state["splits"],
    }
    worst = exporter.export(network, out, about | fitted | {"training": options})
    for length, figures in fitted["development"].items():
        print(f"{length} s: " + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    print(f"Wrote {out}, {out.stat().st_size / 1e6:.1f} MB; it differs from the network by at most {worst:.1e}.")


@app.command()
def evaluate(
    engine: Annotated[
        str,
        typer.Option(
            help="A model file (.onnx, .npz; with {fold} in its name, one for each), "
            "a configuration (.yaml), or an engine's name."
        ),
    ],
    corpus: Corpora,
    splits: Annotated[Path | None, typer.Option(help="A splits.csv: only speakers it does not train on count.")] = None,
    fold: Fold = 0,
    sentence: Annotated[
        list[str] | None, typer.Option(help="Judge by this sentence (the corpus' column text) alone; repeat it.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Whole clips only: no noise, no losses.")] = False,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
) -> None:
    """Judge an engine on labelled clips."""
    import json

    from worker.lab import corpora
    from worker.lab import splits as folds
    from worker.lab.evaluate import evaluate as judge_all
    from worker.lab.judge import FOLD, Held, judge
    from worker.lab.report import page

    clips = [clip for spec in corpus for clip in corpora.read(spec)]
    if sentence:
        clips = [clip for clip in clips if clip.text in sentence]
    held = None
    if splits is not None:
        held = Held(folds.held_out(splits), fold, folds.digest(splits))
        clips = held.left(clips, every_fold=FOLD in engine)
    if not clips:
        raise ConfigError("no clip is left to judge by: each was learned from, or the corpora have none such.")
    with _bar("clips") as step:
        found = judge_all(judge(engine, held), clips, not quick, step)
    if note := found["engine"].get("note"):
        print(note)
    for name, figures in found["corpora"].items():
        _show(name, figures)
    for name, figures in found["not speech"].items():
        _show(name, figures)
    if to_json is not None:
        _write(to_json, json.dumps(found, indent=1, allow_nan=False) + "\n")
    if html is not None:
        _write(html, page(found))


@app.command()
def card(
    engine: Annotated[Path, typer.Option(help="The model file.")],
    figures: Annotated[list[Path], typer.Option(help="JSON of 'lab evaluate'; repeat it.")],
    out: Annotated[Path, typer.Option(help="The Markdown file to write.")],
    note: Annotated[str, typer.Option(help="A sentence on how it was made.")] = "",
) -> None:
    """Write the card of a model from what it was judged to do."""
    import json

    from worker.lab.card import card as written
    from worker.lab.judge import judge
    from worker.lab.splits import digest

    try:
        judged = [json.loads(path.read_text(encoding="utf-8")) for path in figures]
        text = written(judge(str(engine)).about, digest(engine), judged, note)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--figures holds no results of 'undertone lab evaluate' ({error}).") from error
    _write(out, text)


def _train_egemaps(work: Path, out: Path, fold: int, without: list[str]) -> None:
    from worker.emotion.egemaps import LICENCE, save
    from worker.lab import egemaps, splits
    from worker.lab.store import Store

    print(f"{LICENCE}.")
    sides, store = splits.read(work / "splits.csv", fold), Store(work / "features")
    with _bar("clips") as step:
        table = egemaps.functionals(store, step)
    about = {"fold": fold, "splits": splits.digest(work / "splits.csv"), "without": without}

    def say(figures: dict[str, float]) -> None:
        print("  ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)

    with _bar("machines") as step:
        svm = egemaps.train(store.clips, table, sides, about, say, step)
    save(svm, out / egemaps.FILE)
    say(svm.about["development"] | {"temperature": svm.about["temperature"]})
    print(f"The model is {out / egemaps.FILE}, calibrated.")


def _calibrate_egemaps(work: Path, model: Path, out: Path) -> None:
    from worker.emotion.egemaps import load, save
    from worker.lab import egemaps, splits
    from worker.lab.store import Store

    svm, store = load(model), Store(work / "features")
    _check_splits(work, svm.about["splits"], model)
    sides = splits.read(work / "splits.csv", svm.about["fold"])
    save(egemaps.calibrate(svm, store.clips, egemaps.functionals(store), sides), out)
    print(f"Wrote {out}.")


def _check_splits(work: Path, digest: str, run: Path) -> None:
    from worker.lab import splits

    path = work / "splits.csv"
    if not path.is_file() or splits.digest(path) != digest:
        raise ConfigError(f"{run} was not trained with {path}: name the folder that it was trained from.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): name a file in a folder that exists."
        ) from None
    print(f"Wrote {path}.")


def _show(title: str, figures: dict[str, Any]) -> None:
    from rich.table import Table

    from worker.lab.metrics import FEW

    table = Table("figure", "value", title=title, title_justify="left", box=None)
    for key, value in figures.items():
        if isinstance(value, int | float):
            table.add_row(key, f"{value:.4g}")
        elif isinstance(value, dict) and not any(isinstance(each, dict) for each in value.values()):
            known = {name: each for name, each in value.items() if each is not None}
            table.add_row(key, "  ".join(f"{name} {each:.3g}" for name, each in known.items()))
        elif "interval" in key:
            few = " (few speakers)" if figures["speakers"] < FEW else ""
            table.add_row(key, " to ".join(f"{each:.3f}" for each in value) + few)
    Console(soft_wrap=True).print(table)


def _with_torch(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ConfigError("training needs PyTorch: pip install -c constraints.txt 'undertone[train]'.") from None


@contextmanager
def _bar(what: str) -> Iterator[Any]:
    bar = Progress(
        TextColumn(f"{{task.completed:.0f}} of {{task.total:.0f}} {what}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)
