"""Trains the network; what was interrupted goes on where it was."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from worker.emotion import CLASSES
from worker.emotion.features import RECIPE
from worker.errors import ConfigError
from worker.lab import metrics
from worker.lab.batches import Batch, by_side, epoch, whole
from worker.lab.network import Network
from worker.lab.sound import seeded
from worker.lab.store import Store
from worker.lab.targets import Targets, targets

EASY = 0.35
"""Share of the epochs over which the task grows to its full difficulty (Bengio et al. 2009): set to it at once, the
network stays for long with what is easiest, whether a voice is excited."""


@dataclass(frozen=True, slots=True)
class Options:
    """All that decides what a run learns, beside its features and its split."""

    fold: int = 0
    epochs: int = 40
    batch: int = 64
    rate: float = 1e-3
    decay: float = 0.02
    votes: float = 0.3
    width: int = 160
    dropout: float = 0.4
    average: float = 0.998
    """The weights that are kept are a running mean with this memory per step."""
    seed: int = 1
    bfloat16: bool = False
    """Whether the network runs in this format, a third faster on processors that have it."""
    without: tuple[str, ...] = ()
    """Corpora to leave out."""
    without_sentences: tuple[str, ...] = ()
    """Sentences to leave out, as `Clip.text` names them."""


Say = Callable[[dict[str, float]], None]


def train(
    store: Store,
    sides: Mapping[str, str],
    splits: str,
    out: Path,
    options: Options,
    device: str = "cpu",
    say: Say = lambda figures: None,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train on the speakers of the side `train`; returns the checkpoint `out/model.pt`.

    `splits` is the digest of the file that `sides` are of, which the checkpoint keeps. `say` is given each epoch's
    figures, `step` batches done and expected. ConfigError when `out` holds another run.
    """
    torch.manual_seed(options.seed)
    chosen = by_side(store.clips, sides, "train", options.without, options.without_sentences)
    dev = [i for i in by_side(store.clips, sides, "dev") if store.clips[i].emotion in CLASSES]
    if not any(store.clips[i].emotion in CLASSES for i in chosen):
        raise ConfigError("no clip with an emotion is left to learn from: prepare a labelled corpus.")
    goals = targets(store.clips, options.votes)
    run = _Run(out / "model.pt", options, splits, device, math.ceil(len(chosen) / options.batch))
    while run.epoch < options.epochs:
        random = seeded("epoch", options.seed, run.epoch)
        torch.manual_seed(options.seed * 1000 + run.epoch)
        total, count = 0.0, 0
        strength = min(1.0, run.epoch / (EASY * options.epochs))
        for batch in epoch(store, goals, chosen, options.batch, random, strength):
            total, count = total + run.learn(batch), count + 1
            step(count, run.steps)
        run.epoch, run.steps = run.epoch + 1, count
        figures = {"epoch": run.epoch, "loss": total / count} | _look(run.kept, store, dev, goals, device)
        run.log.append(figures)
        run.save()
        say(figures)
    return run.path


class _Run:
    """The network, its running mean, the optimiser and how far they are."""

    def __init__(self, path: Path, options: Options, splits: str, device: str, steps: int) -> None:
        self.path, self.options, self.splits, self.device, self.steps = path, options, splits, device, steps
        self.network = Network(options.width, options.dropout).to(device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), options.rate, weight_decay=options.decay)
        self.average = AveragedModel(self.network, multi_avg_fn=self._blend, use_buffers=True)
        self.epoch = self.count = 0
        self.log: list[dict[str, float]] = []
        if path.exists():
            self._resume(torch.load(path, map_location=device, weights_only=True))

    @property
    def kept(self) -> torch.nn.Module:
        kept: torch.nn.Module = self.average.module
        return kept

    def learn(self, batch: Batch) -> float:
        """One step; returns its loss."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.rate * self._share()
        shown = torch.from_numpy(batch.shown).to(self.device)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, self.options.bfloat16):
            outputs = self.network(shown)
        loss = loss_of(outputs.float(), batch.targets)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.count += 1
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _blend(self, kept: Sequence[Tensor], now: Sequence[Tensor], steps: int | Tensor) -> None:
        """The running mean, which forgets its beginning sooner than its memory would."""
        share = 1 - min(self.options.average, (1 + int(steps)) / (10 + int(steps)))
        for mean, value in zip(kept, now, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    def _share(self) -> float:
        """Of the learning rate: up over the first 300 steps, down along a cosine to the end."""
        done = min(1.0, self.count / max(1, self.steps * self.options.epochs))
        return min(1.0, (self.count + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-3

    def save(self) -> None:
        """Replaces the checkpoint at once, so that it is never half there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        state = {
            "options": _plain(self.options),
            "splits": self.splits,
            "features": RECIPE,
            "epoch": self.epoch,
            "count": self.count,
            "steps": self.steps,
            "log": self.log,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.path)

    def _resume(self, state: dict[str, Any]) -> None:
        if state["options"] | {"epochs": 0} != _plain(self.options) | {"epochs": 0}:
            raise ConfigError(f"{self.path} is of a run with other options: choose another folder, or delete it.")
        if (state.get("splits"), state.get("features")) != (self.splits, RECIPE):
            raise ConfigError(f"{self.path} is of a run on other speakers or features: choose another folder.")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.count, self.steps, self.log = state["epoch"], state["count"], state["steps"], state["log"]


def load(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network of a checkpoint with its averaged weights, and the run's `options`, `splits` (the digest of its split
    file), `log` and `epoch`; nothing is unpickled.

    Raises ConfigError when there is none, it is not one of ours, or this version makes other features.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        options = state["options"]
        network = Network(options["width"], options["dropout"])
        weights = {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
        network.load_state_dict(weights)
        known = {key: state[key] for key in ("options", "splits", "log", "epoch")}
        recipe = state["features"]
    except Exception as error:
        raise ConfigError(f"{path} is no checkpoint of 'undertone lab train' ({type(error).__name__}).") from error
    if recipe != RECIPE:
        raise ConfigError(f"{path} learned from features of another version: prepare and train again.")
    return network.eval(), known


def loss_of(outputs: Tensor, goals: Targets) -> Tensor:
    """Cross-entropy with soft classes, plus squared errors of the affect and the speech logit's cross-entropy."""
    to = {name: torch.from_numpy(getattr(goals, name)).to(outputs.device) for name in Targets.__slots__}
    count = len(CLASSES)
    entropy = -(to["classes"] * functional.log_softmax(outputs[:, :count], dim=1)).sum(dim=1)
    classes = (entropy * to["class_weight"]).sum() / to["class_weight"].sum().clamp(min=1)
    error = ((outputs[:, count : count + 2] - to["affect"]) ** 2).mean(dim=1)
    affect = (error * to["affect_weight"]).sum() / to["affect_weight"].sum().clamp(min=1)
    speech = functional.binary_cross_entropy_with_logits(outputs[:, -1], to["speech"])
    return classes + 0.5 * affect + speech


def outputs_of(
    network: torch.nn.Module,
    store: Store,
    chosen: Sequence[int],
    view: int = 0,
    seconds: float | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """What the network says of clips, or of the first seconds of speech in them: shape (len(chosen), OUTPUTS)."""
    network.eval()
    said: dict[int, NDArray[np.float32]] = {}
    for members, shown in whole(store, chosen, view, seconds):
        with torch.inference_mode():
            out = network(torch.from_numpy(shown).to(device)).cpu().numpy()
        said |= dict(zip(members, out, strict=True))
    return np.stack([said[i] for i in chosen])


def _look(network: torch.nn.Module, store: Store, dev: list[int], goals: Targets, device: str) -> dict[str, float]:
    """UAR on the development speakers, of each corpus."""
    if not dev:
        return {}
    said = outputs_of(network, store, dev, device=device)[:, : len(CLASSES)]
    found = {}
    for corpus in sorted({store.clips[i].corpus for i in dev}):
        mine = [n for n, i in enumerate(dev) if store.clips[i].corpus == corpus]
        truth = goals.intended[[dev[n] for n in mine]]
        found[f"{corpus} UAR"] = metrics.uar(truth, said[mine].argmax(axis=1))
    return found


def _plain(options: Options) -> dict[str, Any]:
    """As JSON has it, too."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}
