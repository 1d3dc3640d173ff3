"""What a prompt says: a text with placeholders, such as `{me.recent_talk_share:percent}`."""

import re
from collections.abc import Callable, Mapping

from worker.coaching.expressions import Kind, Value, WrongExpression, nearest

PLACEHOLDER = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")

FORMATS: dict[str, Callable[[float], str]] = {
    "percent": lambda value: f"{value * 100:.0f} %",
    "seconds": lambda value: f"{value:.1f} s" if value < 2 else f"{value:.0f} s",
    "minutes": lambda value: f"{value / 60:.3g} min",
    "times": lambda value: {1.0: "once", 2.0: "twice"}.get(value, f"{value:.0f} times"),
    "number": lambda value: f"{value:.3g}",
    "db": lambda value: f"{value:.0f} dB",
}
"""How a number is written; `number` where none is named."""


class Text:
    """One sentence or two. Raises WrongExpression for a name or a format that does not exist."""

    def __init__(self, template: str, kinds: Mapping[str, Kind]) -> None:
        self._template = template
        rest = PLACEHOLDER.sub("", template)
        if "{" in rest or "}" in rest:
            raise WrongExpression("it has a { or } that is no placeholder: write {name} or {name:format}")
        for name, form in PLACEHOLDER.findall(template):
            if name not in kinds:
                raise WrongExpression(f"{name or '{}'} does not exist{nearest(name, kinds)}", name)
            if form and (form not in FORMATS or kinds[name] != "number"):
                raise WrongExpression(f"{{{name}:{form}}}: a number may be {', '.join(FORMATS)}; a text has no format")
        self.names = tuple(dict.fromkeys(name for name, _ in PLACEHOLDER.findall(template)))

    def filled(self, values: Mapping[str, Value]) -> str:
        """The text with each placeholder's value; `n/a` where there is none."""

        def fill(found: re.Match[str]) -> str:
            value = values[found[1]]
            if value is None or isinstance(value, str):
                return value or "n/a"
            return FORMATS[found[2] or "number"](value)

        return PLACEHOLDER.sub(fill, self._template)
