"""The system card: what a configuration is made of, how good that is and for whom it is worse, and who watches it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from worker import __version__
from worker.attest.facts import Facts, chapters, model_of
from worker.attest.impact import ASK, table
from worker.privacy.levels import Level
from worker.vad.silero import model_path

CONSENT = {
    "embedded": "each person is asked by the page before they come in, and can change it there at any time; whoever"
    " has the control API may answer for them too",
    "replay": "none is asked: who has the recording answers for what was agreed to",
}
JANUS = {
    "each": "nobody is subscribed to before the host application says by the control API that they agreed",
    "host": "the host application states that it asked everyone before they came in; who withdraws is not heard",
}
THRESHOLDS = ("segmenter", "windows", "smoothing")
EVIDENCE = "This file, on speakers it never heard"
"""Heading of the card's figures on the file that ships."""
WORSE = ("recall", "conditions", "windows", "by gender", "right when shown", "without speech")
"""What of a card's details says where a model does worse."""
VERBATIM = ("Meant for", "Not meant for", "Limits")


def system(facts: Facts) -> str:
    """Markdown."""
    parts = [
        f"# System card: {facts.name}",
        f"Undertone {__version__}, as of {facts.day}. It listens to a conversation, each voice on its own, and says who"
        f" speaks, for how long and how turns change; in this configuration nobody's voice is heard above the level"
        f" `{facts.most.word}`.",
        "## Rooms, and how each gets consent",
        table(("Room", "Consent"), _rooms(facts)),
        "## Models",
        table(("Part", "Model", "SHA-256"), _models(facts)),
        *_thresholds(facts),
        *_evidence(facts),
        "## Human oversight",
        "\n".join(f"- {line}" for line in _oversight(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _rooms(facts: Facts) -> Iterator[tuple[str, str]]:
    for room in facts.rooms():
        kind = str(room.get("kind", ""))
        if kind == "janus":
            yield f"`janus`, `consent: {room.get('consent', 'each')}`", JANUS[str(room.get("consent", "each"))]
        else:
            yield f"`{kind}`", CONSENT.get(kind, f"a room of the operator's own. {ASK} how it asks people")
    if facts.settings.control is not None:
        yield "opened by the control API", "as its kind says, with the choices of docs/rooms.md"


def _models(facts: Facts) -> Iterator[tuple[str, ...]]:
    made = facts.law.engines()
    vad = str(facts.settings.vad["kind"])
    if "vad" not in made:
        yield "voice activity", "none is made", "–"
    elif vad == "silero":
        yield "voice activity", "`silero`", f"`{hashlib.sha256(model_path().read_bytes()).hexdigest()}`"
    else:
        yield "voice activity", f"`{vad}`", "–"
    name, digest, _ = model_of(facts)
    if facts.emotion is None:
        yield "emotion", "none is made", "–"
    else:
        yield "emotion", f"`{facts.emotion['kind']}`" + (f", {name}" if name else ""), f"`{digest}`" if digest else "–"


def _thresholds(facts: Facts) -> Iterator[str]:
    """Of whatever decides when something is said."""
    names = THRESHOLDS if facts.emotion is not None else THRESHOLDS[:1]
    rows = [(f"`{name}.{key}`", f"`{value}`") for name in names for key, value in facts.section(name).items()]
    rows += [
        (f"`{one['kind']}.{key}`", f"`{value}`")
        for one in facts.each("conversation")
        if facts.most >= Level.METRICS
        for key, value in one.items()
        if key != "kind"
    ]
    yield "## Thresholds"
    yield table(("Key", "Value"), rows)
    yield "docs/configuration.md explains each, docs/metrics.md the formulas."


def _evidence(facts: Facts) -> Iterator[str]:
    yield "## How good it is, and for whom it is worse"
    if facts.emotion is None:
        yield (
            "No emotion is inferred here. All figures follow from voice activity; docs/metrics.md has their formulas."
            " Whether voice activity is found less well for some groups of people was not judged."
        )
        return
    _, _, card = model_of(facts)
    if not card:
        yield f"{ASK} this engine's figures, on whom it was judged, and for whom it is worse: it has no card here."
        return
    found = chapters(card)
    yield "From the model's card, word for word; UAR is the mean of the classes' recalls."
    for title, text in found:
        if title == EVIDENCE:
            rows = [line for line in text.splitlines() if line.startswith("|")]
            yield "\n".join(rows)
            yield "\n".join(_worse(text))
    for wanted in VERBATIM:
        yield from (f"### {title}\n\n{text}" for title, text in found if title == wanted)


def _worse(text: str) -> list[str]:
    """The card's details that compare groups of people, conditions or labels."""
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    return [line for line in lines if any(re.search(rf"\b{re.escape(word)}\b", line.split(":")[0]) for word in WORSE)]


def _oversight(facts: Facts) -> Iterator[str]:
    coaching: Mapping[str, Any] = facts.section("coaching")
    yield "Each person sees their own level all the time, and stops the analysis of their voice with one click."
    yield "Nothing acts on what is heard: no call is ended, routed or graded by it."
    if coaching:
        packs = ", ".join(f"`{rule}`" for rule in coaching["rules"])
        yield (
            f"Hints come from rules that can be read ({packs}), each with its reason: at most {coaching['per_minute']}"
            f" a minute and {coaching['per_hour']} an hour to one person, who can dismiss or silence them."
        )
    else:
        yield "There are no hints."
    if facts.emotion is not None:
        yield "Where no label is likely enough, none is shown; the worker says when what it hears has drifted."
    contact = facts.section("notice")["contact"]
    yield (
        f"What was said of a voice can be contested: {contact}."
        if contact
        else f"{ASK} whom to ask: `notice.contact` is empty."
    )
    yield f"{ASK} who may switch it off, and who looks at what comes out."
