"""The command `undertone attest`: writes what a configuration says about itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import ConfigError


def attest(
    config: Annotated[Path, typer.Argument(help="A YAML file; configs/ has examples.")],
    out: Annotated[Path, typer.Option(help="A folder for the papers; it is made where it does not exist.")],
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day they are of; today in UTC where it is left out."),
    ] = None,
) -> None:
    """Write the notice, the inputs of an impact assessment and a system card of a configuration."""
    from worker.attest.papers import manifest, papers

    day = (date or datetime.now(UTC)).date()
    texts = papers(config, day)
    texts["manifest.json"] = manifest(texts, day)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_bytes(text.encode())
            print(f"Wrote {out / name}.")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}): choose another place.") from None
