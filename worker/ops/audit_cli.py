"""The command `undertone audit`: whether an audit log is what the worker wrote."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import ConfigError
from worker.privacy.audit import LONGEST, Head, read, read_head
from worker.privacy.verify import Report, Verifier
from worker.secrets import reveal

app = typer.Typer(help="Look at the audit log.", no_args_is_help=True)

SHOWN = 20
"""Findings that are printed; --json has all."""


@app.callback()
def _audit() -> None:
    """Look at the audit log."""


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="All files of one log, in any order.")],
    key: Annotated[
        str | None,
        typer.Option(envvar="UNDERTONE_AUDIT_KEY", help="env:NAME or file:PATH of its key.", show_envvar=True),
    ] = None,
    head: Annotated[Path | None, typer.Option(help="A copy of the head that was kept elsewhere.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Find every edit, deletion, repetition and change of order in an audit log."""
    report = examine(files, reveal(key).encode() if key else b"", head)
    if as_json:
        last = report.last._asdict() if report.last is not None else None
        print(json.dumps({"intact": not report.findings, **asdict(report), "last": last}, indent=2))
    else:
        show(report)
    if report.findings:
        raise typer.Exit(1)


def examine(files: Iterable[Path], key: bytes = b"", head: Path | None = None) -> Report:
    """Read a whole log. Raises ConfigError for files that can't be read."""
    ordered = sorted(files, key=_first)
    try:
        verifier = Verifier(_head(head or ordered[-1].with_name(ordered[-1].name + ".head")))
        for file in ordered:
            verifier.file(file.name, lines(file))
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be read ({error.strerror}): name the files of an audit log."
        ) from None
    return verifier.end(key)


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, and of one that is too long its parts. Raises OSError."""
    with open(path, "rb") as file:
        while line := file.readline(LONGEST):
            yield line


def _first(path: Path) -> int:
    """Number of a file's first entry, to put the files in order. Raises ConfigError."""
    try:
        entry = read(next(lines(path), b"").rstrip(b"\n"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the files of an audit log.") from None
    return entry.seq if entry is not None else 0


def _head(path: Path) -> Head | None:
    return read_head(path.read_bytes()) if path.exists() else None


def show(report: Report) -> None:
    for finding in report.findings[:SHOWN]:
        print(f"{finding.place}: {finding.sentence}")
    if len(report.findings) > SHOWN:
        print(f"… and {len(report.findings) - SHOWN} more.")
    for note in report.notes:
        print(f"Note: {note}")
    last = f"; the last has the hash {report.last.hash}" if report.last is not None else ""
    verdict = "NOT what was written" if report.findings else "as they were written"
    print(f"{report.entries} entries, {verdict}{last}.")
