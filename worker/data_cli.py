"""The commands `undertone data`: who is in what the worker keeps, one person's part of it given out or erased."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.errors import ConfigError

if TYPE_CHECKING:
    from worker.config import Settings
    from worker.data.person import Census, Whom
    from worker.data.receipt import Copy, Receipt
    from worker.data.stores import Store
    from worker.ops.audit import Audit

app = typer.Typer(help="Find, give out and erase what is kept of people.", no_args_is_help=True)

OWNER = 0o600

Config = Annotated[Path, typer.Argument(help="The worker's YAML file: it names the places.")]
Room = Annotated[str, typer.Option(help="The room's name.")]
Participant = Annotated[str, typer.Option(help="The pseudonym, as `undertone data people` shows it.")]
Epoch = Annotated[int | None, typer.Option(help="Which run of the room; in another it may be somebody else.")]
AllEpochs = Annotated[bool, typer.Option("--all-epochs", help="All runs of the room; you know that it is one person.")]
Reports = Annotated[list[Path] | None, typer.Option("--report", help="A report, or a folder of reports, besides.")]


@app.callback()
def _data() -> None:
    """Find, give out and erase what is kept of people."""


@app.command()
def people(
    config: Config,
    room: Room,
    report: Reports = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say who is in what is kept of a room: pseudonyms, names, runs of the room and times."""
    census, failed = asyncio.run(_people(_settings(config), room, report or []))
    rows: list[dict[str, Any]] = [
        {"participant": speaker, "names": sorted(one.names), "epoch": epoch, "first": one.first, "last": one.last}
        for epoch in sorted(census.seen)
        for speaker, one in sorted(census.seen[epoch].items())
    ]
    if as_json:
        print(json.dumps({"people": rows, "not_reached": failed}, indent=2, ensure_ascii=False))
    else:
        table = Table(box=None)
        for title in ("participant", "names", "epoch", "first, in UTC", "last"):
            table.add_column(title, overflow="fold")
        for row in rows:
            times = (str(row[key])[:16].replace("T", " ") for key in ("first", "last"))
            table.add_row(escape(row["participant"]), escape(", ".join(row["names"])), str(row["epoch"]), *times)
        Console(soft_wrap=True).print(table)
    _fail_for(failed, silent=as_json)


@app.command()
def export(
    config: Config,
    room: Room,
    participant: Participant,
    out: Annotated[Path, typer.Option(help="The JSON file; only you may read it.")],
    epoch: Epoch = None,
    all_epochs: AllEpochs = False,
    report: Reports = None,
) -> None:
    """Write everything that is kept of one person to a file, for them."""
    copy = asyncio.run(_export(_settings(config), room, participant, _chosen(epoch, all_epochs), report or []))
    _write(out, copy.document)
    print(f"{copy.records} records are in {out}.")
    _say_unknown(copy.records, room, participant)
    _fail_for(copy.failed)


@app.command()
def erase(
    config: Config,
    room: Room,
    participant: Participant,
    epoch: Epoch = None,
    all_epochs: AllEpochs = False,
    report: Reports = None,
    out: Annotated[Path | None, typer.Option(help="Write the receipt to this file, as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as JSON.")] = False,
) -> None:
    """Erase one person everywhere, and leave what is of others as it is; says what was done, and what was not."""
    settings = _settings(config)
    receipt = asyncio.run(_erase(settings, room, participant, _chosen(epoch, all_epochs), report or []))
    if out is not None:
        _write(out, receipt.as_dict())
    if as_json:
        print(json.dumps(receipt.as_dict(), indent=2))
    else:
        for line in (*(answer.sentence() for answer in receipt.answers), *receipt.notes):
            print(line)
        _say_unknown(receipt.records, room, participant)
        if not receipt.complete:
            print("NOT complete: see to what is said above, and run the same again.")
    if not receipt.complete:
        raise typer.Exit(1)


@app.command()
def reseal(config: Config) -> None:
    """Seal everything on the disk under the first of keeping.keys, to take an older key out of use."""
    from worker.ops.retention import files_of
    from worker.ops.retention import reseal as sealed_anew

    settings = _settings(config)
    seal = _seal(settings)
    for path, count in sealed_anew(files_of(settings.sinks), seal).items():
        print(f"{path}: {count} lines sealed under the first key.")
    if settings.audit is not None:
        print(f"The audit log's salts: {asyncio.run(_reseal_salts(settings))} sealed under the first key.")


async def _reseal_salts(settings: "Settings") -> int:
    async with _log(settings) as audit:
        assert audit is not None
        return audit.ledger.reseal()


def _settings(config: Path) -> "Settings":
    from worker.config import read

    return read(config)


def _seal(settings: "Settings") -> Any:
    from worker.privacy.keeping import Keeping
    from worker.registry import construct

    return construct(Keeping, settings.keeping, "keeping").seal


@asynccontextmanager
async def _log(settings: "Settings") -> AsyncIterator["Audit | None"]:
    """The audit log, if the configuration has one, as long as it is needed."""
    from worker.ops.audit import Audit
    from worker.privacy.keeping import Keeping
    from worker.registry import construct

    if settings.audit is None:
        yield None
        return
    audit: Audit = construct(Audit, settings.audit, "audit", keeping=construct(Keeping, settings.keeping, "keeping"))
    try:
        yield audit
    finally:
        await audit.close()


def _stores(settings: "Settings", room: str, reports: Sequence[Path]) -> "list[Store]":
    from worker.data.configured import stores

    return stores(settings, room, _seal(settings), reports)


def _chosen(epoch: int | None, all_epochs: bool) -> int | bool | None:
    """One run, True for all of them, None for the only one."""
    if epoch is not None and all_epochs:
        raise ConfigError("name either --epoch or --all-epochs.")
    return epoch if epoch is not None else all_epochs or None


async def _people(settings: "Settings", room: str, reports: Sequence[Path]) -> "tuple[Census, dict[str, str]]":
    from worker.data.requests import people_of

    async with _log(settings) as audit:
        return await people_of(_stores(settings, room, reports), room, audit)


def _whom(participant: str, chosen: int | bool | None, census: "Census") -> "Whom":
    """Raises ConfigError where it could be several people."""
    from worker.data.person import ERASED
    from worker.prompts import MANAGERS

    if participant in ("", ERASED, MANAGERS):
        raise ConfigError(f"--participant {participant!r} is nobody: see 'undertone data people'.")
    runs = census.runs_of(participant)
    if chosen is None and len(runs) > 1:
        raise ConfigError(
            f"{participant} was in {len(runs)} runs of this room, and may have been as many people: name one with "
            "--epoch, as 'undertone data people' shows them, or --all-epochs if you know that it is one person."
        )
    return census.whom(participant, [chosen] if type(chosen) is int else runs)


async def _export(
    settings: "Settings", room: str, participant: str, chosen: int | bool | None, reports: Sequence[Path]
) -> "Copy":
    from worker.data.requests import OPERATOR, copy_of

    choose = partial(_whom, participant, chosen)
    async with _log(settings) as audit:
        return await copy_of(_stores(settings, room, reports), room, choose, datetime.now(UTC), OPERATOR, audit)


async def _erase(
    settings: "Settings", room: str, participant: str, chosen: int | bool | None, reports: Sequence[Path]
) -> "Receipt":
    from worker.data.configured import notes
    from worker.data.requests import OPERATOR, erasure_of

    choose, stores = partial(_whom, participant, chosen), _stores(settings, room, reports)
    async with _log(settings) as audit:
        receipt = await erasure_of(stores, room, choose, datetime.now(UTC), OPERATOR, audit)
    receipt.notes += notes(settings)
    return receipt


def _say_unknown(records: int, room: str, participant: str) -> None:
    """That nothing is kept is an answer, and may be a slip of the pen."""
    if not records:
        advice = "if you expected something, see who is, with 'undertone data people'"
        print(f"Nothing is kept of {participant} in the room {room}: {advice}.")


def _fail_for(failed: dict[str, str], silent: bool = False) -> None:
    for store, why in failed.items():
        if not silent:
            print(f"{store}: NOT reached: {why}")
    if failed:
        raise typer.Exit(1)


def _write(path: Path, document: Any) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER)
        with open(file, "w", encoding="utf-8", errors="backslashreplace") as stream:
            os.fchmod(file, OWNER)
            stream.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): change --out.") from None
