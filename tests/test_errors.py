import pytest

from worker.errors import ConfigError, EngineError, RoomError, SinkError, UndertoneError


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError, "config"), (RoomError, "room"), (EngineError, "engine"), (SinkError, "sink")]
)
def test_each_has_a_code_of_its_own_and_may_have_a_closer_one(error, code):
    assert error("Say what to do.").code == code
    closer = error("Say what to do.", code="full")
    assert (closer.code, str(closer), error.code) == ("full", "Say what to do.", code)
    assert isinstance(closer, UndertoneError)
