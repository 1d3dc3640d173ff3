"""`undertone coaching`: what rules would have said in a conversation that is over."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from worker.errors import ConfigError

if TYPE_CHECKING:
    from worker.rehearsal.play import Outcome

app = typer.Typer(help="Try rules for coaching out.", no_args_is_help=True)

HELD_BACK = {
    "speaking": "waits: they speak",
    "cool_down": "held back: said not long ago",
    "minute": "held back: something else was said within a minute",
    "hour": "held back: enough was said within an hour",
    "snoozed": "held back: snoozed",
    "silenced": "held back: not helpful twice",
    "expired": "dropped: too old by then",
}


@app.callback()
def _coaching() -> None:
    """Try rules for coaching out."""


@app.command("test")
def try_out(
    rules: Annotated[str, typer.Argument(help="A pack such as 'sales', or a file of rules.")],
    on: Annotated[
        list[Path], typer.Option("--on", help="A file of events (.jsonl), or recordings as `replay` takes them.")
    ],
    config: Annotated[Path | None, typer.Option(help="Settings other than those that come with the worker.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what rules would have said in a recording, to whom, when and why, and what would have been held back."""
    from worker.rehearsal.play import rehearse

    settings = _settings(config, rules)
    _check_files(on)
    bar = Progress(
        TextColumn("{task.completed:.0f} of {task.total:.0f} s heard"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("heard", total=0, visible=on[0].suffix != ".jsonl")
        outcome = rehearse(settings, on, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        found = {
            "said": [asdict(prompt) for prompt in outcome.said],
            "held_back": [asdict(one) for one in outcome.held_back],
            "unused": outcome.unused,
        }
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(outcome, Console(soft_wrap=False))


def _settings(config: Path | None, rules: str) -> Any:
    """The settings with these rules; without a configuration of the operator's nothing is left out."""
    from worker.config import read, shipped
    from worker.ops import logs

    over: dict[str, Any] = {"coaching.rules": [rules]}
    if config is None:
        over |= {"coaching.managers": True, "coaching.emotion": True}
    settings = read(config or shipped("replay.yaml"), over)
    logs.setup(**settings.logs.model_dump())
    return settings


def _check_files(files: list[Path]) -> None:
    for path in files:
        if not path.is_file():
            raise ConfigError(f"--on {path} does not exist: name a file of events or a recording.")
    if len(files) > 1 and any(path.suffix == ".jsonl" for path in files):
        raise ConfigError("--on takes one file of events, or several recordings of one conversation.")


def _show(outcome: "Outcome", console: Console) -> None:
    rows = [(one.at, one.to, one.rule, f"{escape(one.text)}\n[dim]{escape(one.reason)}[/dim]") for one in outcome.said]
    rows += [(one.at, one.to, one.rule, f"[dim]({HELD_BACK[one.reason]})[/dim]") for one in outcome.held_back]
    table = Table(Column("when", justify="right"), "to", "rule", "what, and why", box=None)
    for at, to, rule, what in sorted(rows):
        minutes, seconds = divmod(int(at), 60)
        table.add_row(f"{minutes}:{seconds:02}", escape(outcome.names.get(to, to)), rule, what)
    if rows:
        console.print(table)
    console.print(f"{len(outcome.said)} said, {len(outcome.held_back)} held back.")
    for rule, option in outcome.unused.items():
        console.print(f"{rule} is left out: coaching.{option} is false.")
