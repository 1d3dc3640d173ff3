"""The command `undertone`: each verb reads what it is given, and hands on to the module that does it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from worker import __version__
from worker.attest_cli import attest
from worker.data_cli import app as data_app
from worker.errors import ConfigError, UndertoneError
from worker.lab.cli import app as lab_app
from worker.ops.audit_cli import app as audit_app
from worker.ops.rooms_cli import app as rooms_app
from worker.policy_cli import app as policy_app
from worker.rehearsal.cli import app as coaching_app
from worker.report.readers import Readers, record_for
from worker.tokens_cli import token

app = typer.Typer(
    help="Hears each speaker of a live video room on their own, and says who speaks, for how long and how lively.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Check a configuration, or print what one may hold.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(policy_app, name="policy")
app.add_typer(rooms_app, name="rooms")
app.add_typer(lab_app, name="lab")
app.add_typer(coaching_app, name="coaching")
app.add_typer(audit_app, name="audit")
app.add_typer(data_app, name="data")
app.command()(token)
app.command()(attest)


class Sfu(StrEnum):
    EMBEDDED = "embedded"
    JANUS = "janus"


ConfigFile = Annotated[Path, typer.Argument(help="A YAML file; configs/ has examples.")]
Overrides = dict[str, Any]


def main() -> None:
    """Run the command line; an expected error is one sentence and exit code 2 (wrong use) or 1 (failed)."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    # After each product OpenBLAS keeps its other threads spinning for a while: most of a core where products are small
    # and many. It reads this when numpy is imported, which nothing here has done yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = 0
    try:
        app(prog_name="undertone")
    except* UndertoneError as errors:
        error = first(errors)
        print(f"undertone: {error}", file=sys.stderr)
        code = 2 if isinstance(error, ConfigError) else 1
    except* BrokenPipeError:
        sys.stderr.close()
        code = 1
    except* KeyboardInterrupt:
        code = 130
    sys.exit(code)


def first(errors: BaseExceptionGroup[UndertoneError]) -> UndertoneError:
    """The first error of a group, however deep."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, UndertoneError)
    return error


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def run(config: ConfigFile) -> None:
    """Serve the rooms that a configuration describes, until it is told to stop."""
    _serve(_settings(config), lambda address: None)


@app.command()
def demo(
    guests: Annotated[int, typer.Option(min=0, max=10, help="Synthetic voices that join the room.")] = 6,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the page is served; 0 takes a free port.")] = 8080,
    no_redis: Annotated[bool, typer.Option("--no-redis", help="Do not look for Redis.")] = False,
    sfu: Annotated[Sfu, typer.Option(help="Where browsers meet: in the worker, or in a Janus that it joins.")] = (
        Sfu.EMBEDDED
    ),
    emotion: Annotated[
        bool, typer.Option("--emotion", help="As a sales call in the EU: customers may agree to emotion.")
    ] = False,
) -> None:
    """Open a room on this machine that a browser can join at once."""
    from worker.config import shipped

    if sfu is Sfu.JANUS:
        _demo_janus(port, look_for_redis=not no_redis, emotion=emotion)
        return
    config = shipped("customer_call.yaml" if emotion else "demo.yaml")
    settings = _settings(config, {"room.guests": guests, "server.port": port})
    settings = settings.model_copy(update={"sinks": _without_absent_redis(settings.sinks, look=not no_redis)})
    _serve(settings, lambda address: print(f"Open {address} in a browser. Ctrl-C ends the room.", flush=True))


def _demo_janus(port: int, look_for_redis: bool, emotion: bool) -> None:
    from worker.config import shipped
    from worker.ops.janus import ROOM, LocalJanus

    with LocalJanus() as janus:
        place: Overrides = {"room.url": janus.url, "room.room": ROOM}
        place |= {"server.port": port, "server.janus_url": janus.url, "server.janus_room": ROOM}
        place |= {"dashboard.prompts": False}
        if emotion:
            place["policy"] = _settings(shipped("customer_call.yaml")).policy
        settings = _settings(shipped("janus.yaml"), place)
        settings = settings.model_copy(update={"sinks": _without_absent_redis(settings.sinks, look_for_redis)})
        print(f"Janus runs at {janus.url}, and the worker joins its room {ROOM}.", flush=True)
        _serve(settings, lambda address: print(f"Open {address} in a browser. Ctrl-C ends both.", flush=True))


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="One recording per speaker, or one with a speaker per channel.")],
    out: Annotated[Path | None, typer.Option(help="Write every event to this file, a line of JSON each.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="As fast as it was spoken, not as fast as can be.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Settings other than those that come with the worker.")] = None,
    report: Annotated[Path, typer.Option(help="Path of the report, without its ending.")] = Path("report"),
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
) -> None:
    """Hear recordings as if they were a room, and say the same events; then write a report of them."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        events = out or Path(folder) / "events.jsonl"
        hear(files, events, realtime, config)
        if out is not None:
            print(f"The events are in {out}.", file=sys.stderr)
        if not no_report:
            _report_of([str(events)], report, config=config, recorded=True)


@app.command("report")
def report_command(
    what: Annotated[
        list[str],
        typer.Argument(help="A file of events (.jsonl), recordings as `replay` takes them, or a room's name."),
    ],
    out: Annotated[Path, typer.Option(help="Path of the page, without its ending.")] = Path("report"),
    redis: Annotated[str, typer.Option(help="Where the room's events are; env:NAME and file:PATH too.")] = (
        "redis://127.0.0.1:6379/0"
    ),
    readers: Annotated[Readers, typer.Option("--for", help="Who will read it.")] = Readers.TEAM,
    participant: Annotated[
        str, typer.Option(help="With `--for participant`: the speaker whose own report it is.")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(help="A configuration, for its keeping.keys, dashboard.smallest_group and notice.contact."),
    ] = None,
) -> None:
    """Write a page, a table and the record of a conversation: OUT.html, OUT.csv and OUT.json."""
    from tempfile import TemporaryDirectory

    from worker.report.sources import EVENTS

    if (readers is Readers.PARTICIPANT) != bool(participant):
        raise ConfigError("--participant names the one person for whom a report is: give it with --for participant.")
    files = [Path(each) for each in what]
    if not all(file.is_file() and file.suffix != EVENTS for file in files):
        _report_of(what, out, redis, readers, participant, config)
        return
    with TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        hear(files, events)
        _report_of([str(events)], out, redis, readers, participant, config, recorded=True)


def _report_of(
    what: list[str],
    out: Path,
    redis: str = "",
    readers: Readers = Readers.TEAM,
    participant: str = "",
    config: Path | None = None,
    recorded: bool = False,
) -> None:
    """Who has the recordings has more than a report says, so that of these any group is large enough."""
    from worker.privacy.keeping import Keeping
    from worker.registry import construct
    from worker.report.group import SMALLEST
    from worker.report.page import write
    from worker.report.sources import read
    from worker.report.summary import summarise

    settings = _settings(config) if config is not None else None
    dashboard: dict[str, Any] = (settings.dashboard or {}) if settings is not None else {}
    smallest = 1 if recorded else dashboard.get("smallest_group", SMALLEST)
    contact = settings.notice.get("contact", "") if settings is not None else ""
    keeping: Keeping = construct(Keeping, settings.keeping if settings is not None else {}, "keeping")
    record = record_for(read(what, redis, keeping.seal.unseal), readers, participant, smallest, contact)
    page, *_ = write(record, out)
    summarise(record)
    print(f"The report is {page}.")


def hear(files: list[Path], out: Path, realtime: bool = False, config: Path | None = None) -> None:
    """Run recordings through the whole chain, with a progress bar; their events are then in `out`."""
    from worker.config import shipped
    from worker.supervisor import replay as run_through

    over: Overrides = {"room.kind": "replay", "room.files": [str(file) for file in files]}
    settings = _settings(config or shipped("replay.yaml"), over | ({"room.realtime": True} if realtime else {}))
    sinks = [section for section in settings.sinks if section["kind"] not in ("data_channel", "websocket")]
    sinks.append({"kind": "jsonl", "path": out, "append": False})
    _spare(settings.room["files"], [section["path"] for section in sinks if section["kind"] == "jsonl"])
    settings = settings.model_copy(update={"sinks": sinks})
    bar = Progress(
        TextColumn("{task.completed:.0f} of {task.total:.0f} s heard"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("replay", total=0)
        asyncio.run(run_through(settings, lambda done, total: bar.update(task, completed=done, total=total)))


@config_app.command("check")
def config_check(file: ConfigFile) -> None:
    """Check a configuration without connecting to anything; unknown keys and what the law forbids are errors."""
    from worker.asking import lawful, today

    settings = _settings(file)
    lawful(settings.policy, today())
    emotion = settings.emotion["kind"] if settings.emotion else "none"
    sinks = ", ".join(section["kind"] for section in settings.sinks) or "none"
    room = settings.room["kind"] if settings.room else "none"
    print(f"{file} is valid. Room: {room}. Emotion engine: {emotion}. Sinks: {sinks}.")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of configurations, for editors."""
    from worker.config import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Write the documents into this folder.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare those in the folder; differences are an error.")
    ] = False,
) -> None:
    """Print the JSON Schema of all events, or write it and the AsyncAPI document."""
    from worker.schema import documents, outdated

    folder = out or Path("docs/schema")
    if check:
        if not folder.is_dir():
            raise ConfigError(f"the folder {folder} does not exist: run 'undertone schema --out {folder}' to fill it.")
        if stale := outdated(folder):
            raise UndertoneError(
                f"{', '.join(stale)} in {folder} differ: run 'undertone schema --out {folder}'.", "stale"
            )
        print(f"{folder} is up to date.")
    elif out is None:
        print(documents()["events.schema.json"], end="")
    else:
        _write_all(out, documents())


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Option(help="Look at what this configuration needs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is installed, which models are found, whether Redis answers and the port is free."""
    from worker.config import shipped
    from worker.ops import doctor as ops

    settings = _settings(config or shipped("demo.yaml"))
    findings = ops.examine(settings.room or {}, settings.sinks, settings.server)
    if as_json:
        print(json.dumps(ops.as_dict(findings), indent=2))
    else:
        ops.show(findings, Console(soft_wrap=True))
    if not ops.healthy(findings):
        raise typer.Exit(1)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which figure; 'all' for every one.")],
    quick: Annotated[bool, typer.Option("--quick", help="Less sure, in at most 45 seconds.")] = False,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
) -> None:
    """Measure this machine and print the figures."""
    from worker.bench import BENCHES
    from worker.registry import load

    chosen = list(BENCHES) if name == "all" else [name]
    if not set(chosen) <= set(BENCHES):
        raise ConfigError(f"there is no bench {name!r}: use one of {', '.join(BENCHES)}, or all.")
    if to_json is not None and (to_json.is_dir() or not to_json.parent.is_dir()):
        raise ConfigError(f"--json {to_json} cannot be written: name a file in a folder that exists.")
    figures = {one: load(BENCHES, one)(quick) for one in chosen}
    for one, values in figures.items():
        table = Table("figure", "value", title=f"{one}{' (quick)' if quick else ''}", title_justify="left", box=None)
        for key, value in _flat(values):
            table.add_row(key, value)
        Console(soft_wrap=True).print(table)
    if to_json is not None:
        _write_all(
            to_json.parent, {to_json.name: json.dumps(figures if name == "all" else figures[name], indent=2) + "\n"}
        )


def _settings(path: Path, overrides: Overrides | None = None) -> Any:
    from worker.config import read
    from worker.ops import logs

    settings = read(path, overrides)
    logs.setup(**settings.logs.model_dump())
    return settings


def _serve(settings: Any, say: Callable[[str], None]) -> None:
    from worker.supervisor import serve

    asyncio.run(serve(settings, lambda server: say(f"http://localhost:{server.port}")))


def _without_absent_redis(sinks: list[dict[str, Any]], look: bool) -> list[dict[str, Any]]:
    """The sinks without those whose Redis is not wanted or does not answer."""
    from worker.ops.doctor import REDIS, ask_redis

    def stays(section: dict[str, Any]) -> bool:
        if section["kind"] != "redis":
            return True
        if not look:
            return False
        status, detail = ask_redis(section.get("url", REDIS))
        if status != "ok":
            place = f"UNDERTONE__SINKS__{sinks.index(section)}__URL=redis://user:password@host:6379/0"
            hint = f" (in configs/demo.yaml, or with {place})" if status == "missing" else ""
            print(f"Going on without Redis: it {detail}{hint}; --no-redis does not look for it.", file=sys.stderr)
        return status == "ok"

    return [section for section in sinks if stays(section)]


def _spare(files: list[Path], outputs: list[Path]) -> None:
    """Raises ConfigError when events would be written over a recording."""
    for out in outputs:
        for file in map(Path, files):
            if out.resolve() == file.resolve() or (out.exists() and file.exists() and out.samefile(file)):
                raise ConfigError(f"{out} is one of the recordings: choose another file for the events.")


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{before}{key}.")
        else:
            rows.append((f"{before}{key}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _write_all(folder: Path, texts: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            print(f"Wrote {folder / name}.")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): choose another place.") from None
