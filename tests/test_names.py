"""The private parts of aiortc and aioice that we use: all there today, and missed by name when they are not."""

import re
from pathlib import Path

import aioice.ice
import pytest
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender, RTCSctpTransport
from pylibsrtp import Session
from structlog.testing import capture_logs

from worker.rooms.webrtc import listener, names
from worker.rooms.webrtc.names import CHECKS, differing, usable_path

MISSING = [
    (aioice.ice.StunProtocol, "datagram_received"),
    (aioice.ice.CandidatePair, "remote_addr"),
    (aioice.ice, "CONSENT_INTERVAL"),
    (aioice.ice, "CONSENT_FAILURES"),
    (RTCRtpReceiver, "_handle_rtcp_packet"),
    (RTCRtpSender, "_handle_rtcp_packet"),
    (RTCDtlsTransport, "_register_rtp_receiver"),
    (RTCDtlsTransport, "_register_rtp_sender"),
    (RTCDtlsTransport, "_handle_rtp_data"),
    (RTCDtlsTransport, "_send_rtp"),
    (Session, "protect"),
    (Session, "unprotect"),
]
"""Parts of classes and modules."""
EMPTIED = [
    ("connection", "_queue"),
    ("connection", "_nominated"),
    ("connection", "_check_list"),
    ("connection", "_protocols"),
    ("dtls", "_rtp_router"),
    ("dtls", "_rx_srtp"),
    ("dtls", "_tx_srtp"),
    ("line", "_codecs"),
    ("line", "_headerExtensions"),
    ("line", "_offerDirection"),
    ("sender", "_ssrc"),
    ("sender", "_stream_id"),
]
"""Parts of objects."""


@pytest.fixture(autouse=True)
def _asked_anew():
    for asked in (differing, names._say):
        asked.cache_clear()
    yield
    for asked in (differing, names._say):
        asked.cache_clear()


async def test_all_is_as_we_think():
    assert differing() == ()


@pytest.mark.parametrize(("owner", "name"), MISSING)
async def test_a_part_that_is_missing_is_named(owner, name, monkeypatch):
    monkeypatch.delattr(owner, name)
    (sentence,) = differing()
    assert sentence.split(" (")[0] in CHECKS


@pytest.mark.parametrize(("owner", "name"), EMPTIED)
async def test_a_part_that_an_object_lacks_is_named(owner, name, monkeypatch):
    def lacking():
        found = parts()
        delattr(getattr(found, owner), name)
        return found

    parts = names._parts
    monkeypatch.setattr(names, "_parts", lacking)
    (sentence,) = differing()
    assert sentence.split(" (")[0] in CHECKS


@pytest.mark.parametrize("what", CHECKS)
async def test_each_check_can_fail(what, monkeypatch):
    monkeypatch.setitem(CHECKS, what, lambda: False)
    assert differing() == (what,)


async def test_a_check_that_raises_says_how(monkeypatch):
    monkeypatch.setitem(CHECKS, "all is well", lambda: {}["x"])
    assert differing() == ("all is well (KeyError)",)


async def test_datagrams_that_go_elsewhere_are_noticed(monkeypatch):
    monkeypatch.setattr(aioice.ice.StunProtocol, "datagram_received", lambda *_: None)
    assert any("data_received" in sentence for sentence in differing())


async def test_checks_whose_pace_cannot_be_set_are_noticed(monkeypatch):
    async def query_consent(connection, pause_s=5):
        """The pace of its own."""

    monkeypatch.setattr(aioice.ice.Connection, "query_consent", query_consent)
    assert any("CONSENT_INTERVAL" in sentence for sentence in differing())


async def test_sctp_without_its_window_is_noticed(monkeypatch):
    class Other(RTCSctpTransport):
        def __init__(self, *given):
            super().__init__(*given)
            del self._advertised_rwnd

    monkeypatch.setattr(names, "RTCSctpTransport", Other)
    assert any("_advertised_rwnd" in sentence for sentence in differing())


def test_every_private_part_that_is_used_is_checked():
    folder = Path(names.__file__).parent
    used = {
        name
        for path in folder.glob("*.py")
        if path.name != "names.py"
        for name in re.findall(r"(?<!\bself)\.(_[a-zA-Z]\w+)", path.read_text())
    }
    checked = Path(names.__file__).read_text()
    assert len(used) > 15
    assert {name for name in used if not re.search(rf"\b{name}\b", checked)} == set()


async def test_our_own_path_is_used_where_all_is_well():
    with capture_logs() as said:
        assert [usable_path("own"), usable_path("stock")] == ["own", "stock"]
    assert said == []


async def test_the_stock_path_is_used_and_said_once_where_something_differs(monkeypatch):
    monkeypatch.setitem(CHECKS, "all is well", lambda: False)
    with capture_logs() as said:
        assert [usable_path("own") for _ in range(3)] == ["stock"] * 3
    (entry,) = said
    assert entry["log_level"] == "error"
    assert entry["differing"] == ["all is well"]
    assert "aiortc 1." in entry["have"]


async def test_a_listener_falls_back(monkeypatch):
    monkeypatch.setitem(CHECKS, "all is well", lambda: False)
    with capture_logs():
        one = listener.Listener(lambda chunks: None, lambda: 0.0)
    assert one.path == "stock"
    await one.close()
