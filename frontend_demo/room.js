/** One stay in a room: signalling, the peer connection, and coming back after a loss. */

import { stranger } from "./events.js";

const GATHERING_MS = 2000;
const PAUSES_MS = [1000, 2000, 4000, 8000];
const FINAL = { 4400: "refused", 4401: "token", 4409: "elsewhere" };
const CLOSING = [1001, 4503];
const PATIENCE_MS = 5000;

export class Room {
  #socket = null;
  #pc = null;
  #pairs = [];
  #offering = false;
  #queue = Promise.resolve();
  #failures = 0;
  #timer = 0;
  #complaint = "";
  #passes = [];

  /**
   * @param url  WebSocket address of the room
   * @param hello  the fields of the first message, `join`; `level` and `text`, which words were shown, follow the person's choice
   * @param stream  the person's own tracks: any of one audio, one video
   * @param on  what to call: status(kind, words), welcome(you), participants(list), media(speaker -> {audio, video}), message(event),
   *   consent({state, level, agreed}): where the worker says that this person stands
   */
  constructor(url, hello, stream, on) {
    Object.assign(this, { url, hello, stream, on });
  }

  connect() {
    this.#complaint = "";
    if (this.#failures === 0) this.on.status("connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#queue = Promise.resolve();
    socket.onopen = () => this.#send({ type: "join", ...this.hello });
    socket.onmessage = ({ data }) => {
      this.#queue = this.#queue.then(() => socket === this.#socket && this.#handle(JSON.parse(data))).catch((error) => this.#broke(socket, error));
    };
    socket.onclose = ({ code }) => socket === this.#socket && this.#lost(code);
  }

  leave() {
    this.#send({ type: "leave" });
    this.#drop();
  }

  mute(muted) {
    this.hello.muted = muted;
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
    this.#send({ type: "mute", muted });
  }

  /** How much may be made of this person's voice from now on, also after coming back; `text` is the version of the words they read. */
  choose(level, text) {
    Object.assign(this.hello, { level, text });
    this.#send({ type: "consent", level, text });
  }

  /** What is known and kept of this person: `GET` has it, `DELETE` erases it. Rejects where the worker gives no pass. */
  async ask(method) {
    const token = await new Promise((resolve, reject) => {
      this.#passes.push(resolve);
      setTimeout(() => reject(new Error("No pass came.")), PATIENCE_MS);
      this.#send({ type: "pass" });
    });
    return fetch(new URL("./me", this.url.href.replace(/^ws/, "http")), { method, headers: { Authorization: `Bearer ${token}` } });
  }

  /** What this person did with a prompt. */
  answer(prompt, answer) {
    this.#send({ type: "coaching", prompt, answer });
  }

  /** Shows another picture, or none. */
  async show(track) {
    for (const old of this.stream.getVideoTracks()) {
      old.stop();
      this.stream.removeTrack(old);
    }
    if (track) this.stream.addTrack(track);
    await this.#sender("video")?.replaceTrack(track);
  }

  /** A participant and what is known of their voice. */
  view(participant, { speakers }) {
    return [participant, speakers[participant.speaker] ?? { ...stranger, level: participant.level }];
  }

  #sender(kind) {
    return this.#pc?.getTransceivers().find(({ direction, receiver }) => direction === "sendonly" && receiver.track.kind === kind)?.sender;
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #handle(message) {
    if (message.type === "welcome") {
      this.on.welcome(message.you);
      await this.#start(message.wanted);
    } else if (message.type === "answer") {
      await this.#pc.setRemoteDescription({ type: "answer", sdp: message.sdp });
      this.#offering = false;
    } else if (message.type === "slots") {
      this.#assign(message.slots);
      this.wanted = message.wanted;
    } else if (message.type === "participants") {
      this.on.participants(message.participants);
    } else if (message.type === "consent") {
      this.on.consent(message);
    } else if (message.type === "pass") {
      for (const resolve of this.#passes.splice(0)) resolve(message.token);
    } else if (message.type === "error") {
      this.#complaint = message.message;
    }
    if (this.#pc && !this.#offering && this.wanted > this.#pairs.length) await this.#offer(this.wanted);
  }

  async #start(wanted) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    this.#pc = pc;
    this.#pairs = [];
    pc.onconnectionstatechange = () => {
      if (pc !== this.#pc) return;
      if (pc.connectionState === "connected") {
        this.#failures = 0;
        this.on.status("connected");
      }
      if (pc.connectionState === "failed") this.#lost(0);
    };
    for (const kind of ["audio", "video"]) {
      const track = this.stream.getTracks().find((one) => one.kind === kind);
      pc.addTransceiver(track ?? kind, { direction: "sendonly" });
    }
    pc.createDataChannel("undertone").onmessage = ({ data }) => pc === this.#pc && this.on.message(JSON.parse(data));
    this.wanted = wanted;
    await this.#offer(wanted);
  }

  /** Offers as many pairs of receivers as are wanted, after all addresses are known. */
  async #offer(wanted) {
    const pc = this.#pc;
    this.#offering = true;
    while (this.#pairs.length < wanted) {
      const [audio, video] = ["audio", "video"].map((kind) => pc.addTransceiver(kind, { direction: "recvonly" }));
      this.#pairs.push({ audio, video });
    }
    await pc.setLocalDescription();
    await gathered(pc);
    if (pc === this.#pc) this.#send({ type: "offer", sdp: pc.localDescription.sdp });
  }

  #assign(slots) {
    const tracks = new Map(this.#pc.getTransceivers().map(({ mid, receiver }) => [mid, receiver.track]));
    const taken = slots.filter(({ speaker }) => speaker !== null);
    this.on.media(new Map(taken.map(({ speaker, audio, video }) => [speaker, { audio: tracks.get(audio), video: tracks.get(video) }])));
  }

  #broke(socket, error) {
    if (socket !== this.#socket) return;
    console.error(error);
    this.#lost(0);
  }

  #lost(code) {
    const complaint = this.#complaint;
    this.#drop();
    if (code in FINAL) return this.on.status(FINAL[code], complaint);
    if (this.#failures >= PAUSES_MS.length) return this.on.status("gaveUp", complaint);
    this.on.status(CLOSING.includes(code) ? "closing" : "lost", complaint);
    this.#timer = setTimeout(() => this.connect(), PAUSES_MS[this.#failures]);
    this.#failures += 1;
  }

  /** Rejoins at the person's wish. */
  retry() {
    this.#failures = 0;
    this.connect();
  }

  #drop() {
    clearTimeout(this.#timer);
    const [socket, pc] = [this.#socket, this.#pc];
    this.#socket = this.#pc = null;
    this.#offering = false;
    socket?.close();
    pc?.close();
  }
}

/** Until all addresses of a connection are known, or it has taken long enough. */
export function gathered(pc) {
  return new Promise((resolve) => {
    const done = () => pc.iceGatheringState === "complete" && resolve();
    pc.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, GATHERING_MS);
    done();
  });
}
