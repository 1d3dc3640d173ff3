"""Model files, read whole and no further than they may be long."""

from pathlib import Path

from worker.errors import ConfigError


def read_file(path: Path, largest: int) -> bytes:
    """The content of a file of at most `largest` bytes. ConfigError, naming it, when it is longer or can't be read."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a model file that exists.") from None
    if len(content) > largest:
        raise ConfigError(f"{path} is larger than {largest // 1_000_000} MB: this is no model of Undertone.")
    return content
