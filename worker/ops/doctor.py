"""Looks at the machine and says what is there, what is missing, and what to do about it."""

import platform
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from worker.errors import UndertoneError
from worker.registry import load
from worker.secrets import reveal

WAIT_S = 1.0
REDIS = "redis://127.0.0.1:6379/0"
"""Where Redis is sought when the configuration names none."""

Status = Literal["ok", "missing", "optional"]
SIGNS: Mapping[Status, str] = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[yellow]optional[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `missing` keeps the worker from running, `optional` does not."""

    name: str
    status: Status
    detail: str


def examine(room: Mapping[str, Any], sinks: list[dict[str, Any]], server: Mapping[str, Any]) -> list[Finding]:
    """Look at everything that these sections need. Nothing is started; Redis is asked for one answer."""
    findings = [Finding("python", "ok", platform.python_version()), *_packages(), _silero(), _torch()]
    urls = [str(section.get("url", REDIS)) for section in sinks if section.get("kind") == "redis"]
    findings += [_redis(url, named=bool(urls)) for url in urls or [REDIS]]
    if room.get("kind") != "replay":
        findings.append(_port(str(server.get("host", "127.0.0.1")), int(server.get("port", 8080))))
        if server.get("token") is not None:
            findings.append(_token(str(server["token"])))
    return findings


def healthy(findings: list[Finding]) -> bool:
    return all(finding.status != "missing" for finding in findings)


def show(findings: list[Finding], console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(SIGNS[finding.status], finding.name, finding.detail)
    console.print(table)
    console.print("Everything needed is here." if healthy(findings) else "Something needed is missing; see above.")


def as_dict(findings: list[Finding]) -> dict[str, Any]:
    return {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def _packages() -> Iterator[Finding]:
    """What the base install asks for; extras are left to those who use them."""
    for requirement in metadata.requires("undertone") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        version = _version(name)
        yield Finding(name, "ok" if version else "missing", version or f"install it with: pip install {name}")


def _silero() -> Finding:
    try:
        model = load({}, "worker.vad.silero:model_path")()
        load({}, "worker.vad.silero:Silero")()
    except UndertoneError as error:
        return Finding("voice model", "missing", str(error))
    return Finding("voice model", "ok", f"{model} ({model.stat().st_size / 1e6:.1f} MB, read without error)")


def _torch() -> Finding:
    version = _version("torch")
    return Finding("torch", "ok" if version else "optional", version or "not installed, and not needed to run")


def _redis(url: str, named: bool) -> Finding:
    status, detail = ask_redis(url)
    if status != "ok" and not named:
        status, detail = "optional", f"{detail}; needed only by the sink 'redis'"
    return Finding("redis", status, detail)


def ask_redis(url: str) -> tuple[Status, str]:
    """Whether Redis answers within a second or two, without anything secret from the url.

    It is `optional` where it is only away, and `missing` where the worker would not start before someone acts.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            reveal(url), socket_connect_timeout=WAIT_S, socket_timeout=WAIT_S, retry=Retry(NoBackoff(), 0)
        ) as client:
            client.ping()
    except UndertoneError as error:
        return "missing", str(error)
    except (AuthenticationError, NoPermissionError):
        return "missing", "refuses the user or the password of its url: correct them there"
    except ResponseError as error:
        return "missing", f"answers: {str(error).partition(', with args')[0].rstrip('.')}; correct its url"
    except (RedisError, OSError) as error:
        if "SSL" in str(error):
            return "missing", "shows no certificate that this machine trusts: correct the certificate, or its url"
        return "optional", f"does not answer ({type(error).__name__}): start it, or correct its url"
    except (ValueError, TypeError, AttributeError):
        return "missing", "has a url that is not one: write redis://user:password@host:6379/0"
    return "ok", "answers"


def _port(host: str, port: int) -> Finding:
    name = f"port {port}"
    if not 0 <= port <= 65_535:
        return Finding(name, "missing", "is no port: set server.port between 0 and 65535")
    try:
        with socket.create_server((host, port)):
            return Finding(name, "ok", f"free on {host}")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).partition(" (while")[0]
        advice = "stop what listens there, or set server.port to another"
        return Finding(name, "missing", f"cannot be had on {host} ({reason}): {advice}")


def _token(token: str) -> Finding:
    try:
        reveal(token)
    except UndertoneError as error:
        return Finding("server token", "missing", str(error))
    return Finding("server token", "ok", "set")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
