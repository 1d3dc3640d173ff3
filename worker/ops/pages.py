"""The page's files, and what tells browsers how to treat all that the worker serves."""

import re
from pathlib import Path

from aiohttp import web

from worker.errors import ConfigError
from worker.packaged import packaged

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Server": "undertone",
}
_ORIGIN = re.compile(r"wss?://[A-Za-z0-9.:\[\]-]+(?=/|\Z)")


class Pages:
    """The files below `folder`, by default those that come with the worker. Raises ConfigError when there is none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or packaged("pages")).resolve()
        if not self._folder.is_dir():
            raise ConfigError(f"server.pages: the folder {folder} does not exist.")

    async def answer(self, request: web.Request) -> web.FileResponse:
        """The file that the match `path` names; `index.html` where it names none."""
        path = request.match_info["path"] or "index.html"
        if "\0" not in path:
            file = (self._folder / path).resolve()
            if file.is_relative_to(self._folder) and file.is_file():
                return web.FileResponse(file)
        raise web.HTTPNotFound(text="There is no such page here.")


def headers(janus_url: str) -> dict[str, str]:
    """Of every answer. Pages may connect to the worker and, where there is one, to their Janus. Raises ConfigError."""
    janus = _ORIGIN.match(janus_url)
    if janus_url and janus is None:
        raise ConfigError(
            "server.janus_url must be the address of Janus' WebSocket: ws://host:8188 or wss://host/path."
        )
    connect = f"'self' {janus[0]}" if janus else "'self'"
    policy = (
        f"default-src 'self'; connect-src {connect}; img-src 'self' data:; media-src 'self' blob:;"
        " frame-ancestors 'none'; base-uri 'none'"
    )
    return HEADERS | {"Content-Security-Policy": policy}
