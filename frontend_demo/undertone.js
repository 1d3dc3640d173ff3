/** Undertone in a host's page: events from its Janus room, from a data channel, or from the worker's WebSocket. */

export const PREFIX = "io.undertone.";
/** Longer messages are not read; the worker's are far smaller. */
const LARGEST = 1_000_000;
/** A socket that is silent for so long is made anew, because a browser may never notice that it is dead. */
const SILENT_MS = 15_000;
/** An epoch is the worker's clock in milliseconds when it opened the room: one from later than this is a mistake or a forgery. */
const FUTURE_MS = 24 * 3600 * 1000;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [500, 30_000];
/** Close codes after which asking again is pointless: a bad message, a wrong token, a message too large. */
const REFUSED = [4400, 4401, 4413];

const [SNAPSHOT, GAP] = ["snapshot.v1", "gap.v1"];
const AT = /** @type {const} */ ({ at: "number" });
const ONE = /** @type {const} */ ({ ...AT, speaker: "string" });
const HEARD = /** @type {const} */ ({ ...ONE, window_start: "number", engine: "string" });
const FELT = /** @type {const} */ ({ arousal: "number?", valence: "number?", scores: ["number"], confidence: "number" });
const TALK = /** @type {const} */ ({ seconds: "number", share: "number" });
const FLAGS = /** @type {const} */ ({ analysed: "boolean", level: "string", present: "boolean", muted: "boolean", speaking: "boolean" });
const PERSON = /** @type {const} */ ({ name: "string", generation: "number", ...FLAGS, talk: TALK });
const RATES = /** @type {const} */ ({ overlap_share: "number?", silence_share: "number?", recent_silence_share: "number?" });
const FLOOR = /** @type {const} */ ({ floor_changes: "number", floor_changes_per_min: "number?", recent_floor_changes_per_min: "number?" });
const REPLY = /** @type {const} */ ({ response_gap_s: "number?", recent_response_gap_s: "number?" });
const CUTS = /** @type {const} */ ({ interruptions: "number", recent_interruptions: "number" });
const SOUND = /** @type {const} */ ({ heard_s: "number", speech_s: "number", overlap_s: "number", silence_s: "number", longest_silence_s: "number" });
const TOGETHER = /** @type {const} */ ({ people: "number", ...SOUND, ...RATES, ...FLOOR, ...REPLY, ...CUTS, balance: "number?", recent_balance: "number?" });
const SIDE = /** @type {const} */ ({ talk_s: "number", talk_share: "number?", recent_talk_share: "number?" });
const RUN = /** @type {const} */ ({ recent_talk_s: "number", recent_equal_share: "number?", turns: "number", run_s: "number", longest_run_s: "number" });
const CUT = /** @type {const} */ ({ ...CUTS, interrupted: "number", recent_interrupted: "number", back_channels: "number" });
const PACE = /** @type {const} */ ({ silent_for_s: "number", syllables_per_s: "number?", pace_change: "number?", loudness_change_db: "number?" });
const PITCH = /** @type {const} */ ({ pitch_spread_st: "number?", pitch_spread_change_st: "number?" });
const ALONE = /** @type {const} */ ({ ...SIDE, ...RUN, ...CUT, ...REPLY, ...PACE, ...PITCH });
const MEETING = /** @type {const} */ ({ window_s: "number", room: TOGETHER, speakers: [ALONE], sides: [SIDE], silent: "string[]" });
const PROMPT = /** @type {const} */ ({ ...AT, prompt: "string", to: "string", rule: "string" });
const WORDS = /** @type {const} */ ({ severity: "string", text: "string", reason: "string", numbers: ["value"], expires_s: "number" });
const STATE = /** @type {const} */ ({ room: "string", at: "number", speakers: [PERSON] });

/** What the `data` of each event holds; docs/events.md says what it means. `?` is "or null", `value` a number, a
 * string or null, `[]` several in order, and a list a map to its type. */
export const EVENTS = /** @type {const} */ ({
  "speaker.joined.v1": { ...ONE, name: "string", generation: "number", analysed: "boolean", role: "string", level: "string" },
  "speaker.left.v1": { ...ONE, reason: "string" },
  "speaker.muted.v1": ONE,
  "speaker.unmuted.v1": ONE,
  "speaker.analysed.v1": { ...ONE, analysed: "boolean", level: "string" },
  "speech.started.v1": ONE,
  "speech.ended.v1": { ...ONE, started: "number" },
  "speech.measured.v1": { ...ONE, window_start: "number", syllables_per_s: "number?", level_dbfs: "number", pitch_spread_st: "number?" },
  "turn.started.v1": { ...ONE, previous: "string?", gap_s: "number?" },
  "turn.ended.v1": { ...ONE, started: "number" },
  "interrupted.v1": { ...ONE, by: "string", overlap_s: "number" },
  "overlapped.v1": { ...ONE, on: "string", overlap_s: "number" },
  "back_channel.v1": { ...ONE, to: "string", seconds: "number" },
  "conversation.v1": { ...AT, ...MEETING, interrupted_by: [["number"]], floor: [["number"]] },
  "engagement.v1": { ...AT, score: "number?", parts: ["number?"], weights: ["number"], confidence: "number" },
  "emotion.shifted.v1": { ...ONE, kind: "string", before: "number", now: "number", seconds: "number" },
  "coaching.prompted.v1": { ...PROMPT, ...WORDS },
  "coaching.answered.v1": { ...PROMPT, answer: "string" },
  "emotion.estimated.v1": { ...HEARD, ...FELT, provisional: "boolean", label: "string?" },
  "emotion.abstained.v1": { ...HEARD, reason: "string" },
  "emotion.unavailable.v1": { ...HEARD, reason: "string" },
  "emotion.drifted.v1": { ...AT, measure: "string", reference: "number", now: "number", windows: "number", engine: "string" },
  "talk_time.v1": { ...AT, speakers: [TALK] },
  "room.opened.v1": AT,
  "room.closed.v1": { ...AT, reason: "string" },
  "room.interrupted.v1": { ...AT, seconds: "number", reason: "string", attempts: "number" },
  "gap.v1": { ...AT, from_seq: "number", to_seq: "number" },
});

/**
 * @template T
 * @typedef {T extends "string" ? string : T extends "string?" ? string | null : T extends "number" ? number : T extends "number?" ? number | null
 *   : T extends "string[]" ? string[] : T extends "value" ? string | number | null
 *   : T extends "boolean" ? boolean : T extends readonly [infer U] ? Record<string, Data<U>> : { [K in keyof T]: Data<T[K]> }} Data
 */
/**
 * @typedef {{ epoch: number, seq: number }} Position  of an event: a run of the worker, and the number within it
 * @typedef {keyof typeof EVENTS} Kind
 * @typedef {{ [K in Kind]: Position & { type: `io.undertone.${K}`, time: string, audience?: string, data: Data<(typeof EVENTS)[K]> } }[Kind]} Event
 * @typedef {Extract<Event, { type: "io.undertone.gap.v1" }>} Gap
 * @typedef {Data<typeof PERSON> & { emotion: ({ type: string } & Record<string, unknown>) | null }} Person
 * @typedef {Position & { type: "io.undertone.snapshot.v1", data: { room: string, at: number, speakers: Record<string, Person> } }} Snapshot
 *
 * @typedef {object} Options
 * @property {string | number | (() => string | number)} [feed]  Janus only: the id of Undertone's feed
 * @property {Position | null} [since]  the `position` of an attachment that ended: what was missed since is told
 * @property {(event: Exclude<Event, Gap>) => void} [onEvent]
 * @property {(snapshot: Snapshot) => void} [onSnapshot]  the whole present state: what was known before is void
 * @property {(gap: Gap) => void} [onGap]  these events will never come; a snapshot makes up for them when there is one
 * @property {(state: "connecting" | "open" | "lost" | "refused" | "detached", reason: string) => void} [onState]  `lost` may open again
 */

/**
 * Begins to listen. Events come in order and none twice, however often connections are lost and snapshots repeated.
 *
 * @param {RTCPeerConnection | RTCDataChannel | { url: string | URL, token?: string }} source  a Janus subscriber, before
 *   it sends its first answer; the channel `undertone` of an embedded room, before it opens; or `/v1/rooms/{room}/events`
 * @param {Options} options
 */
export function attach(source, { feed, since = null, ...on } = {}) {
  if (!source?.url && !source?.addEventListener) throw new TypeError("attach needs an RTCPeerConnection, an RTCDataChannel, or {url, token}.");
  const reader = new Reader(on, since);
  reader.say("connecting");
  const { stop, send } = (source.url ? overSocket : source.createDataChannel ? overJanus : overChannel)(source, reader, feed);
  return {
    /** Of the last event heard, for `since`; null before the first. */
    position: () => reader.position,
    /** How many messages were not passed on: `malformed`, `unknown` (of a later worker), `repeated`. */
    ignored: () => ({ ...reader.ignored }),
    /** Tells what the person did with a prompt of theirs: `dismissed`, `snoozed` or `not_helpful`. False when it could not be sent. */
    answer(prompt, answer) {
      return send?.(JSON.stringify({ type: "coaching", prompt, answer })) ?? false;
    },
    detach() {
      stop();
      reader.say("detached");
    },
  };
}

/** Makes of messages what the host is told; knows no connection and no clock. */
export class Reader {
  ignored = { malformed: 0, unknown: 0, repeated: 0 };
  #on;
  #state;
  /** Positions by audience. */
  #alone = new Map();
  /** Whether a snapshot is news: nothing came yet, or something was missed. Else it is for others, who came late. */
  #behind = true;
  /** Whether nothing came since the connection stands. */
  #anew = true;

  constructor(on, since = null) {
    this.#on = on;
    this.position = since && { epoch: since.epoch, seq: since.seq };
  }

  say(state, reason = "") {
    if (state !== this.#state) this.#tell("onState", state, reason);
    this.#state = state;
  }

  open() {
    this.#behind = this.#anew = true;
    this.say("open");
  }

  hear(text) {
    const message = read(text);
    if (!message) return void (this.ignored.malformed += 1);
    const kind = message.type.slice(PREFIX.length);
    if (message.audience) return this.#hearAlone(message, kind);
    const { epoch, seq, time, data } = message;
    const last = this.position;
    const newRun = last === null || epoch > last.epoch;
    const later = kind === SNAPSHOT ? this.#behind && seq >= last?.seq : seq > last?.seq;
    if (!newRun && !(epoch === last.epoch && later)) return void (this.ignored.repeated += 1);
    const next = last === null ? (kind === GAP ? data.from_seq : seq) : newRun ? 1 : last.seq + 1;
    const bridged = kind === SNAPSHOT && !(last && (newRun || this.#anew));
    this.position = { epoch, seq };
    this.#anew = false;
    if (newRun) this.#behind = true;
    const to = kind === SNAPSHOT || kind === GAP ? seq : seq - 1;
    if (!bridged && next <= to) {
      this.#behind = true;
      this.#tell("onGap", { type: PREFIX + GAP, epoch, seq: to, time, data: { at: data.at, from_seq: next, to_seq: to } });
    }
    if (kind === SNAPSHOT) this.#behind = false;
    if (kind === SNAPSHOT) this.#tell("onSnapshot", message);
    else if (!Object.hasOwn(EVENTS, kind)) this.ignored.unknown += 1;
    else if (kind !== GAP) this.#tell("onEvent", message);
  }

  /** What not everyone is told, such as a hint for one person, has numbers of its own, and no snapshot. */
  #hearAlone(message, kind) {
    const { audience, epoch, seq, time, data } = message;
    const last = this.#alone.get(audience);
    if (last && !(epoch > last.epoch || (epoch === last.epoch && seq > last.seq))) return void (this.ignored.repeated += 1);
    const first = kind === GAP ? data.from_seq : seq;
    const next = last?.epoch === epoch ? last.seq + 1 : first;
    const to = kind === GAP ? seq : seq - 1;
    this.#alone.set(audience, { epoch, seq });
    if (next <= to) this.#tell("onGap", { type: PREFIX + GAP, epoch, seq: to, time, audience, data: { at: data.at, from_seq: next, to_seq: to } });
    if (kind === GAP) return;
    if (Object.hasOwn(EVENTS, kind)) this.#tell("onEvent", message);
    else this.ignored.unknown += 1;
  }

  /** A mistake in the host's page must not cost it the events after. */
  #tell(name, ...values) {
    try {
      this.#on[name]?.(...values);
    } catch (error) {
      console.error(error);
    }
  }
}

/** A message that has the form it must have, else null. */
function read(text) {
  if (typeof text !== "string" || text.length > LARGEST) return null;
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!fits(message, { type: "string", epoch: "count", seq: "count", data: AT }) || !message.type.startsWith(PREFIX)) return null;
  const { type, epoch, seq, data, audience = "" } = message;
  if (epoch > Date.now() + FUTURE_MS || typeof audience !== "string") return null;
  const kind = type.slice(PREFIX.length);
  if (kind === SNAPSHOT && audience) return null;
  if (kind === SNAPSHOT) return fits(data, STATE) && Object.values(data.speakers).every(feels) ? message : null;
  if (kind === GAP) return fits(data, { from_seq: "count" }) && data.from_seq <= seq && data.to_seq === seq ? message : null;
  return !Object.hasOwn(EVENTS, kind) || fits(data, EVENTS[kind]) ? message : null;
}

const feels = ({ emotion }) => emotion === null || (Object.hasOwn(EVENTS, emotion?.type) && fits(emotion, EVENTS[emotion.type]));

function fits(value, type) {
  if (type === "number") return Number.isFinite(value);
  if (type === "count") return Number.isSafeInteger(value) && value >= 0;
  if (type === "value") return value === null || typeof value === "string" || Number.isFinite(value);
  if (type === "string[]") return Array.isArray(value) && value.every((one) => typeof one === "string");
  if (typeof type === "string") return type.endsWith("?") ? value === null || fits(value, type.slice(0, -1)) : typeof value === type;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (Array.isArray(type)) return Object.values(value).every((one) => fits(one, type[0]));
  return Object.entries(type).every(([key, one]) => fits(value[key], one));
}

/** Listens to a data channel; gives what stops it, and what sends. The page's own listeners are left alone. */
function overChannel(channel, reader) {
  const listening = new AbortController();
  const { signal } = listening;
  if (channel.readyState === "open") reader.open();
  else channel.addEventListener("open", () => reader.open(), { signal });
  channel.addEventListener("message", ({ data }) => reader.hear(data), { signal });
  channel.addEventListener("close", () => reader.say("lost", "The data channel was closed."), { signal });
  return { stop: () => listening.abort(), send: (text) => sent(channel, channel.readyState === "open", text) };
}

function sent(to, open, text) {
  if (open) to.send(text);
  return open;
}

/** Janus gives no data, and no error, to a subscriber that made no channel of its own before it answered. Channels are labelled with their feed. */
function overJanus(pc, reader, feed) {
  if (feed === undefined) throw new TypeError("attach needs `feed`, the id of Undertone's feed in the Janus room.");
  if (pc.signalingState === "stable" && pc.currentLocalDescription) {
    throw new TypeError("attach before your subscriber's first answer: Janus sends no data to a connection that was answered without a channel.");
  }
  let stop = () => {};
  const arrived = ({ channel }) => {
    if (channel.label !== String(typeof feed === "function" ? feed() : feed)) return;
    stop();
    ({ stop } = overChannel(channel, reader));
  };
  pc.addEventListener("datachannel", arrived);
  pc.createDataChannel("JanusDataChannel");
  return {
    stop() {
      pc.removeEventListener("datachannel", arrived);
      stop();
    },
  };
}

/** Connects until it is stopped or refused, and resumes after the last event; the token is in the first message only. */
function overSocket({ url, token }, reader) {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace("http", "ws");
  let [socket, timer, failures] = [null, 0, 0];
  function after(ms, action) {
    clearTimeout(timer);
    timer = setTimeout(action, ms);
  }
  function drop() {
    clearTimeout(timer);
    socket?.close();
    socket = null;
  }
  function lost(reason) {
    drop();
    after(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2), connect);
    failures += 1;
    reader.say("lost", reason);
  }
  function connect() {
    drop();
    const here = new WebSocket(address);
    socket = here;
    after(SILENT_MS, () => lost("The worker does not answer."));
    here.onopen = () => {
      here.send(JSON.stringify({ token: token || undefined, since: reader.position ?? undefined }));
      after(SILENT_MS, connect);
      reader.open();
    };
    here.onmessage = ({ data }) => {
      if (here !== socket) return;
      after(SILENT_MS, connect);
      failures = 0;
      reader.hear(data);
    };
    here.onclose = ({ code, reason }) => {
      if (here !== socket) return;
      if (!REFUSED.includes(code)) return lost(reason || `The connection was closed (${code}).`);
      drop();
      reader.say("refused", reason);
    };
  }
  connect();
  return { stop: drop, send: (text) => socket !== null && sent(socket, socket.readyState === WebSocket.OPEN, text) };
}
