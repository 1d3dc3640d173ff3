"""Reads files of rules, and says in one sentence what is wrong with one, and on which line."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from worker.coaching.rules import Fault, Rule, rule
from worker.errors import ConfigError

LONGEST = 100_000
"""Characters of a file."""
MOST = 100
"""Rules in one file."""


def packs() -> dict[str, Path]:
    """The rule files that come with the worker, by name."""
    package = Path(__file__).parents[1]
    folder = package / "configs" / "rules"
    folder = folder if folder.is_dir() else package.parent / "configs" / "rules"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load(sources: Sequence[str]) -> list[Rule]:
    """The rules of packs and files, in their order. Raises ConfigError with one sentence that names file and line."""
    rules: dict[str, Rule] = {}
    for source in sources:
        path = _path(source)
        for one, line in _read(path):
            if one.name in rules:
                raise ConfigError(f"{path}, line {line}: there are two rules of the name {one.name}: rename one.")
            rules[one.name] = one
    return list(rules.values())


def _path(source: str) -> Path:
    if "/" in source or source.endswith((".yaml", ".yml")):
        return Path(source)
    known = packs()
    if source not in known:
        near = get_close_matches(source, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, or name a .yaml file."
        raise ConfigError(f"there is no pack of rules {source!r}; {hint}")
    return known[source]


def _read(path: Path) -> list[tuple[Rule, int]]:
    """The rules of a file, each with its line."""
    text = _text(path)
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return [_rule(loader, node, path, text.splitlines()) for node in _items(root, path)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = "look at indents, and put quotes around a text with ': ' in it"
        raise ConfigError(f"{path}, line {line}: this is not YAML: {hint}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{path} is not YAML: write a list of rules, as docs/coaching.md shows.") from None
    finally:
        loader.dispose()


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a file of rules that exists.") from None
    except ValueError:
        raise ConfigError(f"{path} is not text: save it as UTF-8.") from None
    if len(text) > LONGEST:
        raise ConfigError(f"{path} has {len(text)} characters: {LONGEST} are the most.")
    return text


def _items(root: Any, path: Path) -> list[Any]:
    if not isinstance(root, yaml.SequenceNode) or not all(isinstance(node, yaml.MappingNode) for node in root.value):
        raise ConfigError(f"{path} must be a list of rules, each beginning with '- name: …'.")
    if not 0 < len(root.value) <= MOST:
        raise ConfigError(f"{path} has {len(root.value)} rules: write from 1 to {MOST}.")
    return list(root.value)


def _rule(loader: Any, node: Any, path: Path, lines: Sequence[str]) -> tuple[Rule, int]:
    """One rule; its keys are taken as they are written, because to YAML a bare `on` means true."""
    start = int(node.start_mark.line) + 1
    values: dict[str, Any] = {}
    place: dict[str, tuple[int, int]] = {}
    for key, value in node.value:
        name, first = str(key.value), int(key.start_mark.line) + 1
        if name in values:
            raise ConfigError(f"{path}, line {first}: {name} stands twice in this rule: delete one.")
        values[name] = loader.construct_object(value, deep=True)
        place[name] = first, int(value.end_mark.line) + 1
    try:
        return rule(values), start
    except Fault as fault:
        line = _line(fault, *place.get(fault.key, (start, start)), lines)
        sentence = f"{fault.key}: {fault}" if fault.key else str(fault)
        raise ConfigError(f"{path}, line {line}: {sentence}{'' if sentence.endswith('?') else '.'}") from None


def _line(fault: Fault, first: int, last: int, lines: Sequence[str]) -> int:
    """Where the wrong name stands; a condition may have several lines."""
    within = range(first, min(last, len(lines)) + 1)
    return next((number for number in within if fault.name and fault.name in lines[number - 1]), first)
