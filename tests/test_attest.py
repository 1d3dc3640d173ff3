"""The papers of a configuration: nothing in them but what it says, what the law leaves, and what the card holds."""

import hashlib
import json
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml

from worker.attest.impact import ASK
from worker.attest.papers import papers
from worker.attest_cli import attest
from worker.config import shipped
from worker.emotion.onnx import SHA256, SHIPPED
from worker.errors import ConfigError
from worker.privacy.law import Law
from worker.privacy.table import ROLES

DAY = date(2026, 11, 21)
CALL = {"level": "emotion", "jurisdiction": "eu", "context": "customer_call", "basis": "explicit_consent"}
CALL |= {"purpose": "to help during the call"}


def made(folder, **sections):
    """The three papers of a configuration with these sections."""
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump({"room": {"kind": "embedded"}, **sections}))
    return papers(path, DAY)


def measures(folder, **sections):
    """Of each risk whether its measure is in force."""
    lines = made(folder, **sections)["impact-assessment.md"].split("## 6.")[1].split("## 7.")[0].splitlines()
    return {cells[1].strip(): cells[3].strip() for line in lines if len(cells := line.split("|")) == 5}


@pytest.mark.parametrize("name", ["demo.yaml", "customer_call.yaml"])
def test_the_same_configuration_and_day_give_the_same_bytes_and_the_manifest_names_them(tmp_path, name):
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        attest(shipped(name), folder, datetime(2026, 11, 21))
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    manifest = json.loads(written[0].pop("manifest.json"))
    assert manifest["sha256"] == {file: hashlib.sha256(text).hexdigest() for file, text in written[0].items()}
    assert sorted(written[0]) == ["impact-assessment.md", "notice.md", "system-card.md"]


def test_no_secret_is_in_them(tmp_path):
    room = {"kind": "janus", "url": "wss://ada:canary1@janus.example.org/x", "room": 1, "pin": "canary2"}
    sinks = [
        {"kind": "redis", "url": "redis://:canary3@redis.example.org/0"},
        {"kind": "webhook", "url": "https://example.org/canary4", "secret": "env:CANARY_5"},
    ]
    server = {"host": "0.0.0.0", "token": "canary6", "signing_key": "canary7" * 8}
    keys = {"keys": ["env:NOT_SET_HERE"]}
    said = made(tmp_path, room=room, sinks=sinks, server=server, dashboard={"token": "canary8"}, keeping=keys)
    text = "".join(said.values())
    assert "canary" not in text.lower()
    assert all(place in text for place in ("`janus.example.org`", "`redis.example.org`", "`example.org`"))


def test_what_the_configuration_does_not_say_is_asked_of_the_operator(tmp_path):
    bare = made(tmp_path)["impact-assessment.md"]
    for key in ("notice.operator", "notice.contact", "policy.purpose", "policy.basis"):
        assert f"{ASK} `{key}` is empty" in bare
    notice = {"operator": "Example Ltd", "contact": "dpo@example.org"}
    told = made(tmp_path, policy=CALL, notice=notice)["impact-assessment.md"]
    assert "is empty" not in told
    assert all(word in told for word in (*notice.values(), CALL["purpose"], "`explicit_consent`"))


def test_each_role_stands_with_what_the_law_decides(tmp_path):
    told = made(tmp_path, policy=CALL)["impact-assessment.md"]
    law = Law(DAY, **CALL)
    for role in ROLES:
        assert f"| `{role}` | `{law.level_for(role).word}` | `{law.decision(role)['rule']}`: " in told


def test_figures_are_the_cards_own_and_only_where_emotion_is_made(tmp_path):
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() == SHA256
    with_emotion, without = made(tmp_path, policy=CALL)["system-card.md"], made(tmp_path)["system-card.md"]
    assert SHA256 in with_emotion
    assert "UAR by gender: F 0.651" in with_emotion
    card = SHIPPED.with_suffix(".md").read_text()
    evidence = with_emotion.split("## How good it is")[1].split("## Human oversight")[0].splitlines()
    figures = [line for line in evidence if line.startswith(("| ", "- "))]
    assert len(figures) > 20
    assert all(line in card.splitlines() for line in figures)
    assert "emotion | none is made" in without
    assert not any(word in without for word in ("UAR", SHA256, "smoothing."))


def test_a_model_of_ones_own_has_its_hash_and_no_figures_of_another(tmp_path):
    model = tmp_path / "mine.onnx"
    model.write_bytes(b"weights")
    card = made(tmp_path, policy=CALL, emotion={"kind": "onnx", "model": str(model)})["system-card.md"]
    assert hashlib.sha256(b"weights").hexdigest() in card
    assert "UAR" not in card
    with pytest.raises(ConfigError, match=r"correct emotion\.model"):
        made(tmp_path, policy=CALL, emotion={"kind": "onnx", "model": str(tmp_path / "gone.onnx")})


@pytest.mark.parametrize(
    ("risk", "sections", "without"),
    [
        ("Files are stolen", {"keeping": {"keys": ["env:KEY"]}}, "**no**: set `keeping.keys`"),
        ("Nobody can show what was done", {"audit": {"path": "/tmp/audit.jsonl"}}, "**no**: set `audit`"),
        (
            "Who may join hears what is not theirs",
            {"server": {"signing_key": "k" * 32}},
            "**no**: set `server.signing_key`",
        ),
        ("Names and words reach the log files", {}, None),
        (
            "Single people are watched under the name of a team",
            {"dashboard": {"smallest_group": 1}},
            "yes: there is no dashboard",
        ),
    ],
)
def test_measures_are_said_to_be_in_force_only_where_they_are(tmp_path, risk, sections, without):
    now = measures(tmp_path, **sections)[risk]
    if risk.startswith("Single"):
        assert now == "**no**: set `dashboard.smallest_group`"
        assert measures(tmp_path, dashboard={})[risk] == "yes: 5"
    else:
        assert now == "yes"
    assert without in (None, measures(tmp_path)[risk])
    assert measures(tmp_path, logs={"pii": True})["Names and words reach the log files"].startswith("**no**")


def test_a_yes_that_the_host_application_states_is_said_to_be_one(tmp_path):
    janus = {"kind": "janus", "url": "ws://127.0.0.1:8188", "room": 1}
    asked, stated = ({**janus, "consent": consent} for consent in ("each", "host"))
    assert measures(tmp_path, room=asked)["Somebody is heard who did not agree"] == "yes"
    assert "the operator asked them" in measures(tmp_path, room=stated)["Somebody is heard who did not agree"]
    assert "states that it asked everyone" in made(tmp_path, room=stated)["system-card.md"]


def test_every_wording_that_people_are_shown_stands_once(tmp_path):
    notice = made(tmp_path, policy=CALL, notice={"contact": "dpo@example.org"})["notice.md"]
    assert notice.count("Contact: dpo@example.org.") == notice.count("Version `") == 3
    assert "(`emotion`)" in notice.split("`customer`")[1].split("##")[0]


def test_what_a_worker_would_not_start_with_has_no_papers(tmp_path):
    with pytest.raises(ConfigError, match="eu_5_1_f"):
        made(tmp_path, policy={**CALL, "context": "work"})
    with pytest.raises(ConfigError, match="choose another place"):
        attest(shipped("demo.yaml"), Path("/proc/no"), datetime(2026, 11, 21))
