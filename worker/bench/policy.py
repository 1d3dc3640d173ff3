"""The policy of benchmarks in which nothing is left off, so that they measure the whole chain."""

EVERYTHING = {
    "level": "emotion",
    "jurisdiction": "other",
    "context": "private",
    "role": "adult",
    "purpose": "a benchmark",
    "basis": "explicit_consent",
}
"""A section `policy`; all people in benchmarks are synthetic."""
