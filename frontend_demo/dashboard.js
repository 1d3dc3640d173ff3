/** The engagement dashboard: a meeting's record from the worker, kept up by its events; while it runs and after it. */

import { clock } from "./drawings.js";
import { fold } from "./meeting.js";
import { overview } from "./overview.js";
import "./voices.js";

/** The page is drawn at most this often while events come; what a person does is drawn at once. */
const DRAW_EVERY_MS = 1000;
/** A meeting that goes on is followed by asking this often what came since: the worker decides each time what it tells. */
const FOLLOW_EVERY_MS = 2000;
/** Rooms open and close: the list of meetings is asked for anew this often, and so is a record that cannot be followed. */
const LIST_EVERY_MS = 10_000;
const KEPT = "undertone.dashboard";

const $ = (id) => document.getElementById(id);
const words = {
  running: "Running",
  ended: "Ended",
  after: (at) => `for ${clock(at)}`,
  length: (at) => `after ${clock(at)}`,
  lost: "The connection is lost; the page tries again.",
  unkept: "This worker keeps no record of meetings: its configuration has no section dashboard.",
  none: "No meeting yet. This page shows one as soon as a room is open.",
  gone: "The worker no longer holds this meeting.",
  refused: "The worker does not accept this token.",
  unreachable: "The worker does not answer; the page tries again.",
  now: (room) => `${room} (now)`,
  until: (from, to) => `${clock(from)} to ${clock(to)}`,
};

/** Kept for this tab alone: a reload needs no second typing, and closing the tab forgets it. */
let token = sessionStorage.getItem(KEPT) ?? "";
let record = null;
/** Whom to ask about all this, as the worker's notice says. */
let contact = "";
let following = 0;
let hidden = new Set();
let drawn = -Infinity;
let waiting = 0;
let trouble = "";
let listing = 0;
/** Counts what was asked for: of two answers the later question's holds. */
let asked = 0;
/** How far each box was scrolled, by its label; asking the box itself would lay out what is not on the screen. */
const scrolled = new Map();

class Refused extends Error {}

async function ask(path) {
  const answer = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (answer.status === 401 || answer.status === 403) throw new Refused();
  return answer.ok ? answer.json() : null;
}

async function list() {
  clearTimeout(listing);
  try {
    const found = await ask("./v1/meetings");
    contact = (await ask("./v1/page"))?.notice?.contact ?? "";
    trouble = found ? "" : words.unkept;
    await offer(found?.meetings ?? []);
  } catch (error) {
    if (error instanceof Refused) return askForToken();
    trouble = words.unreachable;
  }
  say();
  clearTimeout(listing);
  listing = setTimeout(list, LIST_EVERY_MS);
}

function askForToken() {
  $("refused").textContent = token ? words.refused : "";
  $("entry").hidden = false;
  $("controls").hidden = true;
  write($("state"), "");
  $("token").focus();
}

async function offer(meetings) {
  const wanted = $("meeting").value || new URLSearchParams(location.hash.slice(1)).get("room");
  const options = meetings.map(({ room, open }) => new Option(open ? words.now(room) : room, room));
  const same = options.length === $("meeting").length && options.every((option, place) => option.text === $("meeting").options[place].text);
  if (!same) $("meeting").replaceChildren(...options);
  $("controls").hidden = meetings.length === 0;
  if (meetings.length === 0) return;
  const chosen = meetings.find(({ room }) => room === wanted) ?? meetings[0];
  $("meeting").value = chosen.room;
  const known = record?.room === chosen.room && (chosen.epoch === null || chosen.epoch === record.epoch);
  // What cannot be followed, as in a room of another worker, is asked for again and again until its end.
  if (!known || (record.closed === null && !following)) await show(chosen.room, chosen.open);
}

async function show(room, open) {
  asked += 1;
  const here = asked;
  const answer = await ask(`./v1/meetings/${encodeURIComponent(room)}`);
  if (here !== asked) return;
  stay();
  history.replaceState(null, "", `#${new URLSearchParams({ room })}`);
  if (record?.room !== room) hidden = new Set();
  record = answer;
  trouble = record ? "" : words.gone;
  if (record && open && record.closed === null && !record.withheld) follow();
  draw();
}

function follow() {
  clearTimeout(following);
  following = setTimeout(() => catchUp(asked), FOLLOW_EVERY_MS);
}

function stay() {
  clearTimeout(following);
  following = 0;
}

/** Asks what came since, or for the whole record where that cannot be told. Of a group that has become too small nothing stays. */
async function catchUp(here) {
  const { room, epoch, seq, started, at } = record;
  try {
    const news = await ask(`./v1/meetings/${encodeURIComponent(room)}/beside?${new URLSearchParams({ epoch, since: seq })}`);
    if (here !== asked) return;
    trouble = "";
    if (news?.withheld) record = { room, epoch, started, at, closed: null, withheld: news.withheld };
    else if (!news?.events) return await show(room, Boolean(news));
    for (const message of news.events ?? []) record = fold(record, message);
    record.prompts = news.prompts ?? [];
  } catch (error) {
    if (here !== asked) return;
    if (error instanceof Refused) return askForToken();
    trouble = words.lost;
  }
  if (record.closed === null && !record.withheld) follow();
  else stay();
  drawSoon();
}

// ---- what the page shows ----

function drawSoon() {
  clearTimeout(waiting);
  const left = drawn + DRAW_EVERY_MS - performance.now();
  if (left <= 0) draw();
  else waiting = setTimeout(draw, left);
}

function draw() {
  drawn = performance.now();
  say();
  $("choices").hidden = !record || Boolean(record.withheld);
  if (!record) return $("overview").replaceChildren();
  namePeople();
  const people = new Set(Object.keys(record.people ?? {}).filter((id) => !hidden.has(id)));
  put(Object.values(overview(record, { ...stretch(), people, contact })).filter(Boolean));
}

/** The seconds that are shown; a meeting that runs is followed until somebody looks back. */
function stretch() {
  const length = Number($("span").value);
  $("back").hidden = !length || record.at <= length;
  if (!length) return { from: 0, to: record.at };
  const until = $("until");
  const follow = until.max === until.value;
  until.min = String(Math.min(length, record.at));
  until.max = String(record.at);
  if (follow) until.value = until.max;
  const to = follow ? record.at : Number(until.value);
  const from = Math.max(0, to - length);
  write($("shown"), words.until(from, to));
  until.setAttribute("aria-valuetext", words.until(from, to));
  return { from, to };
}

/** Sections that have not changed stay as they are; others keep the place to which somebody scrolled, and the focus. */
function put(sections) {
  const old = [...$("overview").children];
  const same = old.length === sections.length && sections.every((section, place) => old[place].className === section.className);
  if (!same) return $("overview").replaceChildren(...sections);
  const focused = document.activeElement?.getAttribute("aria-label");
  for (const [place, section] of sections.entries()) {
    if (!old[place].isEqualNode(section)) old[place].replaceChildren(...section.childNodes);
  }
  for (const box of document.querySelectorAll(".scroller")) {
    const label = box.getAttribute("aria-label");
    if (scrolled.get(label)) box.scrollLeft = scrolled.get(label);
    if (label === focused) box.focus({ preventScroll: true });
  }
}

/** The state is said aloud when it changes; the time beside it is not. */
function say() {
  const over = record && record.closed !== null;
  write($("state"), trouble || (!record ? words.none : over ? words.ended : words.running));
  write($("length"), !record || trouble ? "" : (over ? words.length : words.after)(record.at));
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** One box per person, made anew only when somebody came. */
function namePeople() {
  const ids = Object.keys(record.people ?? {});
  const boxes = [...$("people").querySelectorAll("input")];
  if (ids.length === boxes.length && ids.every((id, place) => boxes[place].value === id && boxes[place].checked !== hidden.has(id))) return;
  const labels = ids.map((id) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: id, checked: !hidden.has(id) });
    box.addEventListener("change", () => {
      hidden[box.checked ? "delete" : "add"](id);
      draw();
    });
    const label = document.createElement("label");
    label.append(box, ` ${record.people[id].name}`);
    return label;
  });
  $("people").replaceChildren(...labels);
}

$("span").addEventListener("change", () => {
  $("until").value = $("until").max;
  draw();
});
$("until").addEventListener("input", draw);
$("overview").addEventListener("scroll", ({ target }) => scrolled.set(target.getAttribute("aria-label"), target.scrollLeft), true);
$("everyone").addEventListener("click", () => {
  const ids = Object.keys(record?.people ?? {});
  hidden = hidden.size ? new Set() : new Set(ids);
  draw();
});
$("meeting").addEventListener("change", () => list());
$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem(KEPT, token);
  $("entry").hidden = true;
  list();
});
addEventListener("hashchange", () => {
  $("meeting").value = new URLSearchParams(location.hash.slice(1)).get("room") ?? "";
  list();
});
list();
