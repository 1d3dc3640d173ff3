"""What can go wrong, named by who must act on it."""


class UndertoneError(Exception):
    """A failure with one clear sentence for a person; `code` is stable and fit for a metric label."""

    code = "error"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ConfigError(UndertoneError):
    """The operator must change something; the worker does not start."""

    code = "config"


class RoomError(UndertoneError):
    """The platform failed; joining again may help."""

    code = "room"


class EngineError(UndertoneError):
    """An emotion engine failed; that window has no answer."""

    code = "engine"


class SinkError(UndertoneError):
    """A listener failed; that event is lost to it alone and counted."""

    code = "sink"
