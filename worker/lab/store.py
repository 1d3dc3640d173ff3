"""Features of whole corpora on disk, so that no sound is decoded or coded twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio import Samples
from worker.emotion.features import RECIPE, Table, analyse
from worker.errors import ConfigError
from worker.lab.augment import Pool, view
from worker.lab.corpora import Clip
from worker.lab.sound import seeded

Half = NDArray[np.float16]


class Store:
    """A folder: `index.json` with the features' recipe, who lent sounds, and every clip; and for each view one array of
    all their frames, `analyse` at half precision. View 0 is the clips as they are, others are `augment.view`."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError where nothing was prepared, or by a version that made other features."""
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder} holds no features: run 'undertone lab prepare' first.") from error
        _check_recipe(folder, index)
        self.folder = folder
        self.lent: Mapping[str, Any] = index["lent"]
        """`Lenders.facts` of what was mixed in."""
        self.clips = [_clip(each) for each in index["clips"]]
        self.starts: NDArray[np.int64] = np.concatenate(([0], np.cumsum(index["frames"])))
        self._views: list[Half] = [
            np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("view*.npy"))
        ]

    @property
    def views(self) -> int:
        return len(self._views)

    def frames(self, clip: int) -> int:
        return int(self.starts[clip + 1] - self.starts[clip])

    def table(self, clip: int, view: int = 0) -> Table:
        """The features of a clip, shape (frames, CHANNELS - 1)."""
        rows = self._views[view][self.starts[clip] : self.starts[clip + 1]]
        return np.asarray(rows, np.float32)


def prepare(
    folder: Path,
    clips: Sequence[Clip],
    sound: Callable[[Clip], Samples],
    pool: Pool,
    views: int,
    lent: Mapping[str, Any],
    jobs: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the index and the views that are not there yet; the same clips and pool give the same bytes.

    `lent` says what the pool is, see `Lenders.facts`. An interrupted view is made anew. Raises ConfigError when the
    folder holds other clips, or the same ones with other sounds mixed in or other features.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index, total = folder / "index.json", len(clips) * views
    listed = [_as_json(clip) for clip in clips]
    head = {"recipe": RECIPE, "lent": dict(lent)}
    if index.exists():
        _check_same(folder, json.loads(index.read_text(encoding="utf-8")), head | {"clips": listed})
    for number in range(views):
        path = folder / f"view{number:02}.npy"
        if path.exists():
            progress((number + 1) * len(clips), total)
            continue
        tables = []
        with ThreadPoolExecutor(jobs) as threads:
            for table in threads.map(lambda clip, n=number: _table(clip, n, sound, pool), clips):
                tables.append(table)
                progress(number * len(clips) + len(tables), total)
        if number == 0:
            index.write_text(json.dumps(head | {"clips": listed, "frames": [len(t) for t in tables]}), encoding="utf-8")
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, np.concatenate(tables), allow_pickle=False)
        part.replace(path)


def _check_recipe(folder: Path, index: Mapping[str, Any]) -> None:
    if index.get("recipe") != RECIPE:
        raise ConfigError(
            f"{folder} holds features by recipe {index.get('recipe', 'unknown')}, and this version's is {RECIPE}: "
            "choose another folder, or delete it, and run 'undertone lab prepare'."
        )


def _check_same(folder: Path, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    _check_recipe(folder, held)
    for key, what in (("clips", "from other clips"), ("lent", "with other noises, voices or rooms")):
        if held.get(key) != wanted[key]:
            raise ConfigError(f"{folder} was prepared {what}: choose another folder, or delete it.")


def _table(clip: Clip, number: int, sound: Callable[[Clip], Samples], pool: Pool) -> Half:
    heard = sound(clip)
    if number:
        heard = view(heard, pool, seeded(clip.key, number))
    return analyse(heard).astype(np.float16)


def _as_json(clip: Clip) -> dict[str, Any]:
    """As JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(clip) | {"path": str(clip.path)}))
    return plain


def _clip(plain: dict[str, Any]) -> Clip:
    votes = plain["votes"]
    return Clip(**{**plain, "path": Path(plain["path"]), "votes": votes and tuple(votes)})
