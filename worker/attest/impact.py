"""What goes into an impact assessment (GDPR, Article 35(7)), as far as a configuration tells it."""

from collections.abc import Iterable, Iterator

from worker import __version__
from worker.attest.facts import Facts, place
from worker.privacy.levels import MADE, Level

ASK = "**To be answered by the operator:**"
PRIVATE = ("jsonl", "redis", "webhook")
"""Sinks that take prompts only where they are told to."""
SENDS = {
    "data_channel": "browsers in the room",
    "websocket": "programs that listen at the worker's server",
    "jsonl": "a file on the worker's machine",
    "redis": "a Redis",
    "webhook": "a program of the operator's",
    "vapi": "the provider of a voice agent, Vapi: a voice's tone in words",
}
ROOMS = {
    "embedded": "a room of the worker's own: sound and picture of those in it go through the worker",
    "janus": "a room of a Janus server, which the worker joins as one more participant",
    "replay": "recordings; who has them answers for what was agreed to",
}
CATEGORIES = {
    Level.PRESENCE: "name and role, a pseudonym for each run of a room, when somebody came, left or was muted",
    Level.METRICS: "times of speech, turns, interruptions, overlaps, back-channels, and figures made of them",
    Level.PROSODY: "loudness, speech rate and spread of pitch, measured",
    Level.EMOTION: "labels of how a voice sounded, valence, arousal, confidence, and changes of these",
}


def impact(facts: Facts) -> str:
    """Markdown."""
    parts = [
        f"# Inputs of an impact assessment: {facts.name}",
        f"As of {facts.day}, Undertone {__version__}. Made from the configuration, which is checked and not run. It"
        " gives what Article 35(7) of the GDPR asks for, and what helps where Article 27 of the AI Act asks for an"
        " assessment of the impact on fundamental rights. It is none itself: what only the operator knows is marked"
        f" {ASK} and whether the risks are worth it is not for a program to say.",
        *_processing(facts),
        *_data(facts),
        *_recipients(facts),
        *_retention(facts),
        *_rights(facts),
        "## 6. Risks, and the measures in force in this configuration",
        table(("Risk", "Measure", "In force"), risks(facts)),
        "## 7. Left for the operator",
        "\n".join(f"- {line}" for line in _open(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _processing(facts: Facts) -> Iterator[str]:
    policy = facts.section("policy")
    yield "## 1. The processing and its purposes"
    used = ", ".join(policy["used_in"])
    contact = facts.section("notice")["contact"]
    rows = [
        ("Operator", facts.section("notice")["operator"] or f"{ASK} `notice.operator` is empty."),
        ("Contact", contact or f"{ASK} `notice.contact` is empty; also the data protection officer, if there is one."),
        ("Purpose", policy["purpose"] or f"{ASK} `policy.purpose` is empty."),
        ("Legal basis", f"`{policy['basis']}`" if policy["basis"] else f"{ASK} `policy.basis` is empty."),
        ("Where", f"`{policy['jurisdiction']}`" + (f", used in {used}" if used else "")),
        ("Kind of conversation", f"`{policy['context']}`"),
        ("Role of people of whom none is told", f"`{policy['role']}`"),
        ("Most that is wished for", f"`{policy['level']}`"),
        ("Most that the law leaves of it for anybody", f"`{facts.most.word}`"),
        ("Signed exemption", f"until {facts.law.until}" if facts.law.until else "none"),
    ]
    yield table(("What", "In this configuration"), rows)
    yield (
        "Unknown places count as the EU, unknown roles as employees, unknown conversations as work and education at"
        " once."
    )
    kinds = list(dict.fromkeys(str(room.get("kind", "")) for room in facts.rooms()))
    rooms = "\n".join(f"- `{kind}`: {ROOMS.get(kind, 'a kind of room of the operator’s own')}" for kind in kinds)
    yield "Where voices come from:\n\n" + (rooms or "- rooms that the control API opens")
    made = [(f"`{what}`", words, "yes" if level <= facts.most else "no") for what, (level, words) in MADE.items()]
    yield "What may be made of a voice in this configuration:\n\n" + table(("What", "That is", "Made of anybody"), made)
    yield (
        "No voice is recognised and no voiceprint made: people are known by their connection. No word is transcribed."
        " Nothing decides about anybody by itself (GDPR, Article 22)."
    )
    yield f"{ASK} why this is necessary and proportionate, and what was considered instead."


def _data(facts: Facts) -> Iterator[str]:
    yield "## 2. People, and categories of data"
    rows = [(f"`{role}`", f"`{level.word}`", f"`{rule}`: {words}") for role, level, rule, words in facts.roles()]
    yield table(("Role", "Highest level", "Because"), rows)
    yield "Nobody is heard who has not agreed, and nobody at a higher level than they agreed to."
    held = [(f"`{level.word}`", words) for level, words in CATEGORIES.items() if level <= facts.most]
    yield table(("Level", "Categories of data"), held)
    if facts.most is Level.EMOTION:
        yield "`emotion` is treated as special data (GDPR, Article 9), which explicit consent alone opens."
    conditions = list(dict.fromkeys(one for role, *_ in facts.roles() for one in facts.law.conditions(role)))
    if conditions:
        yield "What the law asks for besides, of the operator:\n\n" + "\n".join(f"- {one}" for one in conditions)
    yield f"{ASK} how many people are concerned, and whether minors or others in need of protection are among them."


def _recipients(facts: Facts) -> Iterator[str]:
    yield "## 3. Recipients, processors and transfers"
    lines = [f"What people are told of who sees it: {facts.section('notice')['seen_by'] or ASK}"]
    for sink in facts.each("sinks"):
        kind = str(sink["kind"])
        url = sink.get("url") or sink.get("control_url")
        prompts = ", prompts of single people included" if sink.get("prompts") else ""
        where = f", at {place(str(url))}" if url else ""
        lines.append(f"`{kind}`: {SENDS.get(kind, 'a program of the operator’s own')}{where}{prompts}")
    if not facts.settings.sinks:
        lines.append("No sink: events leave the worker by none.")
    dashboard = facts.section("dashboard")
    if dashboard:
        group = f"of a meeting of fewer than {dashboard['smallest_group']} analysed people nothing but name and time"
        reader = "who has its token" if dashboard["token"] else "who may join, since `dashboard.token` is not set"
        lines.append(f"Dashboard: {reader}; {group}; prompts are {_shown(dashboard['prompts'])}")
    lines += [
        f"Janus, at {place(str(room['url']))}: carries sound and picture" for room in facts.rooms() if "url" in room
    ]
    yield "\n".join(f"- {line}" for line in lines)
    yield f"{ASK} whether the words in the first line name everyone in the others; they are `notice.seen_by`."
    engine = "" if facts.emotion is None else f" and the emotion engine `{facts.emotion['kind']}`"
    own = facts.emotion is not None and ":" in str(facts.emotion["kind"])
    yield (
        f"Voice activity detection{engine} run in the worker's own process; "
        + (
            f"what an engine of the operator's own sends elsewhere is not known here. {ASK}"
            if own
            else "no sound leaves it."
        )
    )
    yield f"{ASK} who runs the machines named here, under what contract, and in which country each is."


def _retention(facts: Facts) -> Iterator[str]:
    yield "## 4. How long"
    audit = facts.section("audit")
    noted = "; noted in the audit log" if audit else ""
    rows = [
        ("Sound", "never stored; held for seconds in memory while it is heard"),
        ("Events and figures", f"{facts.keeping.events_days:g} days, as long as a worker runs that deletes them"),
        ("Prompts", f"{facts.keeping.prompts_days:g} days, likewise"),
        ("What the worker holds in memory for listeners and the dashboard", "until the room and the worker end"),
        ("Features and embeddings of voices", "not kept"),
        ("Consents", "a yes until the room is left, a no while the worker runs" + noted),
        ("Audit log", "pseudonyms only; not deleted by itself" if audit else "none is kept"),
    ]
    if any(facts.law.in_call_only(role) for role, level, *_ in facts.roles() if level is Level.EMOTION):
        rows.insert(1, ("How voices sounded", "shown to those in the call, and kept nowhere"))
    yield table(("What", "Kept for"), rows)
    yield "Reports, backups, and what receivers of events keep, are in the operator's hands."


def _rights(facts: Facts) -> Iterator[str]:
    contact = facts.section("notice")["contact"]
    yield "## 5. Rights of the people heard"
    yield "\n".join(
        [
            "- Told before the first word is heard, by notice.md.",
            "- Asked each for themselves; a no has no consequence in the call, and a yes is taken back at any time.",
            "- Access and a copy, and erasure: by the page, or `undertone data export` and `undertone data erase`.",
            "- The copy is JSON, so that another program can read it.",
            f"- Contesting what was said of a voice: {contact or ASK + ' `notice.contact` is empty.'}",
            f"- {ASK} how people object to the processing, have it restricted or what is wrong put right.",
        ]
    )


def risks(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Each with its measure, and whether that is in force or what would bring it about."""
    server, dashboard, keeping = facts.section("server"), facts.section("dashboard"), facts.section("keeping")
    audit, coaching, logs = facts.section("audit"), facts.section("coaching"), facts.settings.logs
    hosted = [room for room in facts.rooms() if room.get("consent") == "host"]
    heard = "people withdraw; the operator asked them before (`consent: host`)" if hosted else "yes"
    yield (
        "Somebody is heard who did not agree",
        "consent of each person, asked of each packet before it is decoded",
        heard,
    )
    yield "Emotion is inferred where that is banned", "the table of docs/privacy.md, which no flag lifts", "yes"
    forms = "yes" if facts.emotion is not None else "yes: no emotion engine is even made"
    yield "A guess about a voice is taken for the truth", "wording, confidence, abstention, a way to contest", forms
    yield "People are ranked or graded", "nothing ranks people; they stand in the order in which they came", "yes"
    group = int(dashboard.get("smallest_group", 0))
    floor = (
        "yes: there is no dashboard"
        if not dashboard
        else f"yes: {group}"
        if group > 1
        else _no("dashboard.smallest_group")
    )
    yield "Single people are watched under the name of a team", "a smallest group for the dashboard", floor
    private = [str(sink["kind"]) for sink in facts.each("sinks") if sink.get("prompts")]
    seen = private + (["dashboard"] if dashboard.get("prompts") else [])
    hints = f"**no**: shown by {', '.join(seen)}" if seen else "yes"
    if coaching:
        yield "Hints for one person reach others", "prompts go to their addressee alone", hints
        bosses = "**no**: `coaching.managers` is true" if coaching["managers"] else "yes"
        yield "Managers are told about single people during the call", "no rules for managers", bosses
    near = server["host"] in ("127.0.0.1", "localhost", "::1")
    alone = "yes: reached from this machine alone" + ("" if server["token"] else ", if no proxy passes it on")
    yield "Outsiders listen", "tokens, and no pages from elsewhere", alone if near else "yes: a token"
    signed = "yes" if server["signing_key"] else _no("server.signing_key")
    if dashboard and not dashboard["token"]:
        signed = _no("dashboard.token")
    yield (
        "Who may join hears what is not theirs",
        "signed tokens of an hour at most, for one room and one reader",
        signed,
    )
    wire = f"{ASK} the worker speaks plain HTTP" + (", reached from this machine alone" if near else "")
    yield "Events are read on the way", "HTTPS by a proxy in front of the worker", wire
    yield "Files are stolen", "sealed files", "yes" if keeping["keys"] else _no("keeping.keys")
    if any(sink["kind"] == "redis" for sink in facts.each("sinks")):
        yield "What Redis holds is stolen", "TLS and an encrypted disk", f"{ASK} the worker seals nothing there"
    yield (
        "Data are kept for too long",
        f"deleted after {facts.keeping.events_days:g} days",
        "yes, but for what is in the memory of a worker that runs for longer",
    )
    yield "Nobody can show what was done", "a hash-chained audit log", "yes" if audit else _no("audit")
    sealed = "yes" if audit.get("key") else _no("audit.key")
    yield "The audit log is written anew by who runs the machine", "a key that signs its head", sealed
    yield (
        "Names and words reach the log files",
        "personal fields are left out",
        "yes" if not logs.pii else _no("logs.pii: false"),
    )


def _open(facts: Facts) -> Iterator[str]:
    yield "Whether a data protection officer, those who represent workers, or the people themselves were heard."
    yield "Whether consent can be freely given here: that of employees and students rarely is."
    yield (
        "What Article 13 of the GDPR wants told besides: the legal basis, the data protection officer, receivers and"
        " transfers, and the right to complain to an authority; in `notice.text`, or a page that it names."
    )
    yield "Who looks at what comes out, what they may do with it, and what they are trained in (human oversight)."
    yield "What happens when somebody contests, and how soon."
    yield "How the machines, backups and networks are kept, and who may enter them."
    if facts.most is Level.EMOTION:
        yield "The duties of who deploys a high-risk system, and whether the system must be registered."
    yield "When this is looked at again: at the latest when the configuration or the version changes."


def _no(key: str) -> str:
    return f"**no**: set `{key}`"


def _shown(prompts: bool) -> str:
    return "shown" if prompts else "not shown"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """In Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])
