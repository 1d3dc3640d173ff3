/** What people are told before anything is heard, and the choice that they have: at the door, and again when the words change. */

import { list, write } from "./page.js";
import { strings } from "./strings.js";

/** The facts of a notice, as lines for `list`. */
export const terms = ({ operator, purpose, seen_by, events_days, prompts_days, contact }) => [
  [strings.notice.operator, operator || null],
  [strings.notice.purpose, purpose || null],
  [strings.notice.seenBy, seen_by || null],
  [strings.notice.kept, strings.notice.keptDays(events_days, prompts_days)],
  [strings.notice.contact, contact || null],
];

/** Whether there is anything to choose; `levels` are those that may be, the lowest first. */
export const isAsked = ({ levels }) => levels.length > 1;

/** Puts the notice and its choices before the first child of `place`, in place of those that were there. */
export function tell(place, page) {
  for (const old of place.querySelectorAll("[data-told]")) old.remove();
  const told = document.getElementById("notice").content.cloneNode(true);
  const part = (name) => told.querySelector(`[data-part="${name}"]`);
  const { text, ...facts } = page.notice;
  const asked = isAsked(page);
  write(part("heading"), asked ? strings.notice.heading : strings.notice.nothing);
  write(part("words"), text);
  // What the words say already needs no line of its own.
  list(part("terms"), terms(facts).filter(([, words]) => words !== null && !text.includes(words)));
  if (asked) offer(part("choices"), strings.notice.choice, page.levels);
  else part("choices").remove();
  for (const element of told.children) element.dataset.told = "";
  place.prepend(told);
}

/** Makes one radio button per level, of which none is chosen. */
export function offer(fieldset, legend, levels) {
  const words = Object.assign(document.createElement("legend"), { textContent: legend });
  fieldset.replaceChildren(words, ...levels.map(choice));
}

function choice({ level, name, hint }) {
  const label = Object.assign(document.createElement("label"), { className: "choice" });
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "level", value: level });
  const words = document.createElement("span");
  words.append(...[["strong", name], ["small", hint]].map(([tag, textContent]) => Object.assign(document.createElement(tag), { textContent })));
  label.append(input, words);
  return label;
}

/** The level that is chosen there; null while none is. */
export const chosen = (place) => place.querySelector('input[name="level"]:checked')?.value ?? null;

/** Sets the keyboard's focus on the first choice. */
export const focusChoice = (place) => place.querySelector('input[name="level"]').focus();
