"""The commands `undertone policy`: what a configuration and the law allow for one person, and signing an exemption."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.errors import ConfigError

if TYPE_CHECKING:
    from worker.privacy.law import Finding

app = typer.Typer(help="Say what the law leaves of what a configuration wishes for.", no_args_is_help=True)


@app.callback()
def _policy() -> None:
    """Say what the law leaves of what a configuration wishes for."""


@app.command()
def explain(
    config: Annotated[Path, typer.Argument(help="A YAML file; configs/ has examples.")],
    role: Annotated[str, typer.Option(help="Of the person heard; the configuration's own where it is left out.")] = "",
    jurisdiction: Annotated[
        str | None, typer.Option(help="In place of the configuration's: unknown, eu, us-il, us or other.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="In place of the configuration's: work, customer_call and so on.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is made of a person's voice, what is not, and which rule says so."""
    from worker.config import read
    from worker.privacy.law import Law
    from worker.privacy.table import ALIASES, ROLES
    from worker.registry import construct

    if role and role not in (*ROLES, *ALIASES):
        raise ConfigError(f"--role {role} is not known, and counts as unknown: use one of {', '.join(ROLES)}.")
    over = {"policy.jurisdiction": jurisdiction, "policy.context": context}
    settings = read(config, {key: value for key, value in over.items() if value is not None})
    law: Law = construct(Law, settings.policy, "policy", today=datetime.now(UTC).date())
    found, conditions = law.explain(role), law.conditions(role)
    if settings.emotion is None:
        found = [_without_engine(one) for one in found]
    if as_json:
        answer = {"level": law.level_for(role).word, "findings": [asdict(one) for one in found]}
        answer |= {"conditions": conditions, "refusal": law.refusal}
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _show(found, conditions, law.refusal, Console())


def _without_engine(finding: "Finding") -> "Finding":
    from worker.privacy.table import RULES

    if not (finding.on and finding.what in ("emotion", "sentiment")):
        return finding
    return replace(finding, on=False, rule="no_engine", sentence=RULES["no_engine"])


def _show(found: list["Finding"], conditions: list[str], refusal: str, console: Console) -> None:
    table = Table("what", "", "rule", "that is", box=None)
    for one in found:
        table.add_row(one.what, "[green]on[/]" if one.on else "[red]off[/]", one.rule, escape(one.words))
    console.print(table, end="\n\n")
    reasons = Table(box=None, show_header=False)
    for rule, sentence in {one.rule: one.sentence for one in found}.items():
        reasons.add_row(rule, escape(sentence))
    console.print(reasons)
    if conditions:
        console.print(f"\nBesides: {'; '.join(conditions)}.")
    if refusal:
        console.print(f"\n{escape(refusal)}")


@app.command("sign")
def sign_exemption(
    exemption: Annotated[Path, typer.Argument(help="A JSON file with reference, purpose and expires.")],
    key: Annotated[Path, typer.Option(help="The Ed25519 private key, in PEM.")],
) -> None:
    """Sign an exemption for medical or safety reasons, in its own file."""
    from worker.privacy.exemption import sign

    sign(exemption, key)
    print(f"{exemption} is signed.")
