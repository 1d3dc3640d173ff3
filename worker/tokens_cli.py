"""The command `undertone token`: signs one token with a configuration's key."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import ConfigError


class Holder(StrEnum):
    """Whom a token may be made for without knowing who is in the room."""

    OPERATOR = "operator"
    MANAGER = "manager"
    VIEWER = "viewer"


def token(
    config: Annotated[Path, typer.Argument(help="A YAML file; configs/ has examples.")],
    audience: Annotated[Holder, typer.Option(help="What the holder may do.")],
    room: Annotated[str, typer.Option(help="The room's name in events; an operator's token is for all without it.")] = (
        ""
    ),
    ttl_s: Annotated[float, typer.Option(help="Seconds that it holds, an hour at most.")] = 3600,
) -> None:
    """Print a token for the control API, the dashboard, or a listener."""
    from worker.config import read
    from worker.ops.tokens import ANY_RUN, EVERY, Pass, Tokens
    from worker.secrets import reveal

    key = read(config).server.get("signing_key")
    if not key:
        raise ConfigError("this configuration signs no tokens: set server.signing_key.")
    if not room and audience is not Holder.OPERATOR:
        raise ConfigError("name the room with --room: only an operator's token is for all of them.")
    print(Tokens(reveal(key)).issue(room or EVERY, ANY_RUN, Pass(audience.value), ttl_s))
