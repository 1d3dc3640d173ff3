/** What is known of the person in front of the page, live, and what they can do about it. */

import { mood } from "./events.js";
import { atLeast, lower } from "./levels.js";
import { chosen, offer, terms } from "./notice.js";
import { $, list, write } from "./page.js";
import { strings } from "./strings.js";

const FILE = "undertone-my-data.json";
/** Arrow keys pass over a choice on their way to another: more than there is now is agreed to only after a rest. */
const REST_MS = 700;

export class Mine {
  #do;
  #page = null;
  #agreed = null;
  #resting = 0;

  /** @param actions  what to call: choose(level), and ask(method), which gives the worker's answer about this person as a Response */
  constructor(actions) {
    this.#do = actions;
    $("mine-open").addEventListener("click", () => this.toggle());
    $("mine-close").addEventListener("click", () => this.toggle(false));
    $("mine").addEventListener("keydown", ({ key }) => key === "Escape" && this.toggle(false));
    $("mine-choice").addEventListener("change", () => this.#choose(chosen($("mine-choice"))));
    $("download").addEventListener("click", () => this.#try(() => this.#download()));
    $("erase").addEventListener("click", () => this.#doubt(true));
    $("erase-no").addEventListener("click", () => this.#doubt(false));
    $("erase-yes").addEventListener("click", () => this.#doubt(false, () => this.#erase()));
  }

  /** Says on what terms; `page` is what the worker says of its room. */
  open(page) {
    this.#page = page;
    const { contact } = page.notice;
    offer($("mine-choice"), strings.mine.choice, page.levels);
    $("mine-choice").hidden = page.levels.length < 2;
    list($("terms"), terms(page.notice));
    write($("contest"), contact ? strings.mine.contest(contact) : strings.mine.contestNobody);
  }

  forget() {
    clearTimeout(this.#resting);
    $("mine").hidden = $("sure").hidden = true;
    $("mine-open").setAttribute("aria-expanded", false);
    $("erase").setAttribute("aria-expanded", false);
    this.#answer("");
    list($("known"), []);
  }

  /** Opens and closes it; the keyboard's focus goes along. */
  toggle(open = $("mine").hidden) {
    $("mine").hidden = !open;
    $("mine-open").setAttribute("aria-expanded", open);
    $(open ? "mine" : "mine-open").focus();
  }

  /** Where this person stands: {state, level, agreed}. */
  stand({ state, level, agreed }) {
    clearTimeout(this.#resting);
    const name = (word) => nameOf(this.#page, word);
    this.#agreed = state === "unknown" ? null : agreed;
    for (const input of $("mine-choice").querySelectorAll("input")) input.checked = input.value === this.#agreed;
    const less = state === "granted" && level !== agreed ? strings.mine.less(name(agreed), name(level)) : "";
    write($("mine-less"), state === "unknown" ? strings.mine.unanswered : less);
  }

  /** What is known of this person now, of which nothing needs more than their level. */
  update(voice, now) {
    const figures = voice.figures ?? {};
    const from = (level, known, words) => (atLeast(voice.level, level) ? (known ?? null) === null ? strings.mine.none : words(known) : null);
    const { word, certainty, percent } = mood(voice, now);
    const sounded = strings.mine.soundedOf(strings.mood[word], strings.sureness(strings.certainty[certainty], percent));
    list($("known"), [
      [strings.mine.level, atLeast(voice.level, "metrics") ? nameOf(this.#page, voice.level) : strings.mine.nothing],
      [strings.mine.talk, from("metrics", voice.talk, strings.talk)],
      [strings.mine.turns, from("metrics", figures.turns, String)],
      [strings.mine.cuts, from("metrics", figures.interruptions, (count) => strings.mine.cutsOf(count, figures.interrupted))],
      [strings.mine.pace, from("prosody", figures.syllables_per_s, (rate) => strings.mine.paceOf(rate, figures.pace_change ?? null))],
      [strings.mine.loudness, from("prosody", figures.loudness_change_db, strings.mine.loudnessOf)],
      [strings.mine.pitch, from("prosody", figures.pitch_spread_st, strings.mine.pitchOf)],
      [strings.mine.sounded, from("emotion", sounded, String)],
    ]);
  }

  #choose(level) {
    clearTimeout(this.#resting);
    const less = lower(level, this.#agreed ?? "presence") === level;
    if (less) this.#do.choose(level);
    else this.#resting = setTimeout(() => this.#do.choose(level), REST_MS);
  }

  // ---- what was kept ----

  async #download() {
    const answer = await this.#do.ask("GET");
    if (!answer.ok) throw new Error(answer.statusText);
    const file = await answer.blob();
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: FILE });
    link.click();
    URL.revokeObjectURL(link.href);
    this.#answer(strings.mine.downloaded);
  }

  /** Nothing new is made of who wants nothing kept. A receipt comes also where some of it could not be reached. */
  async #erase() {
    this.#do.choose("presence");
    const { stores } = await (await this.#do.ask("DELETE")).json();
    this.#answer(...inWords(stores, this.#page.notice.contact));
  }

  /** Asks whether it is meant; what holds the keyboard's focus never vanishes under it. */
  #doubt(open, then = null) {
    $("sure").hidden = !open;
    $("erase").setAttribute("aria-expanded", open);
    $(open ? "erase-no" : "erase").focus();
    if (then) this.#try(then);
  }

  async #try(action) {
    this.#answer(strings.mine.working);
    try {
      await action();
    } catch {
      this.#answer(strings.mine.failed(this.#page.notice.contact));
    }
  }

  #answer(...sentences) {
    $("mine-answer").replaceChildren(...sentences.filter(Boolean).map((textContent) => Object.assign(document.createElement("p"), { textContent })));
  }
}

/** What a receipt says, in sentences. */
function inWords(stores, contact) {
  const sum = (what) => stores.reduce((total, store) => total + (store[what] ?? 0), 0);
  const [erased, cut, failed] = [sum("erased"), sum("cut"), stores.filter((store) => store.failed)];
  return [
    erased ? strings.mine.erased(erased) : "",
    cut ? strings.mine.cut(cut) : "",
    erased + cut + failed.length ? "" : strings.mine.erasedNothing,
    failed.length ? strings.mine.notErased(failed.map(({ store }) => store), contact) : "",
  ];
}

/** The worker's own words for a level. */
export const nameOf = ({ levels }, word) => levels.find(({ level }) => level === word)?.name ?? strings.level[word] ?? word;
