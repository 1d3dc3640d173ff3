/** Says aloud who came and went, at most once in ten seconds. */

import { strings } from "./strings.js";

const EVERY_MS = 10_000;
/** People who come together are named together. */
const GATHER_MS = 300;

export class Announcer {
  #before = null;
  #after = [];
  #saidAt = -Infinity;
  #timer = 0;

  /** @param element  a polite live region */
  constructor(element) {
    this.element = element;
  }

  /** Both are lists of participants; whoever came and went between two announcements is not named. */
  changed(before, after) {
    this.#before ??= before;
    this.#after = after;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#say(), Math.max(GATHER_MS, this.#saidAt + EVERY_MS - performance.now()));
  }

  forget() {
    clearTimeout(this.#timer);
    this.#before = null;
  }

  #say() {
    const [came, went] = [missing(this.#after, this.#before), missing(this.#before, this.#after)];
    const count = this.#after.length;
    const sentences = [];
    if (came.length) sentences.push(strings.arrived(came));
    if (went.length) sentences.push(strings.departed(went));
    this.#before = null;
    if (sentences.length === 0) return;
    this.#saidAt = performance.now();
    this.element.textContent = [...sentences, strings.people(count)].join(" ");
  }
}

const missing = (list, other) => list.filter(({ speaker }) => !other.some((one) => one.speaker === speaker)).map(({ name }) => name);
