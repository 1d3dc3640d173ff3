"""Secrets that a configuration names instead of holding."""

import os
from pathlib import Path

from worker.errors import ConfigError


def reveal(text: str) -> str:
    """The value behind `env:NAME` or `file:PATH`; any other text is itself.

    A file's last line break does not belong to its secret. Raises ConfigError when there is nothing to read.
    """
    kind, _, place = text.partition(":")
    if kind == "env":
        value = os.environ.get(place, "")
        if not value:
            raise ConfigError(f"the environment variable {place} is empty or not set: set it, or change env:{place}.")
        return value
    if kind == "file":
        try:
            value = Path(place).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"the secret file {place} cannot be read ({reason}): correct file:{place}.") from None
        if not value:
            raise ConfigError(f"the secret file {place} is empty: write the secret into it.")
        return value
    return text
