"""The commands `undertone rooms`: they ask a running worker's control API."""

import json
import re
import time
from http.client import HTTPException
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import typer
from rich.console import Console
from rich.table import Table

from worker.errors import ConfigError, UndertoneError
from worker.secrets import reveal

app = typer.Typer(help="See, join and leave the rooms of a running worker.", no_args_is_help=True)

ANSWER_S = 30.0
"""Seconds that the worker has for an answer; leaving a room waits for its last events."""
LOOK_S = 0.2
NOTHING = 204
"""The status of an answer that says nothing."""
LARGEST = 4 * 1024 * 1024
"""Bytes of an answer."""
SECRET = re.compile(r"(^|_)(pin|token|secret|password)$")
"""Settings that must not stand on a command line, where everyone on the machine can read them."""

Worker = Annotated[str, typer.Option("--worker", help="Where the worker's server listens.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="UNDERTONE_CONTROL_TOKEN", help="Of its control API; may be env:NAME or file:PATH.", show_envvar=True
    ),
]
HERE = "http://localhost:8080"


@app.command("list")
def list_rooms(
    worker: Worker = HERE,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say which rooms the worker is in, and which ended last."""
    found = ask(worker, token, "GET", "/v1/rooms")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table("id", "name", "kind", "state", "reason", "speakers", box=None)
    for room in found["rooms"]:
        here = sum(speaker["present"] for speaker in room["speakers"].values())
        table.add_row(room["id"], room["name"], room["kind"], room["state"], room["reason"] or "", str(here))
    Console(soft_wrap=True).print(table)


@app.command()
def join(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE…", help="Text after =, anything in JSON after :=; secrets as env:NAME or file:PATH."
        ),
    ] = None,
    template: Annotated[str | None, typer.Option(help="A template of the worker's section control.")] = None,
    kind: Annotated[str | None, typer.Option(help="A kind of room, such as janus, in place of a template.")] = None,
    worker: Worker = HERE,
    token: Token = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is in the room.")] = 10.0,
) -> None:
    """Join a room, and print its id."""
    fields = dict(_setting(text) for text in settings or [])
    if (template is None) == (kind is None):
        raise ConfigError("name either --template or --kind.")
    body = {"template": template, "fields": fields} if template is not None else {"room": {"kind": kind} | fields}
    room = ask(worker, token, "POST", "/v1/rooms", body)
    until = time.monotonic() + wait
    while room["state"] == "joining" and time.monotonic() < until:
        time.sleep(LOOK_S)
        room = ask(worker, token, "GET", f"/v1/rooms/{room['id']}")
    if room["state"] == "failed":
        raise UndertoneError(f"the room could not be joined: {room['reason']}.", str(room["reason"]))
    print(room["id"], room["state"])


@app.command()
def leave(
    room: Annotated[str, typer.Argument(help="Its id, from `undertone rooms list`.")],
    worker: Worker = HERE,
    token: Token = None,
) -> None:
    """Leave a room; returns when its last event has been delivered."""
    if not room.isalnum():
        raise ConfigError("a room's id has letters and digits only: see 'undertone rooms list'.")
    ask(worker, token, "DELETE", f"/v1/rooms/{room}")


class _NoRedirects(HTTPRedirectHandler):
    """The token is for this worker alone."""

    def redirect_request(self, *args: Any) -> None:
        return None


def ask(worker: str, token: str | None, method: str, path: str, body: Any = None) -> Any:
    """What the worker answers. Raises UndertoneError with its sentence, ConfigError for an address that is none."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {reveal(token)}"
    if not worker.startswith(("http://", "https://")):
        raise ConfigError(f"--worker {worker} is no address: write http://host:port.")
    data = json.dumps(body).encode() if body is not None else None
    try:
        request = Request(worker.rstrip("/") + path, data, headers, method=method)  # noqa: S310
        with build_opener(ProxyHandler({}), _NoRedirects()).open(request, timeout=ANSWER_S) as answer:
            said, wanted = _json(answer.read(LARGEST)), answer.status != NOTHING
    except HTTPError as error:
        said = _json(error.read(LARGEST))
        if isinstance(said, dict) and "error" in said and (error.code not in (404, 405) or "code" in said):
            raise UndertoneError(str(said["error"])) from None
        wanted, said = True, None
    except (URLError, OSError, HTTPException):
        raise UndertoneError(f"no worker answers at {worker}: start one, or correct --worker.") from None
    except ValueError:
        raise ConfigError(f"--worker {worker} is no address, or the token is not plain text.") from None
    if wanted and not (isinstance(said, dict) and said.keys() & {"rooms", "state"}):
        raise UndertoneError(f"no control API answers at {worker}: give the worker's configuration a section control.")
    return said


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _setting(text: str) -> tuple[str, Any]:
    """`key=text` or `key:=json`; what is behind the place of a secret."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip(":"):
        raise ConfigError(f"{text!r} is no setting: write key=text, or key:=JSON for numbers and lists.")
    if SECRET.search(name := key.removesuffix(":")):
        if key != name or (value and not value.startswith(("env:", "file:"))):
            raise ConfigError(f"{name} is a secret: write {name}=env:NAME or {name}=file:PATH, which is read here.")
        return key, reveal(value)
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], json.loads(value)
    except ValueError:
        raise ConfigError(f"what follows {key}= is not JSON.") from None
