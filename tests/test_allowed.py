"""Addresses that look like those that are allowed, and are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from worker.errors import ConfigError
from worker.ops.allowed import Allowed

ALLOW = [
    "wss://sfu.example.org:443",
    "ws://127.0.0.1:8188",
    "wss://*.rooms.example.net",
    "ws://lab.test:*",
    "ws://[::1]:8188/",
]

GOOD = [
    "wss://sfu.example.org",
    "wss://sfu.example.org:443",
    "WSS://SFU.example.ORG:443/janus",
    "wss://sfu.example.org/janus?room=1&name=a@b",
    "wss://sfu.example.org?x=1",
    "ws://127.0.0.1:8188/",
    "wss://a.rooms.example.net",
    "wss://a.b.rooms.example.net/x",
    "ws://lab.test",
    "ws://lab.test:9000/x//y",
    "ws://[::1]:8188",
    "ws://[0:0:0:0:0:0:0:1]:8188/janus",
]

BAD = [
    "",
    "sfu.example.org",
    "//sfu.example.org",
    "wss:sfu.example.org",
    "wss:/sfu.example.org",
    "wss:///sfu.example.org",
    # who one says one is
    "wss://evil.test@sfu.example.org",
    "wss://sfu.example.org@evil.test",
    "wss://sfu.example.org:443@evil.test",
    "wss://user:word@sfu.example.org:443/",
    "wss://sfu.example.org%40evil.test",
    "wss://@sfu.example.org",
    # other schemes
    "ws://sfu.example.org:443",
    "http://sfu.example.org",
    "https://sfu.example.org",
    "file:///etc/passwd",
    "gopher://sfu.example.org:443",
    "javascript://sfu.example.org",
    "wss+unix://sfu.example.org",
    # other ports
    "wss://sfu.example.org:80",
    "wss://sfu.example.org:4430",
    "wss://sfu.example.org:0443x",
    "wss://sfu.example.org:",
    "wss://sfu.example.org:-443",
    "wss://sfu.example.org:443:443",
    "wss://sfu.example.org:٤٤٣",
    "wss://sfu.example.org:*",
    "ws://127.0.0.1",
    "ws://127.0.0.1:6379",
    "ws://lab.test:0",
    "ws://lab.test:65536",
    "ws://lab.test:99999",
    # other hosts that end or begin alike
    "wss://sfu.example.org.",
    "wss://sfu.example.org.evil.test",
    "wss://sfu.example.org.:443",
    "wss://evilsfu.example.org",
    "wss://evil.sfu.example.org",
    "wss://sfu.example.orgevil",
    "wss://sfu-example.org",
    "wss://rooms.example.net",
    "wss://.rooms.example.net",
    "wss://evilrooms.example.net",
    "wss://a..rooms.example.net",
    "wss://-a.rooms.example.net",
    "wss://a-.rooms.example.net",
    "wss://*.rooms.example.net",
    "wss://a.rooms.example.net.",
    "wss://a.rooms.example.net.evil.test",
    # characters that readers take differently
    "wss://evil.test\\@sfu.example.org",
    "wss://sfu.example.org\\@evil.test",
    "wss://sfu.example.org\\.evil.test",
    "wss://evil.test#@sfu.example.org",
    "wss://sfu.example.org#@evil.test",
    "wss://sfu.example.org/#x",
    "wss://sfu.example.org/a\\b",
    "wss://evil.test?@sfu.example.org",
    "wss://evil.test/@sfu.example.org",
    "wss://evil.test;sfu.example.org",
    "wss://evil.test,sfu.example.org",
    " wss://sfu.example.org",
    "wss://sfu.example.org ",
    "wss://sfu.example.org\n",
    "wss://sfu.example.org\r\nHost: evil.test",
    "wss://sfu.example.org\t.evil.test",
    "wss://sfu.example.org/a b",
    "wss://sfu.example.org\0.evil.test",
    "wss://sfu%2eexample%2eorg",
    "wss://ѕfu.example.org",
    "wss://sfu。example。org",
    "wss://sfu.example.org。",
    "wss://ⓢfu.example.org",
    "wss://ſfu.example.org",
    # other spellings of an address of this machine, and others within
    "ws://localhost:8188",
    "ws://127.1:8188",
    "ws://127.0.1:8188",
    "ws://127.0.0.01:8188",
    "ws://127.0.0.1.:8188",
    "ws://0177.0.0.1:8188",
    "ws://0x7f.0.0.1:8188",
    "ws://0x7f000001:8188",
    "ws://2130706433:8188",
    "ws://017700000001:8188",
    "ws://127.0.0.2:8188",
    "ws://0.0.0.0:8188",
    "ws://0:8188",
    "ws://169.254.169.254:8188",
    "ws://169.254.169.254/latest/meta-data",
    "ws://[::]:8188",
    "ws://[::1]:8189",
    "ws://::1:8188",
    "ws://[::ffff:127.0.0.1]:8188",
    "ws://[::ffff:7f00:1]:8188",
    "ws://[::127.0.0.1]:8188",
    "ws://[::1%25lo]:8188",
    "ws://[::1%lo]:8188",
    "ws://[::1].evil.test:8188",
    "ws://[::1]evil.test:8188",
    "ws://[::1:8188",
    "ws://[v1.a]:8188",
    "ws://[64:ff9b::7f00:1]:8188",
]


@pytest.mark.parametrize("url", GOOD)
def test_what_is_allowed_is_admitted(url):
    assert Allowed(ALLOW).admits(url)


@pytest.mark.parametrize("url", BAD)
def test_nothing_else_is(url):
    assert not Allowed(ALLOW).admits(url)


def test_without_patterns_nothing_is():
    assert not any(Allowed([]).admits(url) for url in GOOD)


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "*://*", "wss://*", "wss://*.", "wss://a.*.org", "sfu.example.org", "ftp://a.test", "wss://a.test/path",
     "wss://u@a.test", "wss://a.test:99999", "wss://*.127.0.0.1:1", "ws://[::1", "ws://*a.test"],
)  # fmt: skip
def test_what_is_no_pattern_is_named(pattern):
    with pytest.raises(ConfigError, match=r"control\.allow: .* is no address"):
        Allowed([pattern])


PIECES = st.lists(
    st.sampled_from([
        "wss://", "ws://", "sfu.example.org", "rooms.example.net", "evil.test", "127.0.0.1", "[::1]", ":443", ":8188",
        "@", "/", "\\", "#", "?", "%", ".", "*", ":", " ", "\t", "\n", "a", "0x7f", "。", ";", "[", "]", "//",
    ]),
    max_size=8,
)  # fmt: skip
PLACES = {("wss", "sfu.example.org", 443), ("ws", "127.0.0.1", 8188), ("ws", "::1", 8188)}


@given(
    PIECES | st.lists(st.characters(), max_size=8), st.sampled_from(["", "wss://sfu.example.org", "ws://[::1]:8188"])
)
def test_whatever_is_admitted_leads_the_client_to_an_allowed_place(pieces, before):
    text = before + "".join(pieces)
    if Allowed(ALLOW).admits(text):
        url = URL(text)  # what the HTTP client makes of it
        inside = (url.host or "").endswith(".rooms.example.net") and (url.scheme, url.port) == ("wss", 443)
        assert inside or (url.scheme, url.host, url.port) in PLACES
        assert url.user is None
        assert url.password is None
