"""docs/metrics.md defines every number that is said of a conversation."""

import dataclasses
import re
from pathlib import Path

import pytest

from worker.conversation import balance, measure, pace, shifts, tally
from worker.conversation.engagement import Engagements
from worker.events import ConversationMeasured, SpeechMeasured
from worker.figures import Figures, PersonFigures, RoomFigures, SideFigures
from worker.figures import RoomFigures as Room

PAGE = Path("docs/metrics.md").read_text()


def under(heading):
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found.group(1)


def defined(heading):
    """The names in the first cells of a table."""
    rows = [line for line in under(heading).splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def fields(kind):
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Of one person", fields(PersonFigures)),
        ("Of the room", fields(RoomFigures)),
        ("Of one side", fields(SideFigures)),
        ("Pace", fields(SpeechMeasured) - {"at", "speaker", "window_start"}),
        ("Shifts", {"arousal_rise", "to_negative"}),
    ],
)
def test_every_figure_is_defined(heading, names):
    assert defined(heading) == names


def test_every_list_and_table_is_defined():
    names = (fields(Figures) | fields(ConversationMeasured)) - {"at", "room", "speakers", "window_s"}
    assert {name for name in names if f"`{name}`" not in under("Of the room")} == set()


def test_the_parts_of_the_score_stand_with_their_weights():
    (event,) = Engagements().push(ConversationMeasured(0.0, 300.0, Room(), {}, {}, {}, {}, ()))
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", under("Engagement"), re.MULTILINE))
    assert {name: float(weight) for name, weight in rows.items()} == pytest.approx(dict(event.weights))


def test_the_least_that_is_said_is_what_is_asked():
    assert f"{balance.LEAST_SPEECH_S:.0f} s of speech by all" in under("Of one person")
    assert f"here for {balance.LEAST_HERE_S:.0f} s" in under("Of one person")
    assert f"{tally.LEAST_GAPS} gaps; the newest {tally.PERSON_GAPS}" in under("Of the room")
    assert f"{measure.LEAST_HEARD_S:.0f} s heard" in under("Of the room")
    assert f"{pace.USUAL_LEAST} stretches before" in under("Of one person")
    assert f"{pace.LEAST} stretches" in under("Of one person")
    assert f"last {balance.LEAVERS} are kept" in PAGE
    assert f"the {measure.LEAVERS_TOLD} of them" in PAGE
    assert f"at least {shifts.BEFORE_LEAST} estimates" in under("Shifts")
    assert f"from {shifts.BEFORE_MOST} on" in under("Shifts")
    assert f"at least {shifts.SHIFT_LEAST} estimates" in under("Shifts")
