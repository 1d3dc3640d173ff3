"""Where events may be posted to, and what an answer means."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar

from worker.errors import ConfigError

NAMED = ("env:", "file:")
"""How a configuration names what stands elsewhere."""


def address(url: str, key: str) -> str:
    """The host of an address that may be posted to, https or http to this machine. Raises ConfigError for any other."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in ("https", "http") or parts.username is not None or parts.fragment:
        raise ConfigError(f"{key} must be https://host/path, without a user or a fragment.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(f"{key} must begin with https://: http:// is for this machine alone.")
    return host


def client(within_s: float) -> ClientSession:
    """Keeps no cookies, reads no proxy or password from the environment; for one request `within_s` seconds."""
    return ClientSession(cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=within_s), trust_env=False)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
