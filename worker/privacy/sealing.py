"""Seals lines before they are written to a disk, so that only who holds a key can read them."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import ConfigError
from worker.secrets import reveal

MARK = b"sealed:"
"""What a sealed line begins with; no line of JSON does."""
NAMED = ("env:", "file:")


class Seal:
    """Fernet: AES-128-CBC and HMAC-SHA256 (<https://github.com/fernet/spec>). The first key seals, all of them unseal.

    A key is 32 bytes in Base64; or `env:NAME` or `file:PATH`. Without keys, lines stay as they are.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises ConfigError for a key that is none."""
        boxes = [_box(reveal(key), number) for number, key in enumerate(keys)]
        self._boxes = MultiFernet(boxes) if boxes else None

    def __bool__(self) -> bool:
        """Whether there is a key."""
        return self._boxes is not None

    def seal(self, line: bytes) -> bytes:
        """One line of ASCII, whatever bytes are in `line`."""
        return MARK + self._boxes.encrypt(line) if self._boxes is not None else line

    def unseal(self, line: bytes, where: str = "a line") -> bytes:
        """What was sealed; a line that never was stays as it is. Raises ConfigError, about `where`, without its key."""
        if not line.startswith(MARK):
            return line
        if self._boxes is None:
            raise ConfigError(f"{where} is sealed: name a configuration whose keeping.keys has its key.")
        try:
            return self._boxes.decrypt(line.removeprefix(MARK))
        except InvalidToken:
            raise ConfigError(
                f"{where} is sealed with a key that keeping.keys does not hold, or is damaged: add the key, or move the"
                " file away."
            ) from None

    def reseal(self, line: bytes, where: str = "a line") -> bytes:
        """The same line under the first key, sealed before or not. Raises ConfigError as `unseal` does."""
        return self.seal(self.unseal(line, where))


def check_keys(keys: Sequence[str]) -> None:
    """Raises ConfigError for a key that is none; those that are named as `env:` or `file:` are not looked up."""
    for number, key in enumerate(keys):
        if not key.startswith(NAMED):
            _box(key, number)


def _box(key: str, number: int) -> Fernet:
    try:
        return Fernet(key.translate(str.maketrans("+/", "-_")))
    except ValueError:
        raise ConfigError(
            f"keeping.keys.{number} is no key, which is 32 bytes in Base64: openssl rand -base64 32 makes one."
        ) from None
