"""docs/coaching.md says what rules may hold, and what comes with the worker."""

import re
from pathlib import Path

import pytest
import yaml

from tests.test_docs import rows, under
from worker.coaching.files import load, packs
from worker.coaching.names import OCCASIONS, SCOPES
from worker.coaching.rules import Written
from worker.coaching.texts import FORMATS
from worker.prompts import ANSWERS
from worker.rehearsal.cli import HELD_BACK

PAGE = Path("docs/coaching.md").read_text()


def test_every_key_stands_with_its_default():
    documented = rows(under("A rule", PAGE))
    assert list(documented) == list(Written.model_fields)
    for name in ("audience", "severity"):
        assert documented[name][0] == f"`{Written.model_fields[name].default}`"


def test_every_pack_stands_with_its_rules():
    documented = rows(under("What comes with the worker", PAGE))
    assert {name: re.findall(r"`(\w+)`", cells[1]) for name, cells in documented.items()} == {
        name: [rule.name for rule in load([name])] for name in packs()
    }


def test_every_word_that_a_rule_may_use_is_there():
    assert {name.split(".")[0] for name in rows(under("Conditions", PAGE))} == {*SCOPES, "event"}
    assert set(OCCASIONS) < set(re.findall(r"`(\w+)`", under("Events", PAGE)))
    assert set(FORMATS) < set(re.findall(r"`(\w+)`", under("Texts", PAGE)))


def test_every_reason_and_answer_is_explained():
    text = under("How often", PAGE)
    assert set(HELD_BACK) <= set(re.findall(r"`(\w+)` \|$", text, re.MULTILINE))
    assert set(ANSWERS) - {"snoozed"} <= set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(- .*?)```", PAGE, re.DOTALL))
def test_the_examples_are_rules(tmp_path, text):
    (tmp_path / "page.yaml").write_text(text)
    assert len(load([str(tmp_path / "page.yaml")])) == len(yaml.safe_load(text)) == 2
