/** The coaching sidebar: what is suggested to this person alone, why, and how they take part. */

import { $, write } from "./page.js";
import { strings } from "./strings.js";

/** A prompt that nobody answers goes after this long; it was about a moment that is over. */
const STAYS_MS = 60_000;
/** A pace this near to one's own usual is called usual. */
const USUAL_PACE = 0.07;

export class Coach {
  #answer;
  #prompt = null;
  #going = 0;

  /** @param answer  is called with a prompt's name and `dismissed`, `snoozed` or `not_helpful` */
  constructor(answer) {
    this.#answer = answer;
    for (const button of $("answers").querySelectorAll("button")) button.addEventListener("click", () => this.#reply(button.dataset.answer));
  }

  /**
   * Opens with whoever comes in; `band` is the share of the talk that is usual in this kind of call, [from, to], or null;
   * `shown` says that whoever may open the dashboard sees the prompts too.
   */
  open(analysed, { band = null, shown = false } = {}) {
    this.forget();
    this.band = band;
    write($("coach-hint"), shown ? strings.coach.shown : strings.coach.hint);
    $("coach").hidden = false;
    $("coach").classList.toggle("off", !analysed);
    if (!analysed) write($("prompt-text"), strings.coach.off);
  }

  forget() {
    $("coach").hidden = true;
    this.#clear(strings.coach.idle);
    this.update(null);
  }

  /** Takes a message that is for this person alone. */
  hear({ type, data }) {
    if (!type.endsWith("coaching.prompted.v1") || data.to === "managers") return;
    this.#prompt = data.prompt;
    write($("prompt-text"), data.text);
    write($("prompt-why"), strings.coach.why(data.reason));
    $("prompt").dataset.severity = data.severity;
    $("coach").classList.add("prompted");
    clearTimeout(this.#going);
    this.#going = setTimeout(() => this.#clear(strings.coach.idle), STAYS_MS);
  }

  /** Shows this person's own figures, see `PersonFigures`; null while there are none. `paced`: whether pace is measured. */
  update(figures, paced = false) {
    const share = figures?.recent_talk_share ?? null;
    const percent = share === null ? null : Math.round(share * 100);
    write($("my-share"), percent === null ? strings.coach.shareNone : strings.coach.shareOf(percent, this.#bandInWords()));
    const bar = $("my-share-bar");
    bar.hidden = percent === null;
    bar.style.setProperty("--share", `${percent ?? 0}%`);
    bar.classList.toggle("banded", Boolean(this.band));
    if (this.band) {
      bar.style.setProperty("--from", `${this.band[0] * 100}%`);
      bar.style.setProperty("--to", `${this.band[1] * 100}%`);
    }
    for (const id of ["my-pace", "my-pace-label"]) $(id).hidden = !paced;
    write($("my-pace"), pace(figures?.pace_change ?? null));
    write($("my-run"), figures?.run_s >= 1 ? strings.duration(figures.run_s) : strings.coach.runNone);
  }

  #bandInWords() {
    return this.band && `${Math.round(this.band[0] * 100)}–${Math.round(this.band[1] * 100)} %`;
  }

  #reply(answer) {
    if (this.#prompt === null) return;
    this.#answer(this.#prompt, answer);
    // The buttons go: whoever was on one of them is not left nowhere.
    if ($("answers").contains(document.activeElement)) $("room").focus();
    this.#clear(strings.coach.answered[answer]);
  }

  #clear(words) {
    clearTimeout(this.#going);
    this.#prompt = null;
    write($("prompt-text"), words);
    write($("prompt-why"), "");
    delete $("prompt").dataset.severity;
    $("coach").classList.remove("prompted");
  }
}

function pace(change) {
  if (change === null) return strings.coach.paceNone;
  const percent = Math.round(Math.abs(change) * 100);
  if (Math.abs(change) < USUAL_PACE) return strings.coach.paceUsual;
  return change > 0 ? strings.coach.paceFaster(percent) : strings.coach.paceSlower(percent);
}
