"""What is shown, window by window: a letter is a window of that label, `-` one of no label, `#` not speech."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.emotion.labels import LABELS
from worker.emotion.verdict import MIXED, NOT_SPEECH, Verdict

LETTERS = {label[0]: label for label in LABELS} | {"-": MIXED, "#": NOT_SPEECH}
LEAST, HYSTERESIS = 0.55, 0.1


def likely(**known):
    """The probability of each label; those not named share the rest."""
    others = [label for label in LABELS if label not in known]
    return known | dict.fromkeys(others, (1 - sum(known.values())) / max(1, len(others)))


def shown(pattern):
    verdict = Verdict(LEAST, HYSTERESIS)
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
        ("-#", "--"),
        ("##tt", "###t"),
        ("tpttptt", "ttttttt"),
        ("t#t-tpt", "ttttttt"),
        ("tpp", "ttp"),
        ("t--", "tt-"),
        ("--tt", "---t"),
        ("t##", "tt#"),
        ("tplnt", "tt---"),  # never the same twice in a row, so it is nothing but mixed
        ("tp-pp", "tt--p"),
        ("tpnn", "tt-n"),
    ],
)
def test_a_change_is_shown_once_two_windows_in_a_row_ask_for_it(windows, screen):
    assert shown(windows) == screen


def test_what_is_shown_goes_on_down_to_the_lower_bound():
    verdict = Verdict(LEAST, HYSTERESIS)
    for p, what in [(0.55, "tense"), *[(0.46, "tense")] * 3, *[(0.44, "tense"), (0.44, MIXED)], *[(0.54, MIXED)] * 3]:
        assert verdict.push(likely(tense=p), likely(tense=p)) == what


def test_a_low_bound_does_not_keep_a_label_that_another_has_passed():
    verdict = Verdict(0.3, 0.1)
    verdict.push(likely(tense=0.5), likely(tense=0.5))
    for tense, positive, what in [(0.4, 0.45, "tense")] * 3 + [(0.3, 0.5, "tense"), (0.3, 0.5, "positive")]:
        now = likely(tense=tense, positive=positive)
        assert verdict.push(now, now) == what


def test_a_label_that_only_the_mean_names_is_not_shown_anew():
    verdict = Verdict(LEAST, HYSTERESIS)
    for smoothed in [likely(tense=0.8), *[likely(positive=0.8)] * 3]:
        what = verdict.push(smoothed, likely(tense=0.8))
    assert what == MIXED


dealt = st.lists(st.integers(1, 20), min_size=4, max_size=4).map(
    lambda parts: dict(zip(LABELS, (part / sum(parts) for part in parts), strict=True))
)
windows = st.lists(st.none() | st.tuples(dealt, dealt), max_size=40)


@settings(deadline=None)
@given(windows)
def test_whatever_is_heard(sequence):
    verdict = Verdict(LEAST, HYSTERESIS)
    screen = [verdict.push_other() if heard is None else verdict.push(*heard) for heard in sequence]
    for (before, now), (last, newest) in zip(pairwise(screen), pairwise(sequence), strict=True):
        if now == before:
            assert supports(now, last, LEAST - HYSTERESIS) or supports(now, newest, LEAST - HYSTERESIS)
        else:
            assert not supports(before, last, LEAST)
            assert not supports(before, newest, LEAST)
            assert now == MIXED or (supports(now, last, LEAST) and supports(now, newest, LEAST))


def supports(what, window, least):
    """Whether a window asks for this; for `mixed`, whether it may."""
    if window is None or what == NOT_SPEECH:
        return window is None and what == NOT_SPEECH
    smoothed, _ = window
    if what == MIXED:
        return least < LEAST or all(p < LEAST - HYSTERESIS for p in smoothed.values())
    return smoothed[what] >= least
