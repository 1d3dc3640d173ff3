"""Every code that can stand as a reason is in docs/rooms.md, with what the worker does about it."""

import ast
from pathlib import Path

from tests.test_docs import rows, under
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerLeft
from worker.ops.control import STATUS
from worker.rooms.janus import api
from worker.rooms.rejoining import FINAL, FINAL_AT_FIRST, PASSING

PAGE = under("Reasons", Path("docs/rooms.md").read_text())
TROUBLE, OTHER = (rows(part) for part in PAGE.split("Not trouble with a room"))
INNER = {"not_yet", "closed"}
"""Never seen outside: a feed that is asked for again, and requests of a room that we are leaving."""


def calls(path, name, place):
    """The literal arguments in this place of all calls of this name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name:
            for argument in node.args[place : place + 1]:
                if isinstance(argument, ast.Constant):
                    yield argument.value


def of_rooms(name, place):
    return {code for path in Path("worker/rooms").rglob("*.py") for code in calls(path, name, place)}


def test_every_trouble_with_a_room_is_there():
    raised = of_rooms("RoomError", 1) | set(api.SENTENCES) | {RoomError.code, ConfigError.code}
    assert set(TROUBLE) == (raised | FINAL | FINAL_AT_FIRST | PASSING) - INNER
    assert set(api.CORE.values()) | set(api.VIDEOROOM.values()) <= set(api.SENTENCES)


def test_what_the_worker_does_about_it_is_true():
    for code, (_, then) in TROUBLE.items():
        if code in PASSING | FINAL_AT_FIRST:
            assert then == "ends at first", code
        else:
            assert then == ("ends" if code in FINAL else "joins again"), code


def test_every_other_reason_is_there():
    left = of_rooms("SpeakerLeft", 2) | of_rooms("_leave", 1) | {SpeakerLeft(0.0, "p1").reason}
    rejoining = {"closed"}  # what it says of everyone when it is closed itself
    session = {"ended", "failed"}
    assert set(OTHER) == left | rejoining | session | set(STATUS) | {"bug"}
