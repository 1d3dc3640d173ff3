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
