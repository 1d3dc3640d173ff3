"""What is shown of one speaker: a label, or why there is none."""

from collections.abc import Mapping

MIXED, NOT_SPEECH = "mixed", "not_speech"


class Verdict:
    """A label may be shown from `min_probability` on; the one that is shown counts as `hysteresis` likelier than it is.

    The first verdict is shown at once. After that one window alone changes nothing: another verdict is shown once two
    windows in a row ask for it, and `mixed` once two in a row ask for something else than what is shown, but not for
    the same. So a label that is no longer likely enough outlives that by one window at most.
    """

    def __init__(self, min_probability: float, hysteresis: float) -> None:
        self.shown = ""
        """A label, MIXED or NOT_SPEECH; empty at first."""
        self._least, self._hysteresis = min_probability, hysteresis
        self._asked = ""
        """What the last window asked for, if that is not what is shown."""

    def push(self, smoothed: Mapping[str, float], own: Mapping[str, float]) -> str:
        """Take one window of speech: the probability of each label over the span, and in this window alone."""
        return self._ask(self._wanted(smoothed, own))

    def push_other(self) -> str:
        """Take one window of something that is not speech."""
        return self._ask(NOT_SPEECH)

    def _wanted(self, smoothed: Mapping[str, float], own: Mapping[str, float]) -> str:
        """A new label needs this window itself on its side: one odd window weighs on the mean for the whole span."""
        favour = {label: p + self._hysteresis * (label == self.shown) for label, p in smoothed.items()}
        best = max(favour, key=favour.__getitem__)
        if best != max(own, key=own.__getitem__):
            best = self.shown
        return best if favour.get(best, 0.0) >= self._least else MIXED

    def _ask(self, wanted: str) -> str:
        before, self._asked = self._asked, wanted
        if not self.shown:
            self.shown = wanted
        elif before and wanted != self.shown:
            self.shown = wanted if wanted == before else MIXED
        if wanted == self.shown:
            self._asked = ""
        return self.shown
