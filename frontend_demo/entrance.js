/** The form in front of the room: what is told before anything is heard, a choice, name and devices. */

import { NONE, capture, devices, stop } from "./media.js";
import { chosen, focusChoice, isAsked, tell } from "./notice.js";
import { $ } from "./page.js";
import { strings } from "./strings.js";

let preview = null;
let page = null;

/** Makes the form ready for a page description of the worker; `enter(choices, stream, problem)` is called on each joining. */
export async function openEntrance(described, enter) {
  const { room, token_needed, janus } = described;
  $("lead").textContent = strings.join.lead(room);
  describe(described);
  if (token_needed) demand("token");
  if (janus?.pin_needed) demand("pin");
  // Somebody who was quicker than the worker's answer keeps what they wrote.
  $("name").value ||= recall("name") ?? "";
  $("preview").addEventListener("click", togglePreview);
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    join(enter);
  });
  await listDevices();
  $("submit").disabled = false;
}

/** Tells what the worker says of its room now. A choice is made for each stay anew: one that was remembered is none. */
function describe(described) {
  page = described;
  tell($("asked-first"), page);
}

/** Shows the form again, with a sentence about what happened; `wrong` when something went wrong. */
export function reopenEntrance(described, words, field, wrong) {
  if (!wrong) describe(described);
  $("entrance").hidden = false;
  $("problem").classList.toggle("plain", !wrong);
  $("problem").textContent = words;
  if (field !== "name") demand(field);
  $(field).focus();
}

/** Asks for one of the words that open the room. */
function demand(field) {
  $(`${field}-field`).hidden = false;
  $(field).required = true;
}

async function join(enter) {
  const { version: text } = page.notice;
  const level = isAsked(page) ? chosen($("asked-first")) : page.levels[0].level;
  $("problem").classList.remove("plain");
  $("problem").textContent = level ? "" : strings.notice.choose;
  if (!level) return focusChoice($("asked-first"));
  const name = $("name").value.trim();
  remember("name", name);
  busy(true);
  endPreview();
  const { stream, problem } = await capture($("microphone").value, $("camera").value);
  busy(false);
  $("entrance").hidden = true;
  const words = ["token", "pin"].filter((field) => $(field).required).map((field) => [field, $(field).value]);
  enter({ name, person: person(), level, text, ...Object.fromEntries(words) }, stream, problem);
}

function busy(joining) {
  $("submit").disabled = joining;
  $("submit").textContent = joining ? strings.join.joining : strings.join.submit;
}

async function listDevices() {
  await fill($("microphone"), "audioinput", strings.join.usualMicrophone, strings.join.noMicrophone);
  await fill($("camera"), "videoinput", strings.join.usualCamera, strings.join.noCamera);
}

async function fill(select, kind, usual, none) {
  const chosen = select.value;
  const found = (await devices(kind)).filter(({ deviceId }) => deviceId !== "default");
  select.replaceChildren(new Option(usual, ""), ...found.map(({ label, deviceId }) => new Option(label, deviceId)), new Option(none, NONE));
  if ([...select.options].some(({ value }) => value === chosen)) select.value = chosen;
}

async function togglePreview() {
  if (preview) return endPreview();
  const { stream, problem } = await capture(NONE, $("camera").value);
  $("problem").textContent = problem ? strings.status[problem] : "";
  if (stream.getVideoTracks().length === 0) return;
  preview = stream;
  $("picture").srcObject = stream;
  $("stage").classList.add("pictured");
  $("preview").textContent = strings.join.stopPreview;
  $("preview-hint").textContent = strings.join.previewing;
  await listDevices();
}

function endPreview() {
  stop(preview);
  preview = null;
  $("picture").srcObject = null;
  $("stage").classList.remove("pictured");
  $("preview").textContent = strings.join.preview;
  $("preview-hint").textContent = strings.join.previewHint;
}

/** One random name (a UUID) for this person in this browser, so that a reload or a second tab is the same person. */
function person() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const fresh = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join("-");
  const id = sessionStorage.getItem("undertone.person") ?? recall("person") ?? fresh;
  sessionStorage.setItem("undertone.person", id);
  remember("person", id);
  return id;
}

const recall = (key) => localStorage.getItem(`undertone.${key}`);
const remember = (key, value) => localStorage.setItem(`undertone.${key}`, value);
