"""A rule: when something should be said, and what; checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from worker.coaching.expressions import Expression, WrongExpression
from worker.coaching.names import OCCASIONS, in_conditions, in_texts, people
from worker.coaching.texts import Text
from worker.prompts import MANAGERS

OTHERS = "others"

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=280, strip_whitespace=True)]
Wait = Annotated[float, Field(ge=0, le=86_400)]


class Written(BaseModel):
    """A rule as it stands in a file; docs/coaching.md says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    when: str
    on: str | None = None
    me: str | None = None
    audience: Literal["me", "managers"] = "me"
    severity: Literal["info", "hint", "strong"] = "hint"
    hold_s: Wait | None = None
    cooldown_s: Wait | None = None
    needs: Literal["emotion"] | None = None
    text: Sentence
    reason: Sentence


class Fault(Exception):
    """What is wrong with one key of a rule, and the name to look for in its lines."""

    def __init__(self, key: str, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.key, self.name = key, name


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that has been checked. What it may do to people is decided in one place, for all rules: `Hygiene`."""

    name: str
    when: Expression
    text: Text
    reason: Text
    on: type[Any] | None = None
    me: str | None = None
    """The field of the event that names the person whom the rule is about; `others` for all but its speaker."""
    audience: str = "me"
    severity: str = "hint"
    hold_s: float | None = None
    cooldown_s: float | None = None
    needs: str | None = None
    names: tuple[str, ...] = ()
    """All names in it."""

    @property
    def of_the_room(self) -> bool:
        """Whether it is about nobody in particular."""
        return self.audience == MANAGERS and not any(name.startswith(("me.", "side.")) for name in self.names)


def rule(values: Mapping[str, Any]) -> Rule:
    """A rule from its keys. Raises Fault."""
    written = _written(values)
    on = _occasion(written)
    compiled = written.model_dump() | {"on": on, "me": _subject(written, on)}
    for key, make, known in (("when", Expression, in_conditions), ("text", Text, in_texts), ("reason", Text, in_texts)):
        try:
            compiled[key] = make(compiled[key], known(on))
        except WrongExpression as error:
            raise Fault(key, str(error), error.name) from None
    names = (name for key in ("when", "text", "reason") for name in compiled[key].names)
    return Rule(**compiled, names=tuple(dict.fromkeys(names)))


def _written(values: Mapping[str, Any]) -> Written:
    try:
        return Written.model_validate(dict(values))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    key = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        raise Fault(key, f"it is no key of a rule{_near(key, Written.model_fields)}")
    if fault["type"] == "missing":
        raise Fault("", f"{key} is missing")
    raise Fault(key, str(fault["msg"]))


def _occasion(written: Written) -> type[Any] | None:
    """The event that a rule waits for; what only such rules may say, and what they must, is checked here."""
    if written.on is None:
        if written.me is not None:
            raise Fault("me", "it belongs to rules with 'on': others are about everyone, one after another")
    elif written.on not in OCCASIONS:
        raise Fault("on", f"{written.on} does not exist{_near(written.on, OCCASIONS)}", written.on)
    elif written.hold_s is not None:
        raise Fault("hold_s", "an event happens at one moment: delete this, or 'on'")
    if written.on is not None and written.on.startswith("emotion") and written.needs != "emotion":
        raise Fault("on", "a rule about how a voice sounds must say 'needs: emotion'")
    if written.needs == "emotion" and written.audience == MANAGERS:
        raise Fault("audience", "how a voice sounded is told to nobody but the person in the conversation")
    return OCCASIONS[written.on] if written.on is not None else None


def _subject(written: Written, on: type[Any] | None) -> str | None:
    if on is None:
        return None
    named = people(on)
    me = written.me or ("speaker" if "speaker" in named else OTHERS)
    if me not in (*named, OTHERS):
        raise Fault("me", f"{written.on} has nobody of that name{_near(me, [*named, OTHERS])}", me)
    return me


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else f": there are {', '.join(known)}"
