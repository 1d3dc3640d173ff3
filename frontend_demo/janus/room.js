/** One stay in a Janus VideoRoom: the person's own media, everybody else's, and what Undertone says of their voices. */

import { stranger } from "../events.js";
import { gathered } from "../room.js";
import { strings } from "../strings.js";
import { PREFIX, attach } from "../undertone.js";
import { Janus } from "./client.js";

const PAUSES_MS = [1000, 2000, 4000, 8000];
/** Codes of the VideoRoom that another attempt will not change: no such room, too many publishers. */
const REFUSED = [426, 432];
const [NO_PIN, WRONG_PIN] = [429, 433];
const NO_SUCH_FEED = 428;
const PATIENCE_MS = 3000;

/** Undertone takes part as a publisher of nothing but data, whose display name begins with its own; others may, too. */
export const isUndertone = ({ display, streams = [] }) =>
  Boolean(display?.startsWith("Undertone")) && streams.length > 0 && streams.every(({ type }) => type === "data");

export class JanusRoom {
  #janus = null;
  #publisher = null;
  #subscriber = null;
  #ears = null;
  #since = null;
  #feeds = new Map();
  #listener = null;
  #lines = new Map();
  #asked = new Set();
  #doubted = new Set();
  #told = new Set();
  #chosen = null;
  #queue = Promise.resolve();
  #failures = 0;
  #timer = 0;
  #me = null;

  /**
   * @param page  what the worker says of itself: `room`, its name, and `janus`, {url, room}
   * @param hello  `name`, `level` (how much may be made of the voice) and `text` (which words were shown), whether `muted`, the worker's `token` and the room's `pin` where they have one
   * @param stream  the person's own tracks: any of one audio, one video
   * @param on  as for the embedded room, and listener(name): who analyses the room, or null
   */
  constructor(page, hello, stream, on) {
    Object.assign(this, { page, hello, stream, on });
  }

  async connect() {
    if (this.#failures === 0) this.on.status("connecting");
    const janus = new Janus(this.page.janus.url, (error) => this.#broke(janus, error));
    this.#janus = janus;
    this.#queue = Promise.resolve();
    try {
      await this.#enter(janus);
    } catch (error) {
      this.#broke(janus, error);
    }
  }

  /** A choice holds for one stay: whoever comes back is asked again. */
  leave() {
    if (this.#chosen && this.hello.level !== "presence") this.#tellChoice("presence").catch(() => {});
    this.#drop();
  }

  mute(muted) {
    this.hello.muted = muted;
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
    this.#arrange();
  }

  /** Shows another picture, or none. */
  async show(track) {
    for (const old of this.stream.getVideoTracks()) {
      old.stop();
      this.stream.removeTrack(old);
    }
    if (track) this.stream.addTrack(track);
    const video = this.#publisher?.getTransceivers().find(({ receiver }) => receiver.track.kind === "video");
    await video?.sender.replaceTrack(track);
  }

  /** Rejoins at the person's wish. */
  retry() {
    this.#failures = 0;
    this.connect();
  }

  /** A participant and what is known of their voice. The worker's name for a speaker is its own: displays bring them together. */
  view(participant, { speakers }) {
    const own = participant.speaker === this.#me;
    const found = Object.values(speakers).find(({ name, present }) => present && name === participant.name);
    const voice = this.#listener === null ? stranger : (found ?? stranger);
    return [{ ...participant, muted: own ? this.hello.muted : voice.muted, level: voice.level }, voice];
  }

  /** How much may be made of this person's voice from now on, also by a worker that comes later. */
  choose(level, text) {
    Object.assign(this.hello, { level, text });
    if (this.#chosen) this.#tellChoice(level).catch((error) => this.#untold(this.#janus, error));
  }

  /** What is known and kept of this person: `GET` has it, `DELETE` erases it. Rejects where the worker gives no pass. */
  async ask(method) {
    const { room, speaker } = this.#chosen;
    const { token } = await this.#ask(`${room}/tokens`, { method: "POST", body: JSON.stringify({ audience: "participant", speaker }) });
    const address = `./v1/rooms/${encodeURIComponent(this.page.room)}/me`;
    return fetch(address, { method, headers: { Authorization: `Bearer ${token}` } });
  }

  // ---- coming in ----

  async #enter(janus) {
    await janus.open();
    const handle = await janus.attach((reply) => this.#heard(janus, reply));
    const name = await this.#free(janus, handle);
    const { data } = await janus.message(handle, { request: "join", ptype: "publisher", ...this.#place(), display: name });
    this.#me = String(data.id);
    this.name = name;
    this.on.welcome(this.#me);
    this.#listen(null, null);
    this.#announce(janus, data.publishers);
    await this.#publish(janus, handle);
  }

  #place() {
    return { room: this.page.janus.room, pin: this.hello.pin || undefined };
  }

  /** The person's name, told apart from others' of the same name: one name is one voice to the worker. */
  async #free(janus, handle) {
    const { data } = await janus.message(handle, { request: "listparticipants", room: this.page.janus.room });
    const taken = new Set(data.participants.map(({ display }) => display));
    const wanted = this.hello.name.split(/\s+/).join(" ").trim();
    let name = wanted;
    for (let n = 2; taken.has(name); n += 1) name = `${wanted} (${n})`;
    return name;
  }

  async #publish(janus, handle) {
    const pc = this.#connection(janus);
    this.#publisher = pc;
    pc.addEventListener("connectionstatechange", () => {
      if (pc !== this.#publisher || pc.connectionState !== "connected") return;
      this.#failures = 0;
      this.on.status("connected");
    });
    for (const kind of ["audio", "video"]) {
      const track = this.stream.getTracks().find((one) => one.kind === kind);
      pc.addTransceiver(track ?? kind, { direction: "sendonly" });
    }
    await pc.setLocalDescription();
    await gathered(pc);
    const { jsep } = await janus.message(handle, { request: "publish" }, pc.localDescription);
    await pc.setRemoteDescription(jsep);
  }

  #connection(janus) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    pc.addEventListener("connectionstatechange", () => pc.connectionState === "failed" && this.#broke(janus, new Error("failed")));
    return pc;
  }

  // ---- who is there ----

  #heard(janus, { janus: kind, plugindata }) {
    if (janus !== this.#janus) return;
    const data = plugindata?.data ?? {};
    if (data.leaving === "ok") return this.#end("refused");
    if (kind === "hangup" || data.videoroom === "destroyed") return this.#broke(janus, new Error(kind));
    this.#announce(janus, data.publishers ?? []);
    for (const gone of [data.unpublished, data.leaving, data.kicked]) if (gone !== undefined) this.#part(String(gone));
  }

  #announce(janus, publishers) {
    for (const publisher of publishers) {
      const { id, display = "" } = publisher;
      const doubted = isUndertone(publisher);
      if (doubted) this.#doubted.add(String(id));
      else this.#feeds.set(String(id), display);
      this.#soon(janus, () => (doubted ? this.#recognise(janus, publisher) : this.#subscribe(janus, publisher)));
    }
    this.#arrange();
  }

  /** Anybody may call themselves Undertone: which feed is, the worker says. Others are people like all. */
  async #recognise(janus, publisher) {
    const feed = String(publisher.id);
    const { janus: said } = await this.#ask("./v1/page", { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => ({}));
    if (janus !== this.#janus || !this.#doubted.delete(feed)) return;
    if (String(said?.feed) === feed) this.#listen(feed, publisher.display);
    else this.#feeds.set(feed, publisher.display);
    this.#arrange();
    await this.#subscribe(janus, publisher);
  }

  #part(feed) {
    this.#feeds.delete(feed);
    this.#doubted.delete(feed);
    for (const line of this.#asked) if (line.startsWith(`${feed} `)) this.#asked.delete(line);
    if (feed === this.#listener) this.#listen(null, null);
    this.#arrange();
  }

  #listen(feed, name) {
    this.#listener = feed;
    this.on.listener(name);
  }

  #arrange() {
    const others = [...this.#feeds].map(([speaker, name]) => ({ speaker, name }));
    if (this.#me) this.on.participants([{ speaker: this.#me, name: this.name }, ...others]);
  }

  // ---- hearing and seeing them ----

  /** One negotiation after the other. */
  #soon(janus, action) {
    this.#queue = this.#queue.then(() => janus === this.#janus && action()).catch((error) => this.#broke(janus, error));
  }

  async #subscribe(janus, { id, streams = [] }) {
    const lines = streams.filter(({ mid, disabled }) => !disabled && !this.#asked.has(`${id} ${mid}`));
    if (lines.length === 0) return;
    const body = { streams: lines.map(({ mid }) => ({ feed: id, mid })) };
    const first = { request: "join", ptype: "subscriber", ...this.#place(), ...body };
    this.#subscriber ??= { handle: await janus.attach((reply) => this.#updated(janus, reply)), pc: null };
    const { handle, pc } = this.#subscriber;
    try {
      await this.#negotiate(janus, await janus.message(handle, pc ? { request: "subscribe", ...body } : first));
    } catch (error) {
      if (error.code !== NO_SUCH_FEED) throw error; // it has gone again
      return;
    }
    for (const { mid } of lines) this.#asked.add(`${id} ${mid}`);
  }

  #updated(janus, { plugindata, jsep }) {
    if (plugindata?.data.streams) this.#soon(janus, () => this.#negotiate(janus, { data: plugindata.data, jsep }));
  }

  async #negotiate(janus, { data, jsep }) {
    if (data.streams) this.#lines = new Map(data.streams.filter(({ active }) => active).map(({ mid, feed_id: feed }) => [mid, String(feed)]));
    if (jsep) {
      const { handle } = this.#subscriber;
      const pc = (this.#subscriber.pc ??= this.#listeningConnection(janus));
      await pc.setRemoteDescription(jsep);
      await pc.setLocalDescription();
      await gathered(pc);
      await janus.message(handle, { request: "start" }, pc.localDescription);
    }
    this.#show();
  }

  #listeningConnection(janus) {
    const pc = this.#connection(janus);
    const told = { onEvent: (message) => this.#tell(message), onSnapshot: (message) => this.#tell(message), onGap: this.on.message };
    this.#ears = attach(pc, { feed: () => this.#listener, since: this.#since, ...told });
    return pc;
  }

  #show() {
    const media = new Map();
    for (const { mid, receiver } of this.#subscriber.pc?.getTransceivers() ?? []) {
      const feed = this.#lines.get(mid);
      if (feed !== undefined) media.set(feed, { ...media.get(feed), [receiver.track.kind]: receiver.track });
    }
    this.on.media(media);
  }

  // ---- the person's choice ----

  /** Passes on what Undertone says; as soon as it names this person's voice, it is told their choice. */
  #tell(message) {
    this.on.message(message);
    const { type, data } = message;
    const came = type === `${PREFIX}speaker.joined.v1` ? { [data.speaker]: data } : {};
    const people = type === `${PREFIX}snapshot.v1` ? data.speakers : came;
    const mine = Object.keys(people).find((speaker) => people[speaker].name === this.name && people[speaker].present !== false);
    if (type === `${PREFIX}speaker.analysed.v1` && data.speaker === this.#chosen?.speaker) this.#heed(data.level);
    const key = `${message.epoch} ${mine} ${people[mine]?.generation}`; // a new connection is asked anew
    if (mine === undefined || this.#told.has(key)) return;
    this.#told.add(key);
    const janus = this.#janus;
    const known = people[mine].level === this.hello.level;
    this.#find(mine)
      .then(() => (known ? this.#stand(people[mine].level) : this.#tellChoice(this.hello.level)))
      .catch((error) => {
        if (known) return;
        this.#told.delete(key);
        this.#untold(janus, error);
      });
  }

  /** Where the worker's control API takes this person's choice. */
  async #find(speaker) {
    const { rooms } = await this.#ask("./v1/rooms");
    const { id } = rooms.findLast(({ name }) => name === this.page.room);
    this.#chosen = { room: `./v1/rooms/${encodeURIComponent(id)}`, speaker };
  }

  /** Asks at once where it is known already, so that it still leaves a page that is closing. */
  #tellChoice(level) {
    const { room, speaker } = this.#chosen;
    const body = JSON.stringify({ speaker, level, text: this.hello.text, feed: this.#me });
    return this.#ask(`${room}/consent`, { method: "PUT", body, keepalive: true });
  }

  /** The words are others by now: the person is asked again. Who can't tell their choice at all does not stay. */
  #untold(janus, { code }) {
    if (janus !== this.#janus) return;
    if (code === "other_terms") this.#stand("presence", "unknown");
    else if (code === "erased") this.#stayErased();
    else if (code !== "other_feed") this.#end("consent"); // of another connection the worker will tell
  }

  /** Who was erased is known under the same name until the room is opened anew: no yes counts meanwhile. */
  #stayErased() {
    this.hello.level = "presence";
    this.#stand("presence", "withdrawn");
    this.on.status("connected", strings.status.erased);
  }

  /** The worker has another level for this person; whether their yes has lapsed, it says only when it is asked. */
  async #heed(level) {
    if (level === this.hello.level) return this.#stand(level);
    const { room, speaker } = this.#chosen;
    const { speakers } = await this.#ask(room).catch(() => ({}));
    this.#stand(level, speakers?.[speaker]?.consent);
  }

  #stand(level, state = level === "presence" ? "denied" : "granted") {
    this.on.consent({ state, level, agreed: this.hello.level });
  }

  async #ask(address, options = {}) {
    const { token } = this.hello;
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(address, { ...options, headers });
    const said = response.status === 204 ? null : await response.json();
    if (!response.ok) throw Object.assign(new Error(response.statusText), { code: said.code });
    return said;
  }

  // ---- losing it ----

  #broke(janus, error) {
    if (janus !== this.#janus) return;
    if (REFUSED.includes(error.code)) return this.#end("refused", error.message);
    if (error.code === WRONG_PIN) return this.#end("pin");
    if (error.code === NO_PIN && !this.hello.pin) return this.#end("pin", strings.status.pinNeeded);
    if (this.#failures >= PAUSES_MS.length) return this.#end("gaveUp");
    this.#end("lost");
    this.#timer = setTimeout(() => this.connect(), PAUSES_MS[this.#failures]);
    this.#failures += 1;
  }

  #end(status, words) {
    this.#drop();
    this.on.status(status, words);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#since = this.#ears?.position() ?? this.#since;
    this.#ears?.detach();
    this.#publisher?.close();
    this.#subscriber?.pc?.close();
    this.#janus?.close();
    [this.#janus, this.#publisher, this.#subscriber, this.#ears, this.#listener] = [null, null, null, null, null];
    for (const known of [this.#feeds, this.#lines, this.#asked, this.#doubted]) known.clear();
  }
}
