"""Names and passwords for a TURN server."""

import pytest

from worker.errors import ConfigError
from worker.rooms.webrtc.turn import VALID_S, Turn, check_turn, credentials

URL = "turn:turn.test:3478?transport=udp"


def test_a_secret_gives_what_openssl_gives():
    """`printf 1700003600:undertone | openssl dgst -sha1 -hmac north -binary | base64`"""
    assert credentials("north", 1_700_000_000.9) == ("1700003600:undertone", "r6/jC2g765VOuyNcYTt3U6yIVJs=")


def test_each_connection_has_a_name_that_ends_an_hour_later(tmp_path):
    (tmp_path / "secret").write_text("north\n")
    times = iter([1_700_000_000.0, 1_700_000_100.0])
    turn = Turn(URL, "", "", f"file:{tmp_path / 'secret'}", lambda: next(times))
    names = [server.username for _ in range(2) for server in turn.servers()]
    assert names == [f"{1_700_000_000 + later + VALID_S}:undertone" for later in (0, 100)]


def test_a_password_stays_as_it_is_and_without_an_address_there_is_no_server():
    (server,) = Turn(URL, "ada", "quite-secret", "").servers()
    assert (server.urls, server.username, server.credential) == (URL, "ada", "quite-secret")
    assert Turn("", "", "", "").servers() == []


def test_a_secret_and_a_password_are_too_much():
    with pytest.raises(ConfigError, match="leave turn_username and turn_password out"):
        check_turn({"turn_url": URL, "turn_secret": "north", "turn_password": "x"})
