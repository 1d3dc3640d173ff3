"""The model card: what a model learned from, how well it does on whom, and what it must not be used for."""

from collections.abc import Mapping, Sequence
from typing import Any

USES = """## Meant for

Showing people in a conversation how a voice sounds, one sound among others, with room for "mixed signals".

## Not meant for

Deciding about a person: hiring, grading, credit, health, police, or anything else with consequences. Inferring emotions
at work or in education, except for medical or safety reasons, is forbidden in the European Union (Regulation 2024/1689,
article 5(1)(f)). A label says how a voice sounds, never what a person feels.

## Limits

It learned from acted speech, read in studios. Nothing here says how it does on spontaneous speech, on children, or in
languages that are not in the tables. Valence and arousal are derived from classes and votes; nobody rated them.
"""


def card(about: Mapping[str, Any], digest: str, judged: Sequence[Mapping[str, Any]]) -> str:
    """Markdown from a model's metadata, its SHA-256, and results of `undertone lab evaluate`."""
    training = about["training"]
    lines = [
        "# Model card",
        "",
        f"SHA-256 `{digest}`. Classes: {', '.join(about['classes'])}.",
        "",
        "## Learned from",
        "",
        "| corpus | licence |",
        "|---|---|",
        *(f"| {name} | {licence or 'not given'} |" for name, licence in sorted(about["corpora"].items())),
        "",
        f"Fold {about['fold']} of the split file with SHA-256 `{about['splits']}`: none of its test or development",
        f"speakers was learned from. Labels are {1 - training['votes']:.0%} what the speaker was asked to express and",
        f"{training['votes']:.0%} what listeners heard, where listeners were asked.",
        "",
    ]
    for figures in judged:
        lines += _corpora(figures) + _not_speech(figures)
    return "\n".join([*lines, USES])


def _corpora(figures: Mapping[str, Any]) -> list[str]:
    lines = [
        "## On speakers it never heard",
        "",
        "| corpus | clips | speakers | classes | UAR (95 %) | UAR of four (95 %) | ECE | Brier | right at 50 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in figures["corpora"].items():
        if not each["classes"]:
            continue
        cells = [name, each["clips"], each["speakers"], len(each["classes"]), _with_interval(each, "uar")]
        cells += [_with_interval(each, "uar of four"), *(f"{each[key]:.3f}" for key in ("ece", "brier"))]
        lines.append("| " + " | ".join(map(str, [*cells, f"{each['accuracy at 50 %']:.3f}"])) + " |")
    lines.append("")
    for name, each in figures["corpora"].items():
        for title in ("recall", "conditions", "windows"):
            if title in each:
                values = ", ".join(f"{key} {value:.3f}" for key, value in each[title].items() if value is not None)
                lines.append(f"- {name}, {'recall' if title == 'recall' else 'UAR, ' + title}: {values}.")
    return [*lines, ""]


def _with_interval(each: Mapping[str, Any], key: str) -> str:
    if key not in each:
        return "–"
    low, high = each[f"{key} interval"]
    return f"{each[key]:.3f} ({low:.3f} to {high:.3f})"


def _not_speech(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"- {name}: {each['false verdicts']:.2%} of {each['windows']} windows without speech would show an emotion."
        for name, each in figures["not speech"].items()
    ] + [""]
