"""The model card: what a model learned from, how well it does on whom, and what it must not be used for."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.lab.metrics import FEW

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


SOURCES = {
    "crema_d": "Cao, Cooper, Keutmann, Gur, Nenkova and Verma 2014",
    "emodb": "Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss 2005",
    "speech_librispeech_mini": "LibriSpeech; Panayotov, Chen, Povey and Khudanpur 2015",
    "speech_ami_extracts": "AMI Meeting Corpus; Carletta et al. 2005",
    "noise_esc10": "ESC-10; Piczak 2015, from authors on freesound.org",
    "rir": "room responses: IoSR (University of Surrey) RealRoomBRIRs, audiomentations, torch-audiomentations",
    "made": "sounds made for this purpose by `worker/lab/nonspeech.py`",
}
"""Whom to thank for a corpus that a model learned from."""
SLICES = ("gender", "language", "fold")


def card(about: Mapping[str, Any], digest: str, judged: Sequence[Mapping[str, Any]], note: str = "") -> str:
    """Markdown from a model's metadata, its SHA-256, results of `lab evaluate`, and a note on how it was made."""
    training, corpora = about["training"], sorted(about["corpora"].items())
    lines = [
        "# Model card",
        "",
        f"SHA-256 `{digest}`. Classes: {', '.join(about['classes'])}.",
        "",
        "## Learned from",
        "",
        "| corpus | by | licence |",
        "|---|---|---|",
        *(f"| {name} | {SOURCES.get(name, '')} | {licence or 'not given'} |" for name, licence in corpora),
        "",
        f"Fold {about['fold']} of the split file with SHA-256 `{about['splits']}`: none of its test or development",
        f"speakers was learned from. Labels are {1 - training['votes']:.0%} what the speaker was asked to express and",
        f"{training['votes']:.0%} what listeners heard, where listeners were asked.",
        "",
        *([note, ""] if note else []),
    ]
    lines += _side_by_side(judged, digest) if len(judged) > 1 else []
    for figures in judged:
        lines += [f"## {_title(figures['engine'], digest)}", "", *_notes(figures), *_corpora(figures)]
        lines += [*_not_speech(figures), ""]
    return "\n".join([*lines, USES])


def _title(engine: Mapping[str, Any], digest: str) -> str:
    """Whose figures these are."""
    without = engine.get("training", engine).get("without")
    left_out = f", learned without {' and '.join(without)}" if without else ""
    if engine.get("engine") == "egemaps":
        name = "The baseline: eGeMAPS functionals and a support vector machine"
    elif engine.get("engine") == "hybrid":
        name = "The engine `hybrid`, which asks the model now and then"
    elif engine.get("sha256") == digest and "folds" not in engine:
        return "This file, on speakers it never heard"
    else:
        name = "Another model" if "folds" not in engine else "Other models"
    return name + (", one for each fold" if "folds" in engine else "") + left_out


def _corpora(figures: Mapping[str, Any]) -> list[str]:
    judged = {name: each for name, each in figures["corpora"].items() if each["classes"]}
    lines = []
    if judged:
        head = ["corpus", "clips", "speakers", "classes", "UAR (95 %)", "UAR of four (95 %)", "ECE", "ECE of four"]
        head += ["Brier", "right at 50 % coverage", "precision of angry", "by chance", "angry missed"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, each in judged.items():
        cells = [name, each["clips"], each["speakers"], len(each["classes"]), _with_interval(each, "uar")]
        numbers = [each["ece"], each.get("ece of four"), each["brier"], each["accuracy at 50 %"]]
        numbers += [each["angry shown"][key] for key in ("precision", "by chance", "missed")]
        cells += [_with_interval(each, "uar of four"), *("–" if n is None else f"{n:.3f}" for n in numbers)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    for name, each in judged.items():
        lines += _details(name, each)
    return lines


def _details(name: str, each: Mapping[str, Any]) -> list[str]:
    """What a table has no room for."""
    said: dict[str, Any] = {"recall": each["recall"]} | {
        f"UAR, {key}": each[key] for key in ("conditions", "windows") if key in each
    }
    said |= {f"UAR by {key}": values for key, values in each["slices"].items() if key in SLICES}
    said["right when shown (by chance)"] = {
        f"{label} of {shown['shown']}": f"{shown['precision']:.3g} ({shown['by chance']:.3g})"
        for label, shown in each["labels shown"].items()
        if shown["precision"] is not None
    }
    if "perceived" in each:
        said["against what most listeners heard"] = each["perceived"]
    if each.get("live"):
        said["as a speaker who goes on"] = each["live"]
    return [
        f"- {name}, {title}: "
        + ", ".join(f"{key} {v if isinstance(v, str) else f'{v:.3g}'}" for key, v in values.items() if v is not None)
        + "."
        for title, values in said.items()
        if values
    ]


def _notes(figures: Mapping[str, Any]) -> list[str]:
    noise = figures.get("noise")
    notes = [figures["engine"].get("note", ""), f"Noise was {noise}." if noise else ""]
    return [*filter(None, notes), ""] if any(notes) else []


def _side_by_side(judged: Sequence[Mapping[str, Any]], digest: str) -> list[str]:
    """Every engine on every corpus, one line each."""
    lines = [
        "## Side by side",
        "",
        "| corpus | engine | UAR (95 %) | UAR of four (95 %) | model calls |",
        "|---|---|---|---|---|",
    ]
    rows = [
        (name, _title(figures["engine"], digest), each)
        for figures in judged
        for name, each in figures["corpora"].items()
        if each["classes"]
    ]
    for name, title, each in sorted(rows, key=lambda row: row[0]):
        calls = each.get("live", {}).get("model calls")
        cells = [name, title, _with_interval(each, "uar"), _with_interval(each, "uar of four")]
        lines.append("| " + " | ".join([*cells, "–" if calls is None else f"{calls:.0%}"]) + " |")
    return [*lines, ""]


def _with_interval(each: Mapping[str, Any], key: str) -> str:
    if key not in each:
        return "–"
    low, high = each[f"{key} interval"]
    few = "; few speakers" if each["speakers"] < FEW else ""
    return f"{each[key]:.3f} ({low:.3f} to {high:.3f}{few})"


def _not_speech(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"- {name}, {each['minutes']:.1f} minutes without speech: the worker's voice activity detection lets "
        f"{each['asked']} of {each['windows']} windows come to the engine. Of those {_percent(each['false verdicts'])} "
        f"would show an emotion, {each['false verdicts a minute']:.2f} a minute; of all windows, without that "
        f"detection, {_percent(each['false verdicts without voice activity'])}."
        for name, each in figures["not speech"].items()
    ]


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"
