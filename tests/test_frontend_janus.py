"""The page's own Janus client, run by Node against a socket that is only played."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import in_node

FOLDER = Path(__file__).parent.parent / "frontend_demo" / "janus"

PLAYED = """
const { Janus } = await import(process.argv[1]);
const { isUndertone } = await import(process.argv[2]);
const wait = [];
globalThis.setTimeout = (action, ms) => wait.push({ action, ms });
globalThis.clearTimeout = (id) => id && (wait[id - 1] = null);
let beat;
globalThis.setInterval = (action) => (beat = action) && 1;
globalThis.clearInterval = () => {};
let socket;
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  sent = [];
  constructor(url, protocol) { Object.assign(this, { url, protocol }); socket = this; }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.closed = true; }
};
const says = (reply) => socket.onmessage({ data: JSON.stringify(reply) });
const answer = (fields) => says({ transaction: socket.sent.at(-1).transaction, ...fields });
const turn = () => new Promise((resolve) => setImmediate(resolve));
const out = { lost: [], told: [] };
const janus = new Janus("ws://janus", ({ message }) => out.lost.push(message));
const opened = janus.open();
socket.onopen();
await turn();
answer({ janus: "success", data: { id: 11 } });
await opened;
const attached = janus.attach((reply) => out.told.push(reply));
answer({ janus: "success", data: { id: 22 } });
const handle = await attached;
const event = (data, jsep) => ({ janus: "event", sender: handle, plugindata: { data }, jsep });
%s
out.sent = socket.sent;
out.closed = socket.closed ?? false;
console.log(JSON.stringify(out));
"""


def played(script: str) -> dict[str, Any]:
    modules = [(FOLDER / name).as_uri() for name in ("client.js", "room.js")]
    result: dict[str, Any] = in_node(PLAYED % script, *modules)
    return result


def test_an_answer_comes_after_its_acknowledgement_and_what_is_told_unasked_goes_to_its_handle() -> None:
    result = played("""
      const asked = janus.message(handle, { request: "join" }, { type: "offer", sdp: "v=0" });
      answer({ janus: "ack" });
      says(event({ videoroom: "event", leaving: 5 }));
      answer(event({ videoroom: "joined", id: 7 }, { type: "answer", sdp: "v=0" }));
      out.answer = await asked;
    """)
    assert result["answer"] == {"data": {"videoroom": "joined", "id": 7}, "jsep": {"type": "answer", "sdp": "v=0"}}
    assert [told["plugindata"]["data"]["leaving"] for told in result["told"]] == [5]
    sent = result["sent"][-1]
    assert (sent["session_id"], sent["handle_id"], sent["body"]) == (11, 22, {"request": "join"})


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ('event({ error_code: 426, error: "No such room (1)" })', 426),
        ('({ janus: "error", error: { code: 459, reason: "No such handle" } })', 459),
    ],
)
def test_a_refusal_has_its_code(reply: str, code: int) -> None:
    result = played(f"""
      const asked = janus.message(handle, {{ request: "join" }});
      answer({reply});
      out.error = await asked.catch(({{ code, message }}) => [code, message]);
    """)
    assert result["error"][0] == code
    assert result["error"][1].startswith("No such ")


def test_a_janus_that_hangs_is_left_and_everything_that_waits_is_told() -> None:
    result = played("""
      const asked = janus.message(handle, { request: "join" }).catch(({ message }) => (out.error = message));
      beat();
      answer({ janus: "ack" });
      beat();
      wait.findLast(Boolean).action();
      await asked;
    """)
    assert (result["lost"], result["closed"]) == (["Janus does not answer."], True)
    assert result["error"] == "Janus does not answer."


def test_who_closes_destroys_the_session_and_hears_of_no_loss() -> None:
    result = played("janus.close(); socket.onclose();")
    assert result["sent"][-1]["janus"] == "destroy"
    assert result["lost"] == []


DATA, VOICE = {"type": "data", "mid": "0"}, {"type": "audio", "mid": "0"}


@pytest.mark.parametrize(
    ("publisher", "known"),
    [
        ({"display": "Undertone (AI analysis)", "streams": [DATA]}, True),
        ({"display": "Undertone", "streams": [DATA, VOICE]}, False),
        ({"display": "Undertone", "streams": []}, False),
        ({"display": "Undertone"}, False),
        ({"display": "Ada", "streams": [DATA]}, False),
        ({"streams": [DATA]}, False),
    ],
)
def test_undertone_is_who_has_its_name_and_publishes_nothing_but_data(publisher: dict[str, Any], known: bool) -> None:
    assert played(f"out.known = isUndertone({json.dumps(publisher)});")["known"] is known
