"""Conditions: three-valued, typed, and with nothing in them that could take long or look into an object."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.coaching.expressions import LONGEST, Expression, WrongExpression

KINDS = {"me.talk_share": "number", "me.run_s": "number", "room.people": "number", "event.kind": "text"}


def holds(text, **values):
    return Expression(text, KINDS).holds({name.replace("__", "."): value for name, value in values.items()})


@pytest.mark.parametrize(
    ("text", "share", "run_s", "expected"),
    [
        ("me.talk_share > 0.65", 0.7, 0, True),
        ("me.talk_share > 0.65", 0.65, 0, False),
        ("0.4 <= me.talk_share <= 0.6", 0.5, 0, True),
        ("me.talk_share > 0.65 and me.run_s > 90", 0.7, 80, False),
        ("me.talk_share > 0.65 or me.run_s > 90", 0.5, 91, True),
        ("not (me.talk_share > 0.65)", 0.5, 0, True),
        ("(me.run_s - 30) / 2 * 3 + 1 == 91", 0, 90, True),
        ("-me.run_s < -80", 0, 90, True),
        ("me.run_s / me.talk_share > 1", 0, 90, False),
        ("me.talk_share >\n  0.65", 0.7, 0, True),
    ],
)
def test_a_condition_means_what_it_says(text, share, run_s, expected):
    assert holds(text, me__talk_share=share, me__run_s=run_s) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me.talk_share > 0", False),
        ("me.talk_share <= 0", False),
        ("not (me.talk_share > 0)", False),
        ("me.talk_share + 1 > 0", False),
        ("me.talk_share == me.talk_share", False),
        ("me.talk_share > 0 and me.run_s > 1", False),
        ("me.talk_share > 0 or me.run_s > 1", True),
        ("me.run_s > 1 or me.talk_share > 0", True),
        ("not (me.run_s < 1 or me.talk_share > 0)", False),
        ("not (me.run_s < 1 and me.talk_share > 0)", True),
    ],
)
def test_what_is_not_known_makes_nothing_true(text, expected):
    assert holds(text, me__talk_share=None, me__run_s=2) is expected


def test_texts_are_compared_with_texts():
    assert holds('event.kind == "to_negative"', event__kind="to_negative")
    assert not holds("event.kind != 'to_negative'", event__kind="to_negative")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("me.talk_shre > 1", "me.talk_shre does not exist; did you mean me.talk_share?"),
        ("talk_share > 1", "talk_share does not exist; did you mean me.talk_share?"),
        ("you.q > 1", "you.q does not exist: names begin with me, room, event, and a dot"),
        ("me.talk_share", "it is no condition"),
        ("me.talk_share > 'much'", "compares things of two kinds"),
        ("event.kind > 'a'", "a comparison that a text does not know"),
        ("me.run_s and me.talk_share > 0", "'and' and 'or' join comparisons, and 'me.run_s' is no condition"),
        ("me.run_s >", "it cannot be read"),
        ("", "it cannot be read"),
        ("True", "True is no number"),
    ],
)
def test_a_mistake_is_named(text, sentence):
    with pytest.raises(WrongExpression) as caught:
        Expression(text, KINDS)
    assert sentence in str(caught.value)


HOSTILE = [
    "9**9**9**9 > 1",
    "2 << 99999999 > 1",
    "'a' * 999999999 == 'b'",
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' in '(a+)+$'",
    "[x for x in [1, 2]] == 1",
    "[1] * 9 == 1",
    "{1: 2} == 1",
    "f'{me.run_s:>99999999}' == 'x'",
    "(lambda: 1)() == 1",
    "().__class__ == 1",
    "me.__class__ == 1",
    "me.run_s.real > 1",
    "me.talk_share.__class__.__mro__ == 1",
    "__import__('os').system('true') == 0",
    "open('/etc/passwd') == 1",
    "(x := 1) > 0",
    "me.run_s if 1 > 0 else 2 > 1",
    "me['run_s'] > 1",
    "me.run_s > 1; 2",
    "1e999 > 1",
    "9999999999999 > 1",
    "9" * 490 + " > 1",
    "-" * 490 + "1 > 2",
    "(" * 240 + "1" + ")" * 240 + " > 1",
    "not " * 120 + "1 > 2",
    "1" + "+1" * 240 + " > 1",
    "me." * 160 + "x > 1",
    "f(" + "-" * 400 + "1) > 1",
    "1 > 0 and " * 60 + "1 > 0",
    "me.run_s > 1\x00",
    "'\\ud800' == 'a'",
    "1 is 1",
    "await me.run_s > 1",
    "*me.run_s > 1",
    "me.run_s > " + "1" * LONGEST,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_condition_is_refused_before_anything_is_reckoned(text):
    try:
        expression = Expression(text, KINDS)
    except WrongExpression:
        return
    assert text == "'\\ud800' == 'a'"  # odd, and harmless
    assert expression.holds({}) is False


WORDS = (
    "me.run_s me.talk_share room.people 1 0.5 999999999 'x' ** // == and or not in is if else lambda + - * / < > , : ."
)
PARTS = st.sampled_from([*WORDS.split(), *"()[]{}"])
VALUES = st.none() | st.floats() | st.integers(-(10**9), 10**9)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=30), VALUES, VALUES, VALUES)
def test_any_text_is_refused_or_answers_yes_or_no(parts, first, second, third):
    try:
        expression = Expression(" ".join(parts), KINDS)
    except WrongExpression:
        return
    values = dict(zip(KINDS, [first, second, third, "x"], strict=True))
    assert expression.holds(values) in (True, False)
    assert set(expression.names) <= set(KINDS)
