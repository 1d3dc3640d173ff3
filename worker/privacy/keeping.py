"""How long what the worker makes of people is kept, and under which keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from worker.events import PREFIX
from worker.privacy.sealing import Seal, check_keys

DAY_S = 86_400.0
PROMPTS = PREFIX + "coaching."
"""How the types of what is said to one person alone begin."""


class Keeping:
    """Events are kept for `events_days`, prompts and what else is for one person alone for `prompts_days`.

    `keys` seal what is written to files, see `Seal`. Raises ConfigError for a key that is none.
    """

    def __init__(
        self,
        events_days: Annotated[float, Field(gt=0, le=3650)] = 30.0,
        prompts_days: Annotated[float, Field(gt=0, le=3650)] = 7.0,
        keys: tuple[str, ...] = (),
    ) -> None:
        self.events_days, self.prompts_days = events_days, prompts_days
        self.events_s, self.prompts_s = events_days * DAY_S, prompts_days * DAY_S
        self.seal = Seal(keys)

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for a key that is none; what is named as `env:` or `file:` is not looked up."""
        check_keys(options["keys"])

    def due(self, record: Any, now: float) -> bool | None:
        """Whether an event, as its envelope's JSON has it, was kept long enough at `now`, in seconds since 1970.

        None for what is no event. A recording's events (epoch 0) have no time of day, and are never due.
        """
        at = _time(record)
        if at is None:
            return None
        if record.get("epoch") == 0:
            return False
        private = record.get("audience") or str(record.get("type")).startswith(PROMPTS)
        return now - at >= (self.prompts_s if private else self.events_s)


def _time(record: Any) -> float | None:
    """Seconds since 1970."""
    try:
        at = datetime.fromisoformat(record["time"])
    except (KeyError, TypeError, ValueError):
        return None
    return at.timestamp() if at.tzinfo is not None else None
