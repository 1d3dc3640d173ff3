"""What the papers are made of: the settings as checked, what the law leaves of them, and the models they choose."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from worker.asking import lawful
from worker.config import Settings, option_model, read
from worker.errors import ConfigError
from worker.privacy.keeping import Keeping
from worker.privacy.law import Law
from worker.privacy.levels import Level
from worker.privacy.notice import Notice
from worker.privacy.table import ROLES, RULES
from worker.registry import construct

WITH_MODEL = ("onnx", "hybrid")
"""Engines that use the shipped model where they name no other."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One configuration on one day. Nothing in the papers comes from elsewhere, but for the model's own card."""

    name: str
    """Of the configuration's file."""
    day: date
    settings: Settings
    law: Law
    notice: Notice
    keeping: Keeping

    def section(self, name: str) -> dict[str, Any]:
        """The options of a section that has one implementation, defaults included; empty where it is switched off."""
        value = getattr(self.settings, name)
        return {} if value is None else option_model(name).model_validate(value).model_dump()

    def each(self, name: str) -> Iterator[dict[str, Any]]:
        """The same of a section that lists implementations, with their `kind`."""
        for one in getattr(self.settings, name):
            yield with_defaults(name, one)

    def rooms(self) -> list[dict[str, Any]]:
        """The room, and those that may be opened later, as far as they are described."""
        control = self.settings.control or {}
        found = [] if self.settings.room is None else [with_defaults("room", self.settings.room)]
        return [*found, *control.get("templates", {}).values()]

    @property
    def most(self) -> Level:
        """The highest level that anybody's voice may be given."""
        return max(self.law.level_for(role) for role in ("", *ROLES))

    @property
    def emotion(self) -> Mapping[str, Any] | None:
        """The section of the emotion engine; None where none is made."""
        return self.settings.emotion if "emotion" in self.law.engines() else None

    def roles(self) -> Iterator[tuple[str, Level, str, str]]:
        """Of each role its level, the rule that says so, and that rule in words."""
        for role in ROLES:
            rule = self.law.decision(role)["rule"]
            yield role, self.law.level_for(role), rule, RULES[rule]


def gather(config: Path, day: date) -> Facts:
    """Raises ConfigError for what a worker would not start with on that day."""
    settings = read(config)
    law = lawful(settings.policy, day)
    keeping: Keeping = construct(Keeping, {**settings.keeping, "keys": ()}, "keeping")  # keys are not looked up here
    notice: Notice = construct(Notice, settings.notice, "notice", law=law, keeping=keeping)
    return Facts(config.name, day, settings, law, notice, keeping)


def with_defaults(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in section.items() if key != "kind"}
    return {"kind": section["kind"], **option_model(name, section["kind"]).model_validate(fields).model_dump()}


def place(url: str) -> str:
    """Where an address is, without what may be secret in it."""
    if url.startswith(("env:", "file:")):
        return f"the address that `{url}` holds"
    return f"`{urlsplit(url).hostname or 'this machine'}`"


def model_of(facts: Facts) -> tuple[str, str, str]:
    """Of the emotion engine: its file's name, that file's SHA-256, and the card of the model that ships, or empty."""
    from worker.emotion.onnx import SHA256, SHIPPED

    engine = facts.emotion or {}
    if engine.get("kind") not in (*WITH_MODEL, "egemaps"):
        return "", "", ""
    if path := engine.get("model", ""):
        try:
            return Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest(), ""
        except OSError as error:
            raise ConfigError(f"the model {path} cannot be read ({error.strerror}): correct emotion.model.") from None
    return SHIPPED.name, SHA256, SHIPPED.with_suffix(".md").read_text(encoding="utf-8")


def chapters(card: str) -> list[tuple[str, str]]:
    """A card's headings, with what stands below each."""
    parts = re.split(r"^## (.*)$", card, flags=re.MULTILINE)
    return [(parts[place], parts[place + 1].strip()) for place in range(1, len(parts), 2)]
