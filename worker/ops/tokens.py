"""Tokens that say, for an hour at most, what one holder may do or listen to, and in which room."""

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
EVERY = "*"
"""In place of a room, all of them; an operator's token alone may say so."""
ANY_RUN = 0
"""In place of an epoch, every run of a room of that name; a participant's token never says so, because whom its
pseudonym means is settled by the run."""
LISTENERS: tuple[Audience, ...] = ("viewer", "participant", "manager")
"""Audiences that hear events."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the holder of a token is: a `participant` is the person `speaker`."""

    audience: Audience
    speaker: str = ""

    @property
    def hears(self) -> str:
        """The audience of an envelope that is for this holder alone; empty for who has what everyone has."""
        return {"participant": self.speaker, "manager": MANAGERS}.get(self.audience, "")


@dataclass(frozen=True, slots=True)
class Right:
    """What a token gives its holder: where, and until when."""

    holder: Pass
    room: str
    epoch: int
    ends: float
    """Unix time; infinite for the tokens of the configuration, which name no end."""

    def is_for(self, room: str) -> bool:
        return self.room in (EVERY, room)

    def covers(self, room: str, epoch: int | None) -> bool:
        """Whether it is for this run of the room; of None nobody knows which run it is."""
        return self.is_for(room) and self.epoch in (ANY_RUN, epoch)

    def left_s(self, now: float) -> float:
        """Seconds from the Unix time `now` until it ends; negative afterwards."""
        return self.ends - now


EVERYTHING = Right(Pass("operator"), EVERY, ANY_RUN, float("inf"))
"""What a door's own token opens, and everyone where the door asks for none."""


class Tokens:
    """JSON Web Tokens signed with HS256.

    A listener's may be for one run of a room, since opened anew its pseudonyms may be other people; an operator's is
    for the room of a name, or for all. Raises ConfigError for a key of less than `SHORTEST_KEY` bytes.
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
        run = ANY_RUN if holder.audience == "operator" else epoch
        if not _is_place(room, run, holder.audience):
            raise ConfigError("name one room, which only an operator's token can do without.")
        claims = {"room": room, "epoch": run, "aud": holder.audience, "sub": holder.speaker}
        return jwt.encode(claims | {"exp": int(time.time() + ttl_s)}, self._key, algorithm="HS256")

    def read(self, token: object, *audiences: Audience) -> Right | None:
        """None for what is no token, is for another audience, has expired, or would hold for too long."""
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
        room, epoch, aud, sub, ends = claims["room"], claims["epoch"], claims["aud"], claims["sub"], int(claims["exp"])
        known = isinstance(aud, str) and (aud == "participant") == bool(sub) and sub != MANAGERS
        brief = ends <= time.time() + LONGEST_S + LEEWAY_S
        if not (known and aud in audiences and brief and _is_place(room, epoch, aud)):
            return None
        return Right(Pass(aud, sub), room, epoch, ends)


def _is_place(room: object, epoch: object, audience: str) -> bool:
    """Whether a token of this audience may name this room and run."""
    named = isinstance(room, str) and bool(room) and (room != EVERY or audience == "operator")
    return named and type(epoch) is int and epoch >= ANY_RUN and (epoch != ANY_RUN or audience != "participant")
