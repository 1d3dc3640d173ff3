"""Tokens that say, for an hour at most, what one holder may listen to in one room."""

import time
from dataclasses import dataclass
from typing import Any, get_args

import jwt

from worker.errors import ConfigError
from worker.prompts import MANAGERS, Audience

LONGEST_S = 3600
"""Seconds that a token holds at most."""
LEEWAY_S = 5
"""Seconds by which clocks may differ."""
SHORTEST_KEY = 32
"""Bytes of the key, as long as the digest: RFC 7518, 3.2."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the holder of a token is: a `participant` is the person `speaker`."""

    audience: Audience
    speaker: str = ""

    @property
    def hears(self) -> str:
        """The audience of an envelope that is for this holder alone; empty for viewers."""
        return {"viewer": "", "participant": self.speaker, "manager": MANAGERS}[self.audience]


class Tokens:
    """JSON Web Tokens signed with HS256, for one run of a room: opened anew, its pseudonyms may be other people.

    Raises ConfigError for a key of less than `SHORTEST_KEY` bytes.
    """

    def __init__(self, key: str) -> None:
        if len(key.encode()) < SHORTEST_KEY:
            raise ConfigError(f"server.signing_key needs {SHORTEST_KEY} bytes or more: openssl rand -hex 32 makes one.")
        self._key = key

    def issue(self, room: str, epoch: int, holder: Pass, ttl_s: float) -> str:
        """Raises ConfigError for what no token may say."""
        if not 1 <= ttl_s <= LONGEST_S:
            raise ConfigError(f"a token holds from 1 to {LONGEST_S} s: correct ttl_s.")
        if (holder.audience == "participant") != bool(holder.speaker) or holder.speaker == MANAGERS:
            raise ConfigError("name a speaker for the audience participant, and for no other.")
        claims = {"room": room, "epoch": epoch, "aud": holder.audience, "sub": holder.speaker}
        return jwt.encode(claims | {"exp": int(time.time() + ttl_s)}, self._key, algorithm="HS256")

    def read(self, token: object, room: str, epoch: int) -> Pass | None:
        """None for what is no token, is not for this run of this room, has expired, or would hold for too long."""
        if not isinstance(token, str):
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=get_args(Audience),
                leeway=LEEWAY_S,
                options={"require": ["room", "epoch", "aud", "sub", "exp"]},
            )
        except (jwt.InvalidTokenError, UnicodeError):
            return None
        aud, sub = claims["aud"], claims["sub"]
        here = claims["room"] == room and claims["epoch"] == epoch
        known = isinstance(aud, str) and (aud == "participant") == bool(sub) and sub != MANAGERS
        brief = int(claims["exp"]) <= time.time() + LONGEST_S + LEEWAY_S
        return Pass(aud, sub) if here and known and brief else None
