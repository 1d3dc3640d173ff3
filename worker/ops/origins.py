"""Which web pages may ask: the worker's own, and those of origins that the operator listed."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web

from worker.errors import ConfigError

API = "/v1/"
"""Where other origins' pages may ask; the rest is for people and for monitoring."""
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
ELSEWHERE = "A page from elsewhere may not ask here."

_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?!0)\d{1,5})?")
_NEEDLESS = re.compile(r"http://.*:80|https://.*:443")


class Origins:
    """`listed` are origins as browsers send them, of pages that are answered as the worker's own are.

    Credentials that browsers add by themselves, such as cookies, are never allowed: tokens alone open doors. Raises
    ConfigError for what no browser would send.
    """

    def __init__(self, listed: Collection[str] = ()) -> None:
        for origin in listed:
            if not _ORIGIN.fullmatch(origin) or _NEEDLESS.fullmatch(origin):
                raise ConfigError(
                    f"server.origins: {origin!r} is no origin: write it as browsers do, such as "
                    "https://app.example.org or http://localhost:5173, with neither path nor default port."
                )
        self._listed = frozenset(listed)

    def admits(self, request: web.Request) -> bool:
        """Whether no web page asks, or one that may. Compared byte by byte: of what only looks like a listed origin
        nobody knows whose it is."""
        origin = request.headers.get("Origin")
        return origin is None or origin in self._listed or _is_own(origin, request.host)

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser that asks whether a page may ask; None to everybody else."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or request.headers.get("Origin") not in self._listed or not request.path.startswith(API):
            return None
        return web.Response(status=204, headers=PREFLIGHT)

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the page that asked read the answer, if its origin is listed; caches keep such answers apart."""
        if self._listed and request.path.startswith(API):
            response.headers["Vary"] = "Origin"
            if (origin := request.headers.get("Origin")) in self._listed:
                response.headers["Access-Control-Allow-Origin"] = str(origin)


def _is_own(origin: str, host: str) -> bool:
    try:
        address = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return address != "" and address == host.lower()
