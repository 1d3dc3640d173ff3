"""`undertone policy`: what is on, what is off, and which rule says so."""

import json

import pytest
from typer.testing import CliRunner

from worker.errors import ConfigError
from worker.policy_cli import app

SALES = """
room: {kind: embedded}
policy: {level: emotion, jurisdiction: eu, context: customer_call, purpose: help, basis: explicit_consent}
"""


@pytest.fixture
def explain(tmp_path):
    path = tmp_path / "sales.yaml"

    def run(*arguments, text=SALES):
        path.write_text(text)
        done = CliRunner().invoke(
            app, ["explain", str(path), *arguments], catch_exceptions=False, env={"COLUMNS": "99"}
        )
        assert done.exit_code == 0
        return done.stdout

    return run


def states(answer):
    return {one["what"]: (one["on"], one["rule"]) for one in json.loads(answer)["findings"]}


def test_each_person_of_a_call_is_explained_by_their_own_rule(explain):
    customer, seller = (states(explain("--role", role, "--json")) for role in ("customer", "seller"))
    assert customer["emotion"] == customer["sentiment"] == (True, "eu_high_risk")
    assert seller["emotion"] == seller["sentiment"] == (False, "eu_5_1_f")
    assert customer["prosody"] == seller["prosody"] == (True, "level")
    assert customer["text_sentiment"] == (False, "no_reader")


def test_another_jurisdiction_and_context_can_be_tried(explain):
    answer = json.loads(explain("--role", "employee", "--jurisdiction", "us", "--context", "work", "--json"))
    assert answer["level"] == "emotion"
    told = ["tell people before the first word is heard", "ask each person"]
    assert answer["conditions"] == [*told, "get everyone's agreement", "announce it in the call"]
    assert json.loads(explain("--context", "work", "--json"))["refusal"].startswith("policy.level emotion is refused")


def test_people_read_a_table_with_every_rule_in_words(explain):
    shown = " ".join(explain("--role", "employee").split())
    assert "emotion off eu_5_1_f" in shown
    assert shown.count("The EU bans inferring") == 1
    told = "tell people before the first word is heard; ask each person"
    assert f"Besides: {told}; draw no conclusion from prosody about a mood." in shown


def test_what_has_no_engine_is_off(explain):
    found = states(explain("--role", "customer", "--json", text=SALES + "emotion:\n"))
    assert found["emotion"] == (False, "no_engine")


def test_the_default_is_metrics(explain):
    answer = json.loads(explain("--json", text="room: {kind: embedded}"))
    assert answer["level"] == "metrics"
    assert answer["refusal"] == ""


def test_a_role_that_does_not_exist_is_named(explain):
    with pytest.raises(ConfigError, match="--role custmer is not known"):
        explain("--role", "custmer")
