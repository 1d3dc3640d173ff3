"""Policies for tests: everything is allowed, so that what somebody agreed to decides."""

from datetime import date

from worker.privacy.consent import Consent, Terms
from worker.privacy.law import Law
from worker.privacy.levels import Level
from worker.privacy.policy import Recorded

TERMS = Terms("a test", "v1")
OPEN = {
    "jurisdiction": "other",
    "context": "private",
    "role": "adult",
    "purpose": "a test",
    "basis": "explicit_consent",
}
"""A section `policy` under which the level alone decides."""


def law(level="emotion", **options):
    return Law(date(2026, 11, 22), **{"level": level, **OPEN, **options})


def consent(*args, level="emotion", **kwargs):
    """`args` are those of Consent after the terms."""
    return Consent(law(level), TERMS, *args, **kwargs)


def recorded():
    return Recorded(Level.EMOTION)


def agree(policy, speaker, agreed=True):
    """A yes to everything, or a no."""
    return policy.record(speaker, Level.EMOTION if agreed else Level.PRESENCE, "page", policy.terms)
