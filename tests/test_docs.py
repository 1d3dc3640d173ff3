"""The documentation says what the code does: every key, event, verb and example."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from worker.bench import BENCHES
from worker.cli import app
from worker.config import FIXED, TABLES, Logs, Settings, option_model, read, settle
from worker.events import EVENTS, PREFIX
from worker.ops.metrics import COUNTERS, GAUGES
from worker.sinks.snapshot import TYPE as SNAPSHOT

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), Path("CHANGELOG.md"), *sorted(Path("docs").glob("*.md"))]
CONFIGURATION = Path("docs/configuration.md").read_text()
EVENTS_PAGE = Path("docs/events.md").read_text()
COMMANDS = Path("docs/commands.md").read_text()
CONTRIBUTING = Path("CONTRIBUTING.md").read_text()

SECTIONS = {f"{section}: {kind}": option_model(section, kind) for section, kinds in TABLES.items() for kind in kinds}
SECTIONS |= {section: option_model(section) for section in FIXED} | {"logs": Logs}


def rows(text):
    """The tables of a text: first cell without its backticks, to the other cells."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {first.strip("`"): rest for first, *rest in cells}


def under(heading, text):
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(heading)}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {heading!r}"
    return found.group(1)


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_stands_with_its_default(heading):
    documented = rows(under(heading, CONFIGURATION))
    fields = SECTIONS[heading].model_fields
    assert list(documented) == list(fields)
    for name, field in fields.items():
        default = "–" if field.is_required() else f"`{json.dumps(field.default)}`"
        assert documented[name][0] == default, name


def test_every_counter_stands_with_its_label():
    documented = rows(under("Counters", CONFIGURATION))
    assert {name: label.strip("`") for name, (label, _) in documented.items()} == {
        f"{name}_total": label for name, (_, label) in COUNTERS.items()
    }


def test_every_gauge_stands_with_its_label():
    documented = rows(under("Gauges", CONFIGURATION))
    assert {name: label.strip("`") for name, (label, _) in documented.items()} == {
        name: label for name, (_, label) in GAUGES.items()
    }


def test_every_section_stands_in_the_order_of_the_flow():
    headings = re.findall(r"^## (\w+)$", CONFIGURATION, re.MULTILINE)
    assert [heading for heading in headings if heading in Settings.model_fields] == list(Settings.model_fields)
    assert f"`{Settings.model_fields['drain_s'].default}`" in under("drain_s", CONFIGURATION)


def test_every_event_stands_with_its_fields():
    documented = rows(under("Types", EVENTS_PAGE))
    assert set(documented) == {event.type for event in EVENTS}
    for event in EVENTS:
        fields = [field.name for field in dataclasses.fields(event) if field.name != "at"]
        assert re.findall(r"`(\w+)`", documented[event.type][1]) == fields, event.type
    assert PREFIX in under("Types", EVENTS_PAGE)
    assert SNAPSHOT in EVENTS_PAGE


def verbs(group=None, before="undertone"):
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, f"{before} {name}")
        else:
            yield f"{before} {name}", command


@pytest.mark.parametrize(("verb", "command"), list(verbs()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_verb_stands_with_its_options(verb, command):
    text = under(verb, COMMANDS)
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert options - {"--help"} == set(re.findall(r"^- `(--[\w-]+)`", text, re.MULTILINE))


def test_no_verb_stands_that_is_not_there():
    assert set(re.findall(r"^## (.*)$", COMMANDS, re.MULTILINE)) == {verb for verb, _ in verbs()}
    assert set(re.findall(r"`(\w+)` \(", under("undertone bench", COMMANDS))) == set(BENCHES)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            path = page.parent / target
            assert path.exists(), target


@pytest.mark.parametrize("page", [Path("README.md"), Path("docs/architecture.md")], ids=str)
def test_every_folder_in_the_map_is_there(page):
    text = under("The folders" if page.name == "README.md" else "Folders", page.read_text())
    parent = ""
    for indent, name in re.findall(r"^ {4}( *)([\w./]+)", text, re.MULTILINE):
        path = Path(parent if indent else "", name)
        assert path.exists(), path
        parent = parent if indent else name


def examples():
    return re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)


@pytest.fixture
def example_package(tmp_path, monkeypatch):
    for number, text in enumerate(examples()):
        (tmp_path / f"contributed{number}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


async def test_the_examples_run_together(example_package, capsys):
    from worker.supervisor import replay

    settings = settle(
        {
            "room": {"kind": "contributed2:QuietRoom", "seconds": 3},
            "vad": {"kind": "silero"},
            "emotion": {"kind": "contributed1:Loudness", "loud_db": -5},
            "conversation": [{"kind": "talk_time"}],
            "sinks": [{"kind": "contributed0:PrintSink", "prefix": "> "}],
        }
    )
    await replay(settings)
    lines = capsys.readouterr().out.splitlines()
    types = [json.loads(line.removeprefix("> "))["type"].removeprefix(PREFIX) for line in lines]
    assert types[:2] == ["room.opened.v1", "speaker.joined.v1"]
    assert types.count("talk_time.v1") == 3 + 1
    assert types[-2:] == ["talk_time.v1", "room.closed.v1"]


def test_the_example_engine_answers(example_package):
    import contributed1
    import numpy as np

    [(quiet, _), (loud, _)] = contributed1.Loudness().predict(
        [(np.full(16_000, 0.001, np.float32), None), (np.full(16_000, 0.9, np.float32), None)]
    )
    assert (quiet.arousal, loud.arousal) == (-1.0, 1.0)


def test_what_is_deployed_uses_what_exists():
    compose = yaml.safe_load(Path("deploy/compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"worker", "redis", "janus", "coturn"}
    assert Path("deploy", services["worker"]["build"]["context"], "deploy/Dockerfile").exists()
    for folder, file in ((".", "deploy/Dockerfile"), ("deploy/janus", "Dockerfile"), ("deploy/coturn", "Dockerfile")):
        for line in Path(folder, file).read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                assert all(list(Path(folder).glob(name)) for name in line.split()[1:-1]), line
    production = Path("configs/production.yaml").read_text()
    named = set(re.findall(r"env:(\w+)", production)) - {"NAME"}
    assert named <= set(services["worker"]["environment"])


def test_what_is_deployed_is_a_valid_configuration():
    worker = yaml.safe_load(Path("deploy/compose.yaml").read_text())["services"]["worker"]
    environment = {
        name: re.sub(r"\$\{\w+(?::-(.*?)|:\?.*)\}", r"\1", text) for name, text in worker["environment"].items()
    }
    settings = read(Path("configs", Path(worker["command"][-1]).name), environment=environment)
    assert settings.room["kind"] == "janus"
    assert settings.server["host"] == "0.0.0.0"


def test_every_dependency_is_pinned():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    pins = dict(line.split("==") for line in Path("constraints.txt").read_text().splitlines() if "==" in line)
    known = {name.lower().replace("_", "-") for name in pins}
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    wanted = [*project["dependencies"], *extras, "silero-vad", "hatchling"]
    for requirement in wanted:
        assert re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() in known, requirement
    assert pins["torch"] == "2.13.0"
