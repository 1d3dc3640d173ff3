"""Which part of the worker may import which: the flow holds only while stages do not know each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path("worker")
STAGES = {"rooms", "audio", "vad", "emotion", "conversation", "coaching", "sinks", "privacy"}
COMMON = {"audio", "events", "figures", "envelope", "prompts", "errors", "ring", "batch", "lines"}
OUTSIDE = {
    "secrets": {"errors"},
    "registry": {"errors"},
    "events": {"figures"},
    "figures": set(),
    "errors": set(),
    "envelope": {"events", "prompts"},
    "prompts": {"events"},
    "ring": set(),
    "batch": set(),
    "lines": set(),
    "packaged": {"errors"},
    "report": {"envelope", "errors", "events", "figures", "packaged", "secrets"},
    "schema": {"events", "figures", "prompts", "sinks"},
    "data": {
        "config",
        "envelope",
        "errors",
        "events",
        "lines",
        "ops",
        "privacy",
        "prompts",
        "report",
        "secrets",
        "sinks",
    },
    "ops": {"errors", "events", "lines", "packaged", "privacy", "prompts", "registry", "report", "secrets"},
}
"""What these may import; names that stand neither here nor in STAGES join stages."""
JOINS = {
    "asking",
    "assembly",
    "attest",
    "attest_cli",
    "session",
    "speaker",
    "manager",
    "mine",
    "supervisor",
    "config",
    "cli",
    "policy_cli",
    "tokens_cli",
    "data_cli",
    "bench",
    "rehearsal",
    "__main__",
    "lab",
}
SECRETS = {"rooms", "sinks", "privacy"}
"""Stages that read secrets of the operator."""
DOORS = {"rooms": {"privacy"}}
"""Rooms hold the first of privacy's doors: they say who agreed to what, and ask before they decode."""
HEAVY = ("torch", "onnxruntime", "aiortc", "av", "redis", "aiohttp", "numpy")
ONLY_IN = {
    "onnxruntime": {"vad/silero.py", "emotion/model.py"},
    "torch": set(),
    "sklearn": set(),
    "opensmile": {"emotion/egemaps.py"},
    "av": {"audio/files.py", "audio/opus.py", "rooms/guests.py", "rooms/webrtc/stock.py"},
    "aiortc": None,
    "redis": {"sinks/redis.py", "report/sources.py", "ops/doctor.py", "ops/streams.py", "data/streams.py"},
}


def modules():
    return sorted(path for path in ROOT.rglob("*.py"))


def part(path):
    inside = path.relative_to(ROOT)
    return inside.parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, at its top or within a function, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_used(path):
    for name in imports(path):
        steps = name.split(".")
        if steps[0] == "worker" and len(steps) > 1 and steps[1] != "__version__":
            yield steps[1]


def allowed(name):
    if name in STAGES:
        return {name} | COMMON | ({"secrets"} if name in SECRETS else set()) | DOORS.get(name, set())
    return OUTSIDE[name] | {name}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_part_imports_only_what_it_may(path):
    name = part(path)
    if name in JOINS or path == ROOT / "__init__.py":
        return
    assert name in STAGES | set(OUTSIDE), f"say in this test what {name} may import"
    assert set(parts_used(path)) <= allowed(name)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_but_the_laboratory_imports_it(path):
    if part(path) not in ("lab", "bench", "cli"):
        assert not {"lab", "bench", "cli"} & set(parts_used(path)) or path == ROOT / "__main__.py"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_heavy_import_stands_in_its_own_file(path):
    if part(path) in ("lab", "bench"):
        return
    inside = path.relative_to(ROOT).as_posix()
    for name in {full.split(".")[0] for full in imports(path)} & set(ONLY_IN):
        places = ONLY_IN[name]
        assert inside.startswith("rooms/") if places is None else inside in places


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_time_is_data_outside_rooms_and_ops(path):
    if part(path) not in ("rooms", "ops", "bench", "lab"):
        assert not {"time.monotonic", "time.time", "time"} & set(imports(path))


@pytest.mark.parametrize("module", ["worker.cli", "worker.config", "worker.rooms", "worker.sinks", "worker.emotion"])
def test_naming_implementations_loads_none(module):
    heavy = HEAVY if module == "worker.cli" else [name for name in HEAVY if name != "numpy"]
    code = f"import sys, {module}; print([name for name in {list(heavy)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
