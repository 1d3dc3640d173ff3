import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import Field

from worker.errors import ConfigError
from worker.registry import build, load, options


class Tea:
    """A class as configuration names it."""

    def __init__(self, room: str, minutes: float = 3.0, leaves: int = 2, kettle: str | None = None) -> None:
        self.room, self.minutes, self.leaves, self.kettle = room, minutes, leaves, kettle


class Water:
    pass


class Cup:
    def __init__(self, size: Annotated[int, Field(ge=1)]) -> None:
        self.size = size


TABLE = {"tea": f"{__name__}:Tea", "water": f"{__name__}:Water", "cup": f"{__name__}:Cup", "lost": "no_such.module:It"}


def test_a_section_becomes_an_object():
    tea = build(TABLE, {"kind": "tea", "minutes": "4.5"}, "drinks.0", room="quiet", server=object())
    assert (tea.room, tea.minutes, tea.leaves, tea.kettle) == ("quiet", 4.5, 2, None)


def test_a_class_without_options():
    assert isinstance(build(TABLE, {"kind": "water"}, "drinks"), Water)


def test_a_kind_of_ones_own():
    assert build({}, {"kind": f"{__name__}:Cup", "size": 2}, "drinks").size == 2


def test_what_the_worker_gives_cannot_be_configured():
    with pytest.raises(ConfigError, match=r"drinks\.room is not a known setting"):
        build(TABLE, {"kind": "tea", "room": "mine"}, "drinks", room="quiet")
    assert list(options(Tea, frozenset({"room"})).model_fields) == ["minutes", "leaves", "kettle"]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({}, r"drinks\.kind is missing: use one of cup, lost, tea, water\."),
        ({"kind": 3}, r"drinks\.kind is missing"),
        ({"kind": "coffee"}, r"drinks: kind 'coffee' is unknown: use one of cup, lost, tea, water"),
        ({"kind": "lost"}, r"kind 'lost' could not be loaded: No module named 'no_such'"),
        ({"kind": f"{__name__}:Cake"}, r"could not be loaded: .*Cake"),
        ({"kind": ":Tea"}, r"kind ':Tea' could not be loaded"),
        ({"kind": ".own:Tea"}, r"kind '\.own:Tea' could not be loaded"),
        ({"kind": "tea", "minuets": 3}, r"drinks\.minuets is not a known setting; did you mean 'minutes'\?"),
        ({"kind": "tea", "zzz": 3}, r"drinks\.zzz is not a known setting; known here: minutes, leaves, kettle\."),
        ({"kind": "water", "zzz": 3}, r"known here: nothing\."),
        ({"kind": "tea", "leaves": "many"}, r"drinks\.leaves: Input should be a valid integer"),
        ({"kind": "cup", "size": 0}, r"drinks\.size: Input should be greater than or equal to 1"),
        ({"kind": "tea", "minutes": float("inf")}, r"drinks\.minutes: Input should be a finite number"),
        ({"kind": "cup"}, r"drinks\.size is missing; it has no default\."),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_key(section, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(TABLE, section, "drinks", room="quiet")


def test_only_what_is_asked_for_is_imported():
    code = (
        "import sys; from worker.registry import load; from worker.emotion import ENGINES; load(ENGINES, 'prosody'); "
        "print(sorted({'onnxruntime', 'av', 'aiortc', 'redis', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_entry_of_every_table_exists():
    from worker.conversation import OBSERVERS
    from worker.emotion import ENGINES
    from worker.rooms import ROOMS
    from worker.sinks import SINKS
    from worker.vad import VADS

    for table in (ROOMS, VADS, ENGINES, OBSERVERS, SINKS):
        for kind in table:
            assert callable(load(table, kind))
