"""What the page tells the embedded room of a person's choice, run by Node against a socket that is only played."""

import json
from pathlib import Path
from typing import Any

from tests.support import in_node

MODULE = Path(__file__).parent.parent / "frontend_demo" / "room.js"

PLAYED = """
const { Room } = await import(process.argv[1]);
const wait = [];
globalThis.setTimeout = (action, ms) => wait.push({ action, ms });
globalThis.clearTimeout = (id) => id && (wait[id - 1] = null);
const sockets = [];
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  sent = [];
  constructor() { sockets.push(this); }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
};
globalThis.RTCPeerConnection = class extends EventTarget {
  iceGatheringState = "complete";
  localDescription = { sdp: "v=0" };
  addTransceiver() {}
  createDataChannel() { return {}; }
  setLocalDescription() {}
  getTransceivers() { return []; }
  close() {}
};
const out = { told: [], statuses: [] };
const on = {
  status: (kind) => out.statuses.push(kind), welcome() {}, participants() {}, media() {}, message() {},
  consent: (told) => out.told.push(told),
};
const asked = [];
globalThis.fetch = async (url, options) => asked.push({ url: String(url), ...options }) && { ok: true };
const hello = { name: "Ada", person: "a-person-key", level: "metrics", text: "v1", muted: false };
const stream = { getTracks: () => [], getAudioTracks: () => [] };
const room = new Room(new URL("wss://worker/v1/rooms/demo/join"), hello, stream, on);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const says = async (message) => { sockets.at(-1).onmessage({ data: JSON.stringify(message) }); await turn(); };
const breaks = () => { sockets.at(-1).onclose({ code: 1006 }); wait.findLast(Boolean).action(); };
const opens = () => sockets.at(-1).onopen();
room.connect();
opens();
%s
console.log(JSON.stringify({ ...out, sent: sockets.map(({ sent }) => sent), asked }));
"""


def played(script: str) -> dict[str, Any]:
    result: dict[str, Any] = in_node(PLAYED % script, MODULE.as_uri())
    return result


def test_who_comes_in_says_how_much_they_agree_to_and_which_words_they_read() -> None:
    (first,) = played("")["sent"]
    join = {"type": "join", "name": "Ada", "person": "a-person-key", "level": "metrics", "text": "v1", "muted": False}
    assert first == [join]


def test_a_no_holds_after_the_connection_was_lost_even_if_it_never_arrived() -> None:
    result = played("""
      sockets[0].readyState = 3;
      room.choose("presence", "v2");
      breaks();
      opens();
    """)
    first, second = result["sent"]
    assert [said["type"] for said in first] == ["join"]
    assert (second[0]["level"], second[0]["text"]) == ("presence", "v2")


def test_where_the_person_stands_is_passed_on() -> None:
    standing = {"type": "consent", "state": "unknown", "level": "presence", "agreed": "presence"}
    result = played(f"""
      await says({json.dumps(standing)});
      room.choose("emotion", "v2");
    """)
    assert result["told"] == [standing]
    assert result["sent"][0][-1] == {"type": "consent", "level": "emotion", "text": "v2"}


def test_data_are_asked_for_with_a_pass_that_stands_in_no_address() -> None:
    result = played("""
      const one = room.ask("GET");
      await says({ type: "pass", token: "a-secret" });
      await one;
    """)
    assert result["sent"][0][-1] == {"type": "pass"}
    (asked,) = result["asked"]
    assert (asked["url"], asked["method"]) == ("https://worker/v1/rooms/demo/me", "GET")
    assert asked["headers"] == {"Authorization": "Bearer a-secret"}


def test_a_worker_that_gives_no_pass_is_not_waited_for_for_ever() -> None:
    result = played("""
      const one = room.ask("DELETE").catch(({ message }) => (out.error = message));
      wait.findLast(Boolean).action();
      await one;
    """)
    assert (result["error"], result["asked"]) == ("No pass came.", [])
