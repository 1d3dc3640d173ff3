"""Who may come in: by a door's own token, or by one that is signed for an audience and a room."""

import hmac
import secrets
from collections.abc import Collection

from aiohttp import web

from worker.ops.origins import ELSEWHERE, Origins
from worker.ops.tokens import EVERYTHING, LISTENERS, Pass, Right, Tokens
from worker.prompts import Audience
from worker.secrets import reveal

BEARER = "Send the token as 'Authorization: Bearer …'."


class Access:
    """`token` is known to all who may join; `signing_key` makes tokens for one holder each. Both may be `env:NAME` or
    `file:PATH`. Raises ConfigError for a key that is too short, or an origin that is none."""

    def __init__(self, token: str | None, signing_key: str | None, origins: Collection[str] = ()) -> None:
        self._token = reveal(token) if token else None
        self.tokens = Tokens(reveal(signing_key)) if signing_key else None
        """Without a key the operator wants none for listeners."""
        self.passes = self.tokens or Tokens(secrets.token_hex(32))
        """For what is a participant's own, which needs no key of the operator's: one of this process does."""
        self.origins = Origins(origins)

    @property
    def token_needed(self) -> bool:
        return self._token is not None

    def knows(self, token: object) -> bool:
        """Whether this is the server's token, or it has none."""
        return self._token is None or same(token, self._token)

    def listener(self, token: object, room: str, epoch: int) -> Right | None:
        """What a listener to this run of a room may have; the server's own token opens what everyone may have."""
        viewer = Right(Pass("viewer"), room, epoch, EVERYTHING.ends)
        if self.tokens is None:
            return viewer if self.knows(token) else None
        if self.knows(token) if self._token is not None else token is None:
            return viewer
        right = self.tokens.read(token, *LISTENERS)
        return right if right is not None and right.covers(room, epoch) else None

    def authorise(self, request: web.Request, token: str | None = None, audience: Audience | None = None) -> Right:
        """What a request may do that bears `token`, or without one the server's, where there is one: everything. A
        signed token of the `audience` gives what it says. No page from elsewhere may ask. Raises the refusal."""
        wanted, given = self._token if token is None else token, bearer(request)
        if wanted is None or same(given, wanted):
            right: Right | None = EVERYTHING
        else:
            right = self.tokens.read(given, audience) if self.tokens is not None and audience is not None else None
        if right is None:
            raise web.HTTPUnauthorized(text=BEARER)
        if not self.origins.admits(request):
            raise web.HTTPForbidden(text=ELSEWHERE)
        return right

    def participant(self, request: web.Request, room: str, epoch: int) -> Pass | None:
        """Who of this run of a room asks for what is their own; None without such a token. Raises the refusal for a
        page from elsewhere."""
        if not self.origins.admits(request):
            raise web.HTTPForbidden(text=ELSEWHERE)
        right = self.passes.read(bearer(request), "participant")
        return right.holder if right is not None and right.covers(room, epoch) else None


def bearer(request: web.Request) -> str | None:
    """The token that a request bears."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def same(given: object, token: str) -> bool:
    """In a time that does not say how much of it was right."""
    return isinstance(given, str) and hmac.compare_digest(_bytes(given), _bytes(token))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
