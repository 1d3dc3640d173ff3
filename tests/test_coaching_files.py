"""Files of rules: what they may say, and one sentence with file, line and nearest name for every mistake."""

import pytest

from worker.coaching.files import LONGEST, load, packs
from worker.errors import ConfigError
from worker.events import EmotionShifted, Interrupted

GOOD = """# A rule
- name: long_run
  when: >-
    me.run_s > 90 and
    me.talk_share > 0.5
  text: Pause, {me.name}.
  reason: You have gone on for {me.run_s:seconds}.
"""
EVENT = """
- name: cut_off
  on: interrupted
  me: by
  when: event.overlap_s > 1
  text: Let {event.speaker} finish.
  reason: You came in {event.overlap_s:seconds} before the end.
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load([str(path)])

    return read


def test_a_rule_gets_its_defaults(read):
    (rule,) = read(GOOD)
    assert (rule.name, rule.audience, rule.severity, rule.hold_s, rule.on) == ("long_run", "me", "hint", None, None)
    assert rule.when.names == ("me.run_s", "me.talk_share")
    assert rule.text.filled({"me.name": "Ada"}) == "Pause, Ada."
    assert rule.reason.filled({"me.run_s": 94.6}) == "You have gone on for 95 s."


def test_a_rule_may_wait_for_an_event(read):
    (rule,) = read(EVENT)
    assert (rule.on, rule.me) == (Interrupted, "by")
    tone = EVENT.replace("interrupted", "emotion_shifted\n  needs: emotion").replace("me: by", "me: others")
    (rule,) = read(tone.replace("overlap_s", "seconds"))
    assert (rule.on, rule.me, rule.needs) == (EmotionShifted, "others", "emotion")


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("percent", 0.678, "68 %"),
        ("seconds", 95.4, "95 s"),
        ("seconds", 0.44, "0.4 s"),
        ("minutes", 300.0, "5 min"),
        ("number", 3, "3"),
        ("number", 1.618, "1.62"),
        ("db", -6.2, "-6 dB"),
        ("percent", None, "n/a"),
    ],
)
def test_numbers_are_written_for_people(read, form, value, shown):
    (rule,) = read(GOOD.replace("run_s:seconds", f"run_s:{form}"))
    assert rule.reason.filled({"me.run_s": value}) == f"You have gone on for {shown}."


def changed(old, new, text=GOOD):
    assert old in text
    return text.replace(old, new)


MISTAKES = [
    (changed("me.run_s > 90", "me.rn_s > 90"), 4, "when: me.rn_s does not exist; did you mean me.run_s?"),
    (changed("me.talk_share >", "me.tlk_share >"), 5, "when: me.tlk_share does not exist; did you mean me.talk_share?"),
    (changed("me.talk_share > 0.5", "side.talk_shar > 1"), 5, "side.talk_shar does not exist; did you mean side.talk_"),
    (changed("me.talk_share > 0.5", "room.size > 1"), 5, "when: room.size does not exist"),
    (changed("me.talk_share > 0.5", "event.by == 'x'"), 5, "when: event.by does not exist"),
    (changed("90 and", "90 ** 9 > 1 and"), 3, "when: '90 ** 9' may not stand there"),
    (changed("{me.name}", "{me.nmae}"), 6, "text: me.nmae does not exist; did you mean me.name?"),
    (changed(":seconds", ":second"), 7, "reason: {me.run_s:second}: a number may be percent, seconds, minutes, times"),
    (changed("{me.name}", "{me.name:percent}"), 6, "a text has no format"),
    (changed("{me.name}", "{me.name"), 6, "text: it has a { or } that is no placeholder"),
    (changed("{me.name}", "{}"), 6, "text: {} does not exist"),
    (changed("  text:", "  txt:"), 6, "txt: it is no key of a rule; did you mean text?"),
    (changed("  text: Pause, {me.name}.\n", ""), 2, "text is missing"),
    (changed("  text: Pause", "  text: Pause: now"), 6, "this is not YAML: look at indents, and put quotes around"),
    (changed("long_run", "Long run"), 2, "name: String should match pattern"),
    (changed("  text", "  severity: loud\n  text"), 6, "severity: Input should be 'info', 'hint' or 'strong'"),
    (changed("  text", "  hold_s: -1\n  text"), 6, "hold_s: Input should be greater than or equal to 0"),
    (changed("  text", "  me: by\n  text"), 6, "me: it belongs to rules with 'on'"),
    (changed("  text", "  when: me.run_s > 1\n  text"), 6, "when stands twice in this rule"),
    (GOOD + GOOD, 9, "there are two rules of the name long_run"),
    (changed("interrupted", "interupted", EVENT), 3, "on: interupted does not exist; did you mean interrupted?"),
    (changed("me: by", "me: bye", EVENT), 4, "me: interrupted has nobody of that name; did you mean by?"),
    (changed("me: by", "hold_s: 1", EVENT), 4, "hold_s: an event happens at one moment"),
    (changed("interrupted", "emotion_shifted", EVENT), 3, "on: a rule about how a voice sounds must say 'needs: emo"),
    (
        changed("  text", "  needs: emotion\n  audience: managers\n  text"),
        7,
        "audience: how a voice sounded is told to",
    ),
]


@pytest.mark.parametrize(("text", "line", "sentence"), MISTAKES, ids=[sentence for _, _, sentence in MISTAKES])
def test_a_mistake_is_one_sentence_with_its_line(read, tmp_path, text, line, sentence):
    with pytest.raises(ConfigError) as caught:
        read(text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/mine.yaml, line {line}: ")
    assert sentence in said
    assert "\n" not in said
    assert said[-1] in ".?"
    assert said[-2] not in ".?"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must be a list of rules"),
        ("[]", "has 0 rules"),
        ("- 1", "must be a list of rules"),
        ("name: x", "must be a list of rules"),
        ("- {name: x}\n" * 101, "has 101 rules: write from 1 to 100"),
        ("#" * (LONGEST + 1), "100000 are the most"),
        (b"\xff\xfe", "is not text"),
        ("- name: !!python/object/apply:os.system [true]", "is not YAML"),
        ("[" * 2000, "is not YAML"),
    ],
)
def test_what_is_no_list_of_rules_is_refused(read, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(text)


def test_packs_and_files_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="no pack of rules 'sale'; did you mean sales"):
        load(["sale"])
    with pytest.raises(ConfigError, match="there are meeting, sales, small_group, support, or name"):
        load(["xyzw"])
    with pytest.raises(ConfigError, match="cannot be read"):
        load([str(tmp_path / "none.yaml")])
    with pytest.raises(ConfigError, match="two rules of the name share_the_floor"):
        load(["sales", "meeting"])
    assert set(packs()) == {"meeting", "sales", "small_group", "support"}
