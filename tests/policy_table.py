"""The law for every person, place and conversation, as a table to be read: `python -m tests.policy_table` writes it."""

import csv
import io
from datetime import date
from pathlib import Path

from worker.privacy.exemption import Exemption
from worker.privacy.law import Case, Law, decide
from worker.privacy.levels import LEVELS
from worker.privacy.table import CONTEXTS, PLACES, ROLES

FILE = Path(__file__).parent / "data" / "policy.csv"
STATED = {"purpose": "medical", "basis": "explicit_consent"}
EXEMPTION = Exemption("DPO 7/2026", "medical", date(2030, 1, 1))
TODAY = date(2026, 11, 21)
WISHES = [f"wish_{level}" for level in LEVELS]
COLUMNS = ["jurisdiction", "context", "role", "highest", *WISHES, "exempted", "words", "must_not_change"]
COLUMNS += ["rules", "conditions"]


def rows():
    for place in PLACES:
        for context in CONTEXTS:
            laws = [Law(TODAY, level, place, context=context, **STATED) for level in LEVELS]
            for role in ROLES:
                yield dict(zip(COLUMNS, _row(place, context, role, laws), strict=True))


def _row(place, context, role, laws):
    verdict = decide(Case((place,), context, role, **STATED))
    exempted = decide(Case((place,), context, role, **STATED, exemption=EXEMPTION))
    return [
        place,
        context,
        role,
        verdict.highest.word,
        *(law.level_for(role).word for law in laws),
        exempted.highest.word,
        verdict.words,
        "must not change" if verdict.must_not_change else "",
        " ".join(verdict.rules()),
        " ".join(verdict.conditions),
    ]


def text():
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows())
    return out.getvalue()


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
