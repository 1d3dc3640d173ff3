"""The law as a table: how much may be made of whose voice, where and in what conversation, and which rule says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from worker.privacy.levels import Level

Place = Literal["unknown", "eu", "us-il", "us", "other"]
Context = Literal["unknown", "work", "education", "customer_call", "health", "research", "private"]
Role = Literal["unknown", "employee", "candidate", "student", "customer", "patient", "participant", "adult", "minor"]
Basis = Literal[
    "",
    "explicit_consent",
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_interest",
    "legitimate_interest",
]
Words = Literal["off", "own_eyes", "opt_in"]
"""What the law leaves of sentiment read from words, the strictest first."""

BASES: tuple[Basis, ...] = get_args(Basis)
PLACES: tuple[Place, ...] = get_args(Place)
CONTEXTS: tuple[Context, ...] = get_args(Context)
ROLES: tuple[Role, ...] = get_args(Role)
WORDS: tuple[Words, ...] = get_args(Words)

ALIASES: Mapping[str, str] = {"seller": "employee", "agent": "employee"}
"""Roles as the packs of coaching rules call them."""

STANDS_FOR: Mapping[str, tuple[str, ...]] = {"unknown": ("work", "education")}
"""Contexts that are judged as several at once."""

RULES: Mapping[str, str] = {
    "eu_5_1_f": (
        "The EU bans inferring the emotions of people at work or in education from their voice, and neither consent nor"
        " notice lifts that (AI Act, Article 5(1)(f)). Who is not known to be outside of these counts as inside."
    ),
    "eu_education": "In education no more than talk time and turns is worked out, to stay well clear of the ban.",
    "eu_high_risk": (
        "The EU allows it as a high-risk system (AI Act, Annex III 1(c)), of which everyone exposed is told before it"
        " hears them (Article 50(3))."
    ),
    "eu_health": (
        "A patient's voice tells of their health (GDPR, Article 9): emotion needs a signed exemption for medical"
        " or safety reasons."
    ),
    "eu_exemption": "A signed exemption for medical or safety reasons is in force (AI Act, Article 5(1)(f)).",
    "gdpr_9": (
        "How a voice feels is treated as special data, which only explicit consent opens; a legitimate interest does"
        " not (GDPR, Article 9(2)(a))."
    ),
    "us_bipa": "Illinois guards voiceprints (BIPA): none are made here, but a written release is asked for.",
    "us_recording": "Several states demand that everyone in a call agrees to its being listened to.",
    "elsewhere": "No ban is known there; people are told and asked, as everywhere.",
    "minor": "More than talk time is made of nobody who is a minor, or whose age is not known in education.",
    "unstated": (
        "Emotion stays off until the configuration states the jurisdiction, the context, the purpose and the legal"
        " basis, and the person's role is known."
    ),
    "level": "The configuration wishes for this much and no more, by policy.level.",
    "no_engine": "The configuration has no engine for it.",
    "no_reader": "Nothing in this worker reads words.",
}
"""Every rule that may decide, in a sentence."""

CONDITIONS: Mapping[str, str] = {
    "notice": "tell people before the first word is heard",
    "consent": "ask each person",
    "explicit_consent": "ask each person for their explicit consent",
    "live_user_only": "show it to the person in the call alone",
    "no_aggregation": "sum nothing up per employee",
    "high_risk": "meet the duties of who deploys a high-risk system",
    "no_mood": "draw no conclusion from prosody about a mood",
    "exemption": "stay within what the exemption was signed for",
    "written_release": "get a written release",
    "retention_schedule": "publish a schedule of retention",
    "no_voiceprints": "recognise nobody by their voice",
    "all_agree": "get everyone's agreement",
    "announce": "announce it in the call",
    "guardian": "get the consent of a guardian",
}
"""What whoever runs the worker must do besides."""
FOR_EMOTION = ("explicit_consent", "live_user_only", "no_aggregation", "high_risk", "exemption")
"""Those of them that only emotion asks for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the law: for these people nothing above `highest`, and of their words no more than `words`."""

    places: tuple[str, ...]
    contexts: tuple[str, ...]
    roles: tuple[str, ...]
    highest: Level
    words: Words
    rule: str
    conditions: tuple[str, ...] = ()
    must_not_change: bool = False
    """True for lines that no later version may loosen; tests hold them by a second way."""


def all_but(*roles: str) -> tuple[str, ...]:
    return tuple(role for role in ROLES if role not in roles)


EU, WORLD, ALL = ("eu", "unknown"), PLACES, CONTEXTS
AGE_UNKNOWN = all_but("employee", "candidate", "adult")
MET, PRO, EMO = Level.METRICS, Level.PROSODY, Level.EMOTION
LIVE = ("notice", "explicit_consent", "live_user_only", "no_aggregation", "high_risk")
ASKED = ("notice", "explicit_consent", "high_risk")
MOODLESS = ("no_mood",)
RELEASE = ("notice", "written_release", "retention_schedule", "no_voiceprints")

AGREED = ("all_agree", "announce")
TOLD = ("notice", "consent")
UNDER_IT = ("notice", "exemption", "high_risk")
GUARDED = ("guardian",)

# fmt: off
TABLE = (
    # where              context             who is heard            most words       rule            conditions
    Row(EU,              ("work",),          ROLES,                  PRO, "opt_in",   "eu_5_1_f",     MOODLESS, True),
    Row(EU,              ("education",),     ROLES,                  PRO, "opt_in",   "eu_5_1_f",     (), True),
    Row(EU,              ("education",),     ROLES,                  MET, "off",      "eu_education", (), True),
    Row(EU,              ("customer_call",), all_but("customer"),    PRO, "own_eyes", "eu_5_1_f",     MOODLESS, True),
    Row(EU,              ("customer_call",), ("customer",),          EMO, "opt_in",   "eu_high_risk", LIVE),
    Row(EU,              ("health",),        all_but("patient"),     PRO, "opt_in",   "eu_5_1_f",     MOODLESS, True),
    Row(EU,              ("health",),        ("patient",),           PRO, "opt_in",   "eu_health",    MOODLESS, True),
    Row(EU,              ("research",),      all_but("participant"), PRO, "opt_in",   "eu_5_1_f",     MOODLESS, True),
    Row(EU,              ("research",),      ("participant",),       EMO, "opt_in",   "eu_high_risk", ASKED),
    Row(EU,              ("private",),       all_but("adult"),       PRO, "opt_in",   "eu_5_1_f",     MOODLESS, True),
    Row(EU,              ("private",),       ("adult",),             EMO, "opt_in",   "eu_high_risk", ASKED),
    Row(("us-il",),      ALL,                ROLES,                  EMO, "opt_in",   "us_bipa",      RELEASE),
    Row(("us", "us-il"), ALL,                ROLES,                  EMO, "opt_in",   "us_recording", AGREED),
    Row(("other",),      ALL,                ROLES,                  EMO, "opt_in",   "elsewhere",    TOLD),
    Row(WORLD,           ALL,                ("minor",),             MET, "off",      "minor",        GUARDED, True),
    Row(WORLD,           ("education",),     AGE_UNKNOWN,            MET, "off",      "minor",        GUARDED, True),
)
"""Of all lines that hold for somebody the strictest decides, so that a new line can only ever forbid."""

EXEMPTED = (
    Row(EU,              ALL,                ROLES,                  EMO, "opt_in",   "eu_exemption", UNDER_IT)
)
# fmt: on
LIFTED = ("eu_5_1_f", "eu_education", "eu_health")
"""Rules in whose place `EXEMPTED` stands, where a signed exemption is in force."""
