/** Small helpers for the one page there is. */

import { strings } from "./strings.js";

export const $ = (id) => document.getElementById(id);

/** Puts the words of `strings.js` where the page names them. */
export function writeTexts() {
  const lookUp = (path) => path.split(".").reduce((words, key) => words[key], strings);
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = lookUp(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", lookUp(element.dataset.label));
}

/** Sets a text only where it differs: a live region says every change. */
export function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** Fills a `dl` with [term, words]; where the words are null there is no line. Elements whose words stay are left alone. */
export function list(element, entries) {
  const lines = entries.filter(([, words]) => words !== null);
  while (element.children.length > lines.length * 2) element.lastElementChild.remove();
  for (const [n, [term, words]] of lines.entries()) {
    if (element.children.length === n * 2) element.append(document.createElement("dt"), document.createElement("dd"));
    write(element.children[n * 2], term);
    write(element.children[n * 2 + 1], words);
  }
}
