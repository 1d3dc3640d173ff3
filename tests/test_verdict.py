"""What is shown, window by window: a letter is a window of that label, `-` one of no label, `#` not speech."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.emotion.labels import LABELS
from worker.emotion.verdict import MIXED, NOT_SPEECH, OTHER_WINDOWS, Bounds, Verdict

LETTERS = {label[0]: label for label in LABELS} | {"-": MIXED, "#": NOT_SPEECH}
BOUNDS = Bounds(first=0.75, least=0.55, keep=0.3, appear_windows=3, leave_windows=2)


def likely(**known):
    """The probability of each label; those not named share the rest."""
    others = [label for label in LABELS if label not in known]
    return known | dict.fromkeys(others, (1 - sum(known.values())) / max(1, len(others)))


def shown(pattern):
    verdict = Verdict(BOUNDS)
    written = []
    for letter in pattern:
        sure = likely() if letter == "-" else likely(**{LETTERS[letter]: 0.9}) if letter != "#" else None
        what = verdict.push_other() if sure is None else verdict.push(sure, sure)
        written.append(next(letter for letter, name in LETTERS.items() if name == what))
    return "".join(written)


@pytest.mark.parametrize(
    ("windows", "screen"),
    [
        ("tttt", "tttt"),
        ("--ttt", "----t"),
        ("--tt-ttt", "-------t"),
        ("tpttptt", "ttttttt"),
        ("t-t-t", "ttttt"),
        ("t--", "tt-"),
        ("tppp", "tt-p"),  # against one label after two windows, for another after three
        ("tpnpnp", "tt----"),
        ("-#", "--"),
        ("-##", "--#"),
        ("t#t#t", "ttttt"),
        ("t##", "tt#"),
        ("#t#t", "####"),
        ("##tttt", "###-tt"),  # speech after two windows, a label after three
        ("tt-#-", "tttt-"),  # what is no speech speaks neither for a label nor against it
        ("-tt#ttt", "------t"),
    ],
)
def test_it_takes_windows_in_a_row(windows, screen):
    assert shown(windows) == screen


def test_a_first_answer_must_be_likelier_than_a_later_one():
    for p, what in [(0.75, "tense"), (0.74, MIXED)]:
        assert Verdict(BOUNDS).push(likely(tense=p), likely(tense=p)) == what
    verdict = Verdict(BOUNDS)
    verdict.push(likely(), likely())
    for what in (MIXED, MIXED, "tense"):
        assert verdict.push(likely(tense=0.55), likely(tense=0.55)) == what


def test_a_label_stays_while_the_newest_windows_are_not_against_it_whatever_the_mean():
    verdict = Verdict(BOUNDS)
    verdict.push(likely(tense=0.8), likely(tense=0.8))
    for own, what in [(0.3, "tense"), (0.3, "tense"), (0.29, "tense"), (0.4, "tense"), (0.29, "tense"), (0.29, MIXED)]:
        assert verdict.push(likely(tense=0.2), likely(tense=own)) == what


def test_another_label_comes_up_without_mixed_between_where_the_first_is_still_heard():
    verdict = Verdict(BOUNDS)
    verdict.push(likely(tense=0.8), likely(tense=0.8))
    now = likely(positive=0.6, tense=0.35)
    sure, vague = likely(positive=0.9), likely(positive=0.2)
    screen = [verdict.push(window, window) for window in (now, now, sure, vague, vague)]
    assert screen == ["tense", "tense", "positive", "positive", MIXED], (
        "what spoke against one is not held against both"
    )


def test_a_label_that_only_the_mean_names_is_not_shown():
    verdict = Verdict(BOUNDS)
    verdict.push(likely(), likely())
    assert {verdict.push(likely(positive=0.8), likely(tense=0.8)) for _ in range(5)} == {MIXED}


dealt = st.lists(st.integers(1, 20), min_size=4, max_size=4).map(
    lambda parts: dict(zip(LABELS, (part / sum(parts) for part in parts), strict=True))
)
windows = st.lists(st.none() | st.tuples(dealt, dealt), max_size=40)


@settings(deadline=None)
@given(windows)
def test_every_change_was_asked_for_by_windows_in_a_row(sequence):
    verdict = Verdict(BOUNDS)
    screen = [verdict.push_other() if heard is None else verdict.push(*heard) for heard in sequence]
    for at, (before, now) in enumerate(pairwise(screen), 1):
        if now in LABELS and now != before:
            for heard in sequence[at + 1 - BOUNDS.appear_windows : at + 1]:
                assert heard is not None
                assert heard[0][now] >= BOUNDS.least
                assert heard[1][now] == max(heard[1].values())
        if now == NOT_SPEECH != before:
            assert sequence[at - 1] is sequence[at] is None
        if now == MIXED != before:
            last = [heard for heard in sequence[: at + 1] if heard is not None]
            if before == NOT_SPEECH:
                assert None not in sequence[at + 1 - OTHER_WINDOWS : at + 1]
            else:
                assert all(own[before] < BOUNDS.keep for _, own in last[-BOUNDS.leave_windows :])


@settings(deadline=None)
@given(windows)
def test_a_label_does_not_outlive_the_windows_against_it(sequence):
    verdict, against = Verdict(BOUNDS), 0
    for heard in sequence:
        before = verdict.shown
        now = verdict.push_other() if heard is None else verdict.push(*heard)
        if now in LABELS and now == before and heard is not None:
            against = against + 1 if heard[1][now] < BOUNDS.keep else 0
        elif now != before:
            against = 0
        assert against < BOUNDS.leave_windows
