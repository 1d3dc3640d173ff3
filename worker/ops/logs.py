"""What the worker tells its operator: structured lines on standard error, without what identifies people."""

import logging
import re
import sys
from typing import Any

import structlog

PERSONAL = "pii_"
"""Fields whose names start so identify people."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s\"'@]+@")


def setup(level: str = "info", format: str = "text", pii: bool = False) -> None:
    """Send every log line, those of libraries too, through one pipeline; `format` is `json` or `text`."""
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if pii else [drop_personal]),
    ]
    after: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if format == "json":
        after += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        # A rich traceback would show the values of variables, secrets among them.
        plain = structlog.dev.plain_traceback
        after.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    after.append(hide_credentials)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("aioice", "aiortc"):
        # They name addresses of participants at their level "info".
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def drop_personal(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor that leaves out the fields marked as personal."""
    return {key: value for key, value in event.items() if not key.startswith(PERSONAL)}


def hide_credentials(logger: Any, method: str, line: str) -> str:
    """The last step: takes user and password out of every address in a finished line, its trace included."""
    return _CREDENTIALS.sub("***@", line)
