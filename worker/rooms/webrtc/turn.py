"""The TURN server of an operator, with a user and a password or with names that end by themselves."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCIceServer

from worker.errors import ConfigError
from worker.secrets import reveal

VALID_S = 3600
"""How long a name made of a secret opens new connections; those that stand go on."""


class Turn:
    """`password` and `secret` may be `env:NAME` or `file:PATH`; without `url` there is no server.

    `now` gives seconds since 1970.
    """

    def __init__(
        self, url: str, username: str, password: str, secret: str, now: Callable[[], float] = time.time
    ) -> None:
        self._url, self._username, self._now = url, username, now
        self._password, self._secret = reveal(password), reveal(secret)

    def servers(self) -> list[RTCIceServer]:
        """For a connection that is about to be made."""
        if not self._url:
            return []
        username, password = self._username, self._password
        if self._secret:
            username, password = credentials(self._secret, self._now())
        return [RTCIceServer(urls=self._url, username=username, credential=password)]


def credentials(secret: str, now: float) -> tuple[str, str]:
    """A name and a password for an hour, by the TURN REST scheme (draft-uberti-behave-turn-rest-00), which is coturn's
    `use-auth-secret`: the password is the HMAC-SHA1 of the name, in base64."""
    username = f"{int(now) + VALID_S}:undertone"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def check_turn(options: Mapping[str, Any]) -> None:
    """Of a room's options those that begin with `turn_`. Raises ConfigError."""
    if options.get("turn_url") and not options["turn_url"].startswith(("turn:", "turns:")):
        raise ConfigError("turn_url must begin with turn: or turns:, as in turn:host:3478?transport=udp.")
    if options.get("turn_secret") and (options.get("turn_username") or options.get("turn_password")):
        raise ConfigError("turn_secret makes names and passwords: leave turn_username and turn_password out.")
