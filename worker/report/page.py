"""Writes a meeting's record down: a page that needs nothing beside it, a table, and the record itself."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from worker.errors import ConfigError
from worker.figures import PersonFigures
from worker.packaged import packaged
from worker.report.readers import HOW_SPOKEN, Readers

STYLES = ("theme.css", "overview.css", "report.css")
SCRIPTS = ("drawings.js", "overview.js", "voices.js", "report.js")
"""In the order in which they stand in the page; each imports from those before it alone."""
FOR_FILES = ("drawings.js", "overview.js", "report.js")
"""Of a report for a personnel file, which does not even hold the words."""

PIECE = 500
"""Entries of a list that are written down at once."""

Record = Mapping[str, Any]

_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)


def write(record: Record, out: Path) -> list[Path]:
    """`out` with the endings .html, .csv and .json; returns the three. Raises ConfigError when one can't be written."""
    texts = {".html": as_html(record), ".csv": as_csv(record), ".json": as_json(record)}
    written = []
    for ending, text in texts.items():
        path = out.with_name(out.name + ending)
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}): change --out.") from None
        written.append(path)
    return written


def as_json(record: Record) -> str:
    """In pieces, so that a thread that makes it of a long meeting lets others run in between."""
    return _text(record) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_dumped(key)}:{_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list) and len(value) > PIECE:
        return "[" + ",".join(_dumped(value[n : n + PIECE])[1:-1] for n in range(0, len(value), PIECE)) + "]"
    return _dumped(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_csv(record: Record) -> str:
    """A line per person with every figure of `PersonFigures`; how a voice sounded is not among them.

    A name that a spreadsheet would take for a formula is written with an apostrophe before it.
    """
    text = StringIO()
    left_out = HOW_SPOKEN if record.get("for") == Readers.PERSONNEL else ()
    columns = [field.name for field in fields(PersonFigures) if field.name not in left_out]
    table = csv.writer(text)
    table.writerow(["speaker", "name", "role", *columns])
    measured: Mapping[str, Mapping[str, Any]] = (record.get("figures") or {}).get("speakers", {})
    for speaker, person in record.get("people", {}).items():
        figures = measured.get(speaker, {})
        known = ["" if (value := figures.get(column)) is None else value for column in columns]
        table.writerow([speaker, _harmless(person["name"]), _harmless(person["role"]), *known])
    return text.getvalue()


def as_html(record: Record) -> str:
    """One page with its styles, its script and the record inside: it asks nobody for anything."""
    folder = packaged("pages")
    style = "\n".join((folder / name).read_text(encoding="utf-8") for name in STYLES)
    scripts = FOR_FILES if record.get("for") == Readers.PERSONNEL else SCRIPTS
    script = _IMPORT.sub("", "\n".join((folder / name).read_text(encoding="utf-8") for name in scripts))
    title = escape(f"Report: {record['room']}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<main id="report"></main>\n'
        "<noscript><p>The drawings need JavaScript; the numbers are in the .csv file beside this page.</p></noscript>\n"
        f'<script type="application/json" id="record">{_inline(as_json(record))}</script>\n'
        f'<script type="module">\n{script}</script>\n</body>\n</html>\n'
    )


def _inline(text: str) -> str:
    """JSON that can end no script element, whatever names are in it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
