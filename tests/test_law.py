"""What the law leaves of what a configuration wishes for: every combination, and what no combination can do."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.policy_table import EXEMPTION, FILE, STATED, TODAY, text
from worker import config
from worker.errors import ConfigError
from worker.privacy import law as module
from worker.privacy.law import Case, Law, decide
from worker.privacy.levels import ENGINES, LEVELS, Level
from worker.privacy.table import BASES, CONDITIONS, CONTEXTS, EXEMPTED, LIFTED, PLACES, ROLES, RULES, TABLE, Row

DOORS = {("customer_call", "customer"), ("private", "adult"), ("research", "participant")}
"""Where, in the EU, somebody's emotion may be heard at all."""
PAGE = Path("docs/privacy.md").read_text()

cases = st.builds(
    Case,
    st.lists(st.sampled_from([*PLACES, "mars"]), max_size=3).map(tuple),
    st.sampled_from([*CONTEXTS, "party"]),
    st.sampled_from([*ROLES, "seller", "boss", ""]),
    st.sampled_from(["", "help", "medical"]),
    st.sampled_from(BASES),
    st.sampled_from([None, EXEMPTION]),
)


def a_law(level="emotion", jurisdiction="eu", context="customer_call", **more):
    return Law(TODAY, level, jurisdiction, context=context, **STATED | more)


def test_every_combination_is_as_the_table_that_people_review():
    assert FILE.read_text() == text(), "if this is wanted: python -m tests.policy_table, and have the table reviewed"


def test_what_must_not_change_holds_line_by_line():
    held = 0
    for row in csv.DictReader(FILE.read_text().splitlines()):
        highest, role = LEVELS[row["highest"]], row["role"]
        most = Level.EMOTION
        if row["jurisdiction"] in ("eu", "unknown") and (row["context"], role) not in DOORS:
            most = Level.METRICS if row["context"] in ("education", "unknown") else Level.PROSODY
        if role == "minor":
            most = Level.METRICS
        assert highest <= most, row
        if most is not Level.EMOTION:
            assert row["must_not_change"], row
            held += 1
    assert held == 2 * (7 * 9 - len(DOORS)) + 3 * 7


@given(
    st.sampled_from(list(LEVELS)),
    st.lists(st.sampled_from(PLACES), max_size=4),
    st.sampled_from(CONTEXTS),
    st.sampled_from(ROLES),
    st.text(max_size=9) | st.sampled_from(["medical", "safety"]),
    st.sampled_from(BASES),
    st.sampled_from(["employee", "seller", "agent", "candidate", "student", "unknown", "boss"]),
)
@settings(deadline=None)
def test_who_works_or_learns_in_the_eu_is_never_heard_above_prosody(level, used_in, context, own, purpose, basis, role):
    for place in ("eu", "unknown"):
        law = Law(TODAY, level, place, tuple(used_in), context, own, purpose, basis)
        assert law.level_for(role) <= Level.PROSODY


def test_every_option_of_the_law_is_tried_by_that():
    assert set(config.option_model("policy").model_fields) == {
        "level",
        "jurisdiction",
        "used_in",
        "context",
        "role",
        "purpose",
        "basis",
        "exemption",
        "exemption_key",
    }


def restrictions(case):
    yield from (replace(case, places=(*case.places, place)) for place in (*PLACES, "mars"))
    yield replace(case, exemption=None)
    yield from (replace(case, context=context) for context in ("unknown", "party"))
    # Of a minor more is known than nothing, and it forbids more.
    yield from (replace(case, role=role) for role in ("minor", *(("unknown", "boss") if case.role != "minor" else ())))
    yield from (replace(case, **{name: ""}) for name in ("purpose", "basis"))


@given(cases)
@settings(deadline=None)
def test_a_restriction_never_raises_a_level(case):
    case = replace(case, places=case.places or ("eu",))
    before = decide(case)
    for restricted in restrictions(case):
        assert decide(restricted).highest <= before.highest, restricted
    assert decide(replace(case, places=())) == decide(replace(case, places=("unknown",)))


@given(cases, st.sampled_from(Level), st.sampled_from(["off", "own_eyes", "opt_in"]))
@settings(deadline=None)
def test_a_new_line_can_only_forbid(case, highest, words):
    before = decide(case)
    line = Row(PLACES, CONTEXTS, ROLES, highest, words, "new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TABLE", (line, *TABLE))
        after = decide(case)
    assert after.highest == min(before.highest, highest)


@given(cases)
@settings(deadline=None)
def test_words_the_law_does_not_know_are_the_unknown(case):
    def known(word, words):
        return word if word in words else "unknown"

    plain = replace(
        case,
        places=tuple(known(place, PLACES) for place in case.places) or ("unknown",),
        context=known(case.context, CONTEXTS),
        role="employee" if case.role == "seller" else known(case.role, ROLES),
    )
    assert decide(case) == decide(plain)


@pytest.mark.parametrize("lacking", ["jurisdiction", "context", "purpose", "basis", "role"])
def test_emotion_waits_until_all_is_stated(lacking):
    case = Case(("us",), "work", "adult", "help", "consent")
    assert decide(case).highest is Level.EMOTION
    less = {"jurisdiction": {"places": ("us", "unknown")}}.get(
        lacking, {lacking: "" if lacking in STATED else "unknown"}
    )
    verdict = decide(replace(case, **less))
    assert verdict.missing == (lacking,)
    assert verdict.highest <= Level.PROSODY
    assert "unstated" in verdict.rules()


@pytest.mark.parametrize("basis", [basis for basis in BASES if basis != "explicit_consent"])
def test_in_the_eu_nothing_but_explicit_consent_is_a_basis_for_emotion(basis):
    verdict = decide(Case(("eu",), "customer_call", "customer", "help", basis))
    assert verdict.highest is Level.PROSODY
    assert "gdpr_9" in verdict.rules()


def test_an_exemption_counts_for_its_own_purpose_alone():
    case = Case(("eu",), "work", "employee", "medical", "legal_obligation", EXEMPTION)
    assert decide(case).highest is Level.EMOTION
    assert decide(case).rules() == ("eu_exemption",)
    assert decide(replace(case, purpose="productivity")).highest is Level.PROSODY
    assert decide(replace(case, role="minor")).highest is Level.METRICS


def test_a_customer_and_a_seller_in_one_call_are_judged_each_by_their_own_line():
    law = a_law()
    assert law.level_for("customer") is Level.EMOTION
    assert law.level_for("seller") is law.level_for("somebody") is Level.PROSODY
    assert law.engines() == {"vad", "prosody", "emotion"}
    assert law.engines(["seller"]) == {"vad", "prosody"}


def test_who_brings_no_role_has_the_configurations_own():
    assert a_law(role="customer").level_for("") is Level.EMOTION
    assert a_law().level_for("") is Level.PROSODY


def test_a_role_that_nobody_knows_is_not_the_configurations_own():
    assert a_law(role="customer").level_for("somebody") is Level.PROSODY


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_made_that_the_level_has_no_use_for(level):
    law = a_law(level, "us", "work")
    assert law.engines() == {name for name, needed in ENGINES.items() if needed <= LEVELS[level]}
    assert law.level_for("employee").word == level


def test_no_engine_is_made_that_the_law_lets_hear_nobody():
    assert a_law(context="work").engines() == {"vad", "prosody"}
    assert a_law(context="education").engines() == {"vad"}
    assert Law(TODAY).engines() == {"vad"}


@pytest.mark.parametrize(
    ("options", "rule", "leave"),
    [
        ({"context": "work"}, "eu_5_1_f", "prosody"),
        ({"context": "education"}, "eu_5_1_f", "metrics"),
        ({"context": "education", "level": "prosody"}, "eu_education", "metrics"),
        ({"basis": "legitimate_interest"}, "gdpr_9", "prosody"),
        ({"jurisdiction": "us", "context": "work", "purpose": ""}, "unstated", "prosody"),
    ],
)
def test_what_nobody_may_have_is_refused_by_name(options, rule, leave):
    refusal = a_law(**options).refusal
    assert f"({rule}): {RULES[rule]}" in refusal
    assert refusal.endswith(f"Or set it to {leave}.")


def test_who_stated_nothing_is_told_what_to_state():
    assert "State policy.jurisdiction and policy.context," in Law(TODAY, level="emotion").refusal
    assert "State policy.context," in Law(TODAY, level="emotion", jurisdiction="eu").refusal


def test_what_is_missing_is_said():
    assert "Missing: purpose, basis." in a_law(jurisdiction="us", purpose="", basis="").refusal


@pytest.mark.parametrize("options", [{}, {"context": "work", "level": "prosody"}, {"level": "metrics"}])
def test_what_somebody_may_have_is_not_refused(options):
    assert a_law(**options).refusal == ""


def test_sentiment_from_the_voice_is_emotion_under_another_name():
    for law in (a_law(), a_law(context="work")):
        for role in ROLES:
            found = {one.what: one for one in law.explain(role)}
            emotion, sentiment = found["emotion"], found["sentiment"]
            assert (sentiment.on, sentiment.rule) == (emotion.on, emotion.rule)


@given(cases, st.sampled_from(list(LEVELS)))
@settings(deadline=None)
def test_what_is_off_names_what_forbids_it_and_what_is_on_is_within_the_level(case, level):
    if case.context not in CONTEXTS or not set(case.places) <= set(PLACES):
        return
    place, *others = case.places or ("unknown",)
    law = Law(TODAY, level, place, tuple(others), case.context, purpose=case.purpose, basis=case.basis)
    for one in law.explain(case.role):
        if one.what == "text_sentiment":
            continue
        needed = LEVELS[{"sentiment": "emotion"}.get(one.what, one.what)]
        assert one.on == (needed <= law.level_for(case.role))
        if not one.on and needed <= LEVELS[level]:
            assert one.rule not in ("level", "eu_high_risk", "us_bipa", "us_recording", "elsewhere")
        assert one.sentence.startswith(RULES[one.rule]) or one.rule == "level"


@pytest.mark.parametrize("key", ["force", "override", "allow_emotion", "ignore_law"])
def test_there_is_no_flag_that_lifts_it(key):
    with pytest.raises(ConfigError, match=rf"policy\.{key} is not a known setting"):
        config.settle({"room": {"kind": "embedded"}, "policy": {key: True}})


def test_the_environment_does_not_lift_it():
    environment = {"LEVEL": "emotion", "ROLE": "adult", "PURPOSE": "medical", "BASIS": "explicit_consent"}
    environment |= {"JURISDICTION": "eu", "CONTEXT": "work"}
    over = {f"UNDERTONE__POLICY__{key}": value for key, value in environment.items()}
    section = config.read(Path("configs/demo.yaml"), environment=over).policy
    law = config.construct(Law, section, "policy", today=TODAY)
    assert "emotion" not in law.engines()
    assert law.level_for("employee") is Level.PROSODY


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"level": "sentiment"}, "policy.level"),
        ({"jurisdiction": "mars"}, "policy.jurisdiction"),
        ({"exemption": "exemption.json"}, "policy: exemption_key is not an Ed25519 public key"),
        ({"exemption": "exemption.json", "exemption_key": "AAAA"}, "policy: exemption_key is not"),
    ],
)
def test_a_wrong_section_is_one_sentence(section, sentence):
    with pytest.raises(ConfigError, match=sentence):
        config.settle({"room": {"kind": "embedded"}, "policy": section})


def test_without_an_exemption_the_law_has_no_end():
    assert a_law().until is None


def test_every_rule_and_every_condition_has_its_sentence():
    used = {row.rule for row in (*TABLE, EXEMPTED)} | {"gdpr_9", "unstated", "level", "no_engine", "no_reader"}
    assert used == set(RULES)
    assert set(LIFTED) < used
    assert {condition for row in (*TABLE, EXEMPTED) for condition in row.conditions} == set(CONDITIONS)


def test_the_page_has_every_rule_condition_role_and_context():
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {*RULES, *LEVELS, *ROLES, *CONTEXTS} <= told
    for sentence in CONDITIONS.values():
        assert sentence in " ".join(PAGE.split())
