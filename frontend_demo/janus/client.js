/** Janus' WebSocket API, as much of it as a VideoRoom needs: one session, its handles, answers told apart by transaction. */

const KEEPALIVE_MS = 10_000;
const PATIENCE_MS = 5000;

/** What Janus refused, with its `code`, or 0 when it cannot be asked. */
export class JanusError extends Error {
  constructor(message, code = 0) {
    super(message);
    this.code = code;
  }
}

export class Janus {
  #socket;
  #session = null;
  #count = 0;
  #waiting = new Map();
  #handles = new Map();
  #timer = 0;
  #lost;

  /** @param lost  called once with a JanusError when the connection ends by itself */
  constructor(url, lost) {
    this.#lost = lost;
    this.#socket = new WebSocket(url, "janus-protocol");
  }

  async open() {
    await new Promise((resolve) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = () => this.#end("Janus cannot be reached.");
      this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    });
    this.#session = (await this.#ask({ janus: "create" })).data.id;
    this.#timer = setInterval(() => this.#ask({ janus: "keepalive" }).catch(({ message }) => this.#end(message)), KEEPALIVE_MS);
  }

  /** A new handle; `told` is called with everything that Janus says on it unasked. */
  async attach(told) {
    const { id } = (await this.#ask({ janus: "attach", plugin: "janus.plugin.videoroom" })).data;
    this.#handles.set(id, told);
    return id;
  }

  /** What the VideoRoom answers: {data, jsep}. Rejects with a JanusError. */
  async message(handle, body, jsep) {
    const reply = await this.#ask({ janus: "message", handle_id: handle, body, jsep });
    const { data } = reply.plugindata;
    if (data.error_code) throw new JanusError(data.error, data.error_code);
    return { data, jsep: reply.jsep };
  }

  close() {
    clearInterval(this.#timer);
    this.#lost = () => {};
    if (this.#socket.readyState === WebSocket.OPEN) this.#send({ janus: "destroy", transaction: "goodbye" });
    this.#socket.close();
  }

  #send(fields) {
    this.#socket.send(JSON.stringify({ ...fields, ...(this.#session && { session_id: this.#session }) }));
  }

  #ask(fields) {
    const transaction = String((this.#count += 1));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(transaction, new JanusError("Janus does not answer.")), PATIENCE_MS);
      this.#waiting.set(transaction, { resolve, reject, timer, acked: fields.janus === "keepalive" });
      this.#send({ ...fields, transaction });
    });
  }

  #take(reply) {
    const { transaction, sender } = reply;
    const asked = this.#waiting.get(transaction);
    if (reply.janus === "ack" && !asked?.acked) return;
    if (asked) this.#settle(transaction, reply.janus === "error" ? new JanusError(reply.error.reason, reply.error.code) : reply);
    else this.#handles.get(sender)?.(reply);
    if (reply.janus === "timeout") this.#end("Janus forgot this session.");
  }

  #settle(transaction, answer) {
    const { resolve, reject, timer } = this.#waiting.get(transaction);
    this.#waiting.delete(transaction);
    clearTimeout(timer);
    if (answer instanceof Error) reject(answer);
    else resolve(answer);
  }

  #end(message) {
    const [lost, error] = [this.#lost, new JanusError(message)];
    this.close();
    for (const transaction of [...this.#waiting.keys()]) this.#settle(transaction, error);
    lost(error);
  }
}
