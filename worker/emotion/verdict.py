"""What is shown of one speaker: a label, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

MIXED, NOT_SPEECH = "mixed", "not_speech"

OTHER_WINDOWS = 2
"""In a row: one window alone tells neither speech from other sounds nor back."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How likely a label must be, and for how many windows in a row."""

    first: float
    """Probability from which on a voice's very first window gets a label: being short, it is seldom right."""
    least: float
    """Smoothed probability from which on a window asks for a label."""
    keep: float
    """A window that itself gives the label that is shown less than this one speaks against it."""
    appear_windows: int
    leave_windows: int


class Verdict:
    """A label comes slowly, and goes only when the newest windows speak against it.

    It is asked for by the mean, which hardly moves, and dropped by single windows: a mean of several seconds would hold
    on to a label long after the voice has changed, and one that is near its bound would come and go all the time.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.shown = ""
        """A label, MIXED or NOT_SPEECH; empty at first."""
        self._bounds = bounds
        self._asked, self._asking = "", 0
        """The label that the last windows asked for, if any, and how many of them in a row."""
        self._against = 0
        """Windows in a row that spoke against the label that is shown."""
        self._other = 0
        """Windows in a row that were speech where NOT_SPEECH is shown, or were none where it is not."""

    def push(self, smoothed: Mapping[str, float], own: Mapping[str, float]) -> str:
        """Take one window of speech: the probability of each label over the span, and in this window alone."""
        bounds, best = self._bounds, max(smoothed, key=smoothed.__getitem__)
        if not self.shown:
            return self._show(best if smoothed[best] >= bounds.first else MIXED)
        # One odd window weighs on the mean for the whole span, so a window must itself be for what it asks for.
        asked = best if smoothed[best] >= bounds.least and best == max(own, key=own.__getitem__) else ""
        self._asked, self._asking = asked, self._asking + 1 if asked == self._asked else 1
        self._against = self._against + 1 if own.get(self.shown, 1.0) < bounds.keep else 0
        self._other = self._other + 1 if self.shown == NOT_SPEECH else 0
        if asked not in ("", self.shown) and self._asking >= bounds.appear_windows:
            return self._show(asked)
        gone = self._against >= bounds.leave_windows or self._other >= OTHER_WINDOWS
        return self._show(MIXED) if gone else self.shown

    def push_other(self) -> str:
        """Take one window of something that is not speech."""
        self._asked = ""
        self._other = self._other + 1 if self.shown != NOT_SPEECH else 0
        sure = not self.shown or self._other >= OTHER_WINDOWS
        return self._show(NOT_SPEECH) if sure else self.shown

    def _show(self, what: str) -> str:
        self.shown = what
        self._against = self._other = 0
        return what
