"""All papers of one configuration on one day: the same ones give the same bytes."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from worker.attest.facts import Facts, gather
from worker.attest.impact import impact
from worker.attest.system import system
from worker.privacy.table import ROLES


def papers(config: Path, day: date) -> dict[str, str]:
    """Markdown by file name. Raises ConfigError for what a worker would not start with on that day."""
    facts = gather(config, day)
    return {"notice.md": notice(facts), "impact-assessment.md": impact(facts), "system-card.md": system(facts)}


def manifest(texts: Mapping[str, str], day: date) -> str:
    """JSON: the day, and the SHA-256 of each file."""
    listed = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return json.dumps({"date": day.isoformat(), "sha256": listed}, indent=2) + "\n"


def notice(facts: Facts) -> str:
    """The words and choices that people are shown; of roles with the same words once."""
    shown: dict[str, list[str]] = {}
    for role in ("", *ROLES):
        choices = [f"- **{one['name']}** (`{one['level']}`): {one['hint']}" for one in facts.notice.choices(role)]
        version = facts.notice.terms(role).text
        text = f"Version `{version}`\n\n> {facts.notice.text(role)}\n\nTo choose from:\n\n" + "\n".join(choices)
        shown.setdefault(text, []).append(role)
    lines = [
        f"# Notice: {facts.name}",
        f"As of {facts.day}. These are the words that people are shown before they are asked.",
    ]
    for text, roles in shown.items():
        who = ", ".join(f"`{role}`" for role in roles if role) or "others"
        lines += [
            f"## {'Whose role is not told' + (', and ' + who if roles[1:] else '') if '' in roles else who}",
            text,
        ]
    return "\n\n".join(lines) + "\n"
