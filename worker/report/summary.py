"""A conversation's main numbers, in the terminal."""

import sys

from rich.console import Console
from rich.table import Table

from worker.report.page import Record

COLUMNS = {
    "talk time": ("talk_s", "{:.0f} s"),
    "share": ("talk_share", "{:.0%}"),
    "turns": ("turns", "{}"),
    "longest run": ("longest_run_s", "{:.0f} s"),
    "cut in": ("interruptions", "{}"),
    "was cut off": ("interrupted", "{}"),
}
"""Of the table in the terminal: figure and form."""


def summarise(record: Record) -> None:
    """The conversation's main numbers, in the terminal; people stand in the order in which they came."""
    if "withheld" in record:
        print(
            f"Fewer than {record['withheld']['smallest']} people were analysed in this meeting: no figures are given."
        )
        return
    table = Table()
    table.add_column("speaker")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    measured = (record["figures"] or {}).get("speakers", {})
    for speaker, person in record["people"].items():
        one = measured.get(speaker, {})
        table.add_row(person["name"], *(_cell(one.get(key), form) for key, form in COLUMNS.values()))
    Console(file=sys.stdout).print(table)


def _cell(value: float | None, form: str) -> str:
    return "n/a" if value is None else form.format(value)
