"""Which addresses the worker may be sent to by others than its operator."""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from worker.errors import ConfigError

PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
"""Schemes, and the port of each where none is named."""
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>[a-z0-9*.-]+|\[[0-9a-f:.]+\])(?P<port>:(?:[0-9]{1,5}|\*))?(?P<rest>[/?][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
"""Only what every parser reads alike: no user, no fragment, no backslash, no escape in the host, ASCII alone."""
_LABELS = re.compile(r"(?!-)[a-z0-9-]+(?<!-)(\.(?!-)[a-z0-9-]+(?<!-))*", re.ASCII)
ANY = -1


class Place(NamedTuple):
    scheme: str
    host: str
    """Small letters; `*.` before it in a pattern stands for one or more labels. IPv6 without brackets."""
    port: int
    """ANY in a pattern that takes any."""


class Allowed:
    """Patterns are `scheme://host:port`; the port may be left out or `*`, the host may begin with `*.`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises ConfigError for what is no pattern."""
        self._places = []
        for pattern in patterns:
            place = _place(pattern, pattern=True)
            if place is None:
                raise ConfigError(
                    f"control.allow: {pattern!r} is no address: write scheme://host:port, such as "
                    "wss://sfu.example.org:443; the scheme is ws, wss, http or https."
                )
            self._places.append(place)

    def admits(self, url: str) -> bool:
        """Whether this very address may be connected to; what may be read in more than one way may not."""
        wanted = _place(url, pattern=False)
        return wanted is not None and any(_matches(place, wanted) for place in self._places)


def _matches(pattern: Place, wanted: Place) -> bool:
    if pattern.scheme != wanted.scheme or pattern.port not in (ANY, wanted.port):
        return False
    if pattern.host.startswith("*."):
        return wanted.host.endswith(pattern.host[1:])
    return pattern.host == wanted.host


def _place(text: str, pattern: bool) -> Place | None:
    found = _ADDRESS.fullmatch(text)
    if found is None or (pattern and found["rest"] not in (None, "/")) or "#" in text or "\\" in text:
        return None
    scheme, port_text = found["scheme"].lower(), (found["port"] or "").removeprefix(":")
    if scheme not in PORTS or (port_text == "*" and not pattern):
        return None
    port = ANY if port_text == "*" else int(port_text or PORTS[scheme])
    host = _host(found["host"].lower(), pattern)
    return Place(scheme, host, port) if host is not None and port <= 65_535 and port != 0 else None


def _host(text: str, pattern: bool) -> str | None:
    """One spelling for each host; None for what is none. A number is a host only as an address in its usual form."""
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            return None
    name = text.removeprefix("*.") if pattern else text
    if _LABELS.fullmatch(name) is None:
        return None
    if name.rpartition(".")[2].isdigit() or name.rpartition(".")[2].startswith("0x"):
        try:
            return ipaddress.IPv4Address(text).compressed
        except ValueError:
            return None
    return text
