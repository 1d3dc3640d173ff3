"""The module for host pages and its connections, which are only played, run by Node."""

import json
from typing import Any

import pytest

from tests.support import in_node
from tests.test_frontend_undertone import LISTENER, MODULE

CONNECTIONS = (
    LISTENER
    + """
const { attach } = await import(process.argv[1]);
const log = [];
const wait = [];
globalThis.setTimeout = (action, ms) => wait.push({ action, ms });
globalThis.clearTimeout = (id) => id && (wait[id - 1] = null);
const later = () => {
  const [next] = wait.splice(0).filter(Boolean);
  log.push(["after", next.ms]);
  next.action();
};
Math.random = () => 0;
console.error = (error) => log.push(["mistake", error.message]);
class Channel extends EventTarget {
  readyState = "connecting";
  constructor(label) { super(); this.label = label; }
  tell(data) { this.dispatchEvent(Object.assign(new Event("message"), { data })); }
  is(state) { this.readyState = state; this.dispatchEvent(new Event(state === "closed" ? "close" : state)); }
}
class Peer extends EventTarget {
  made = [];
  createDataChannel(label) { this.made.push(label); }
  give(channel) { this.dispatchEvent(Object.assign(new Event("datachannel"), { channel })); }
}
const sockets = [];
globalThis.WebSocket = class {
  sent = [];
  constructor(url) { this.url = String(url); sockets.push(this); }
  send(text) { this.sent.push(text); }
  close() { this.closed = true; }
};
const event = (seq, epoch = 1) => JSON.stringify({
  type: "io.undertone.speech.started.v1", epoch, seq, data: { at: 0, speaker: "p1" },
});
let extra;
%s
console.log(JSON.stringify({ log, extra, sockets: sockets.map(({ url, sent, closed }) => ({ url, sent, closed })) }));
"""
)


def connected(script: str) -> dict[str, Any]:
    result: dict[str, Any] = in_node(CONNECTIONS % script, MODULE.as_uri())
    return result


def test_a_data_channel_is_heard_from_its_opening_until_detached() -> None:
    result = connected("""
      const channel = new Channel("undertone");
      const here = attach(channel, heard(log));
      channel.is("open");
      channel.tell(event(1));
      channel.tell(new ArrayBuffer(8));
      channel.is("closed");
      here.detach();
      here.detach();
      channel.tell(event(2));
      extra = [here.position(), here.ignored()];
    """)
    states = [
        ["state", "connecting"],
        ["state", "open"],
        ["event", 1, 1],
        ["state", "lost", "The data channel was closed."],
    ]
    assert result["log"] == [*states, ["state", "detached"]]
    assert result["extra"] == [{"epoch": 1, "seq": 1}, {"malformed": 1, "unknown": 0, "repeated": 0}]


def test_a_mistake_in_the_page_costs_no_event() -> None:
    result = connected("""
      const channel = new Channel("undertone");
      channel.readyState = "open";
      attach(channel, { ...heard(log), onGap: () => { throw new Error("oh"); } });
      for (const seq of [1, 3, 4]) channel.tell(event(seq));
    """)
    assert result["log"][2:] == [["event", 1, 1], ["mistake", "oh"], ["event", 1, 3], ["event", 1, 4]]


def test_on_janus_whoever_attaches_after_the_first_answer_is_told_at_once() -> None:
    result = connected("""
      const tried = (state, local) => {
        const pc = Object.assign(new Peer(), { signalingState: state, currentLocalDescription: local });
        try { attach(pc, { feed: 77 }); return pc.made.length; } catch ({ name, message }) { return [name, message]; }
      };
      const offered = "have-remote-offer";
      extra = [tried("stable", null), tried(offered, null), tried("stable", {}), tried(offered, {})];
    """)
    fresh, offered, answered, again = result["extra"]
    assert (fresh, offered, again) == (1, 1, 1)
    assert answered[0] == "TypeError"
    assert "attach before your subscriber's first answer" in answered[1]


def test_on_janus_a_channel_is_made_at_once_and_only_undertones_is_heard() -> None:
    result = connected("""
      const pc = new Peer();
      let feed = 77;
      const here = attach(pc, { feed: () => feed, ...heard(log) });
      extra = pc.made;
      const [stranger, first, second] = ["5", "77", "78"].map((label) => new Channel(label));
      for (const channel of [stranger, first]) { channel.readyState = "open"; pc.give(channel); }
      stranger.tell(event(1));
      first.tell(event(1));
      feed = 78;
      second.readyState = "open";
      pc.give(second);
      first.tell(event(2));
      second.tell(event(4));
      here.detach();
      second.tell(event(5));
      const late = new Channel("78");
      late.readyState = "open";
      pc.give(late);
    """)
    assert result["extra"] == ["JanusDataChannel"]
    assert result["log"] == [
        ["state", "connecting"],
        ["state", "open"],
        ["event", 1, 1],
        ["gap", 1, 2, 3],
        ["event", 1, 4],
        ["state", "detached"],
    ]


def test_a_socket_resumes_where_it_was_with_growing_pauses() -> None:
    result = connected("""
      const here = attach({ url: "https://host/v1/rooms/demo/events", token: "secret" }, heard(log));
      sockets[0].onopen();
      sockets[0].onmessage({ data: event(8) });
      sockets[0].onclose({ code: 1001, reason: "The worker is stopping." });
      later();
      sockets[1].onclose({ code: 1006, reason: "" });
      later();
      sockets[2].onopen();
      sockets[2].onmessage({ data: event(9) });
      sockets[2].onclose({ code: 1006, reason: "" });
      later();
      here.detach();
      extra = wait.filter(Boolean).length;
      sockets[3].onmessage({ data: event(10) });
    """)
    first, _, third, last = result["sockets"]
    assert [json.loads(text) for text in first["sent"] + third["sent"]] == [
        {"token": "secret"},
        {"token": "secret", "since": {"epoch": 1, "seq": 8}},
    ]
    assert {one["url"] for one in result["sockets"]} == {"wss://host/v1/rooms/demo/events"}
    assert [ms for kind, ms, *_ in result["log"] if kind == "after"] == [250, 500, 250]
    assert result["log"][-2:] == [["after", 250], ["state", "detached"]]
    assert last["closed"]
    assert result["extra"] == 0


def test_a_socket_that_is_silent_is_made_anew_and_one_that_is_refused_is_not_asked_again() -> None:
    result = connected("""
      attach({ url: "ws://host/v1/rooms/demo/events" }, heard(log));
      sockets[0].onopen();
      sockets[0].onmessage({ data: event(8) });
      later();
      sockets[0].onmessage({ data: event(9) });
      sockets[0].onclose({ code: 1006, reason: "" });
      sockets[1].onopen();
      later();
      later();
      later();
      sockets[3].onclose({ code: 4401, reason: "The token is missing or wrong." });
      extra = wait.filter(Boolean).length;
    """)
    assert result["log"] == [
        ["state", "connecting"],
        ["state", "open"],
        ["event", 1, 8],
        ["after", 15_000],
        ["after", 15_000],
        ["after", 15_000],
        ["state", "lost", "The worker does not answer."],
        ["after", 250],
        ["state", "refused", "The token is missing or wrong."],
    ]
    assert (result["sockets"][0]["closed"], result["extra"]) == (True, 0)


@pytest.mark.parametrize("source", ["null", "{}", '"wss://host"', "new Peer()"])
def test_a_source_that_is_none_is_named(source: str) -> None:
    result = connected(f"try {{ attach({source}, {{}}); }} catch (error) {{ extra = error.message; }}")
    assert result["extra"].startswith("attach needs ")


def test_an_answer_to_a_prompt_goes_where_the_prompt_came_from_and_never_to_everyone() -> None:
    result = connected("""
      WebSocket.OPEN = 1;
      const channel = Object.assign(new Channel("undertone"), { sent: [], send(text) { this.sent.push(text); } });
      const near = attach(channel, heard([]));
      extra = [near.answer("c1", "snoozed")];
      channel.is("open");
      extra.push(near.answer("c1", "snoozed"), ...channel.sent);
      const far = attach({ url: "http://worker/v1/rooms/r/events", token: "t" }, heard([]));
      Object.assign(sockets[0], { readyState: 1 }).onopen();
      extra.push(far.answer("c2", "dismissed"));
      far.detach();
      extra.push(far.answer("c2", "dismissed"));
      extra.push(attach(new Peer(), { feed: 7 }).answer("c3", "dismissed"));
    """)
    told = '{"type":"coaching","prompt":"%s","answer":"%s"}'
    assert result["extra"] == [False, True, told % ("c1", "snoozed"), True, False, False]
    assert result["sockets"][0]["sent"][1:] == [told % ("c2", "dismissed")]
