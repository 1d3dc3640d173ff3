/** The page: joins a room, keeps one tile per person, and says in words what happens. */

import { Announcer } from "./announcer.js";
import { Coach } from "./coach.js";
import { openEntrance, reopenEntrance } from "./entrance.js";
import { IN_CALL, empty, fold, limited, silenced } from "./events.js";
import { JanusRoom } from "./janus/room.js";
import { atLeast, lower } from "./levels.js";
import { NONE, capture, stop } from "./media.js";
import { Mine, nameOf } from "./mine.js";
import { chosen, focusChoice, isAsked, tell } from "./notice.js";
import { $, write, writeTexts } from "./page.js";
import { Room } from "./room.js";
import { strings } from "./strings.js";
import { Tile } from "./tile.js";

const MISSED_SHOWN_S = 20;
const FINAL = ["gaveUp", "elsewhere", "refused", "consent"];
const UNANSWERED = { state: "unknown", level: "presence", agreed: "presence" };

const tiles = new Map();
const announcer = new Announcer($("said"));
const coach = new Coach((prompt, answer) => room?.answer?.(prompt, answer));
const mine = new Mine({ choose, ask: (method) => room.ask(method) });
let page = null;
let room = null;
let you = null;
let trouble = "";
let state = empty;
let participants = null;
let media = new Map();
/** Where the person stands, and the level that they chose and the worker has not confirmed yet. */
let standing = UNANSWERED;
let wanted = null;

async function describe() {
  const answer = await fetch("./v1/page");
  if (!answer.ok) throw new Error(answer.statusText);
  page = await answer.json();
}

async function open() {
  writeTexts();
  document.title = strings.title("");
  try {
    await describe();
  } catch {
    $("problem").textContent = strings.status.unreachable;
    return;
  }
  if (!page.room) {
    $("problem").textContent = strings.status.noRoom;
    return;
  }
  document.title = strings.title(page.room);
  $("room-name").textContent = strings.room(page.room);
  await openEntrance(page, enter);
}

function enter(choices, stream, problem) {
  const heard = stream.getAudioTracks().length > 0;
  const seen = stream.getVideoTracks().length > 0;
  trouble = problem ? strings.status[problem] : "";
  const hello = { ...choices, muted: !heard };
  const on = { status, welcome, participants: arrange, media: attach, message: hear, listener: announce, consent: stand };
  room = page.janus ? new JanusRoom(page, hello, stream, on) : new Room(address(), hello, stream, on);
  mine.open(page);
  settle({ ...UNANSWERED, state: "granted", agreed: choices.level });
  press("mute", !heard, heard ? strings.controls.mute : strings.controls.noMicrophone, !heard);
  press("hide", !seen, seen ? strings.controls.hide : strings.controls.noCamera, !seen);
  $("room").hidden = false;
  $("room").focus();
  room.connect();
}

function address() {
  const url = new URL(`./v1/rooms/${encodeURIComponent(page.room)}/join`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

function exit(words, field = "name", wrong = false) {
  if (!room) return;
  room.leave();
  stop(room.stream);
  announcer.forget();
  coach.forget();
  mine.forget();
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
  [room, you, participants, state, media, wanted] = [null, null, null, empty, new Map(), null];
  for (const id of ["room", "sound", "rejoin", "sheet"]) $(id).hidden = true;
  reopenEntrance(page, words, field, wrong);
}

// ---- what the room tells ----

function welcome(id) {
  you = id;
}

function arrange(list) {
  if (participants) announcer.changed(participants, list);
  participants = list;
  draw();
}

function attach(tracks) {
  media = tracks;
  draw();
}

/** Says who analyses the room, where that is somebody who comes and goes. */
function announce(name) {
  write($("listener"), name === null ? strings.banner.nobody : strings.banner.listener(name));
  draw();
}

function hear(message) {
  if (message.audience && message.audience !== IN_CALL) return coach.hear(message);
  state = fold(state, message);
  draw();
}

function status(kind, complaint = "") {
  if (kind === "token" || kind === "pin") return exit(complaint || strings.status[kind], kind, true);
  const fine = kind === "connected";
  write($("status"), [complaint || strings.status[kind], fine && trouble].filter(Boolean).join(" "));
  $("rejoin").hidden = !FINAL.includes(kind);
  $("tiles").classList.toggle("stale", !fine);
  if (fine || kind === "connecting") return;
  state = silenced(state);
  media = new Map();
  draw();
}

// ---- what the person agrees to ----

/** From now on no more than this is made of the person's voice; less holds on this page at once. */
function choose(level) {
  wanted = level;
  room.choose(level, page.notice.version);
  $("sheet").hidden = true;
  if (lower(level, standing.level) === level) settle({ state: level === "presence" ? "withdrawn" : "granted", level, agreed: level });
}

/** The worker says where the person stands. */
function stand(told) {
  const refused = wanted !== null && wanted !== "presence" && told.state !== "granted";
  // What the worker said before it heard of a choice does not count any more.
  const early = wanted === "presence" ? told.level !== "presence" : wanted !== null && told.state === "granted" && told.agreed !== wanted;
  if (early) return;
  wanted = null;
  settle(told);
  if (told.state === "unknown" || refused) askAgain();
  else $("sheet").hidden = true;
}

function settle(now) {
  const before = standing;
  standing = now;
  const heard = atLeast(now.level, "metrics");
  const focused = document.activeElement === $("stop");
  $("stop").hidden = !heard;
  if (focused && !heard) $("mine-open").focus();
  const { operator } = page.notice;
  write($("banner-text"), isAsked(page) ? (operator ? strings.banner.onFor(operator) : strings.banner.on) : strings.banner.off);
  write($("banner-detail"), now.state === "unknown" ? strings.banner.unanswered : isAsked(page) ? strings.banner.choice(nameOf(page, now.level)) : strings.banner.nothing);
  mine.stand(now);
  // Over a Janus room's data channel everybody would be told what is for one.
  if (page.coaching && !page.janus && (heard !== atLeast(before.level, "metrics") || $("coach").hidden)) coach.open(heard, page.coaching);
  draw();
  if (before.level === now.level || participants === null) return;
  write($("said"), heard ? strings.mine.now(nameOf(page, now.level)) : strings.mine.stopped);
}

/** Shows the notice as it is now, and asks; the call goes on. */
async function askAgain() {
  const here = room;
  await describe().catch(() => write($("status"), strings.status.unreachable));
  if (here !== room || standing.state === "granted") return;
  mine.open(page);
  settle(standing);
  if (!isAsked(page)) return choose("presence");
  tell($("asked-again"), page);
  write($("sheet-problem"), "");
  $("sheet").hidden = false;
  $("sheet").focus();
}

function answerAgain(event) {
  event.preventDefault();
  const level = chosen($("asked-again"));
  write($("sheet-problem"), level ? "" : strings.notice.choose);
  if (!level) return focusChoice($("asked-again"));
  choose(level);
  $("room").focus();
}

// ---- what the page shows ----

function draw() {
  const list = participants ?? [];
  const here = new Set(list.map(({ speaker }) => speaker));
  for (const [speaker, tile] of tiles) {
    if (here.has(speaker)) continue;
    tile.remove();
    tiles.delete(speaker);
  }
  for (const participant of list) {
    const { speaker } = participant;
    const own = speaker === you;
    const tile = tiles.get(speaker) ?? add(participant, own);
    const tracks = own ? { video: room.stream.getVideoTracks()[0] } : (media.get(speaker) ?? {});
    tile.media(tracks).catch(() => ($("sound").hidden = false));
    const [shown, known] = room.view(participant, state);
    const level = own ? lower(shown.level, standing.level) : shown.level;
    tile.update({ ...shown, level }, known, state.at, (id) => state.speakers[id]?.name ?? "");
    if (!own) continue;
    const voice = limited(known, lower(level, known.level));
    coach.update(voice.figures, atLeast(standing.level, "prosody"));
    mine.update(voice, state.at);
  }
  const missed = state.missedAt !== null && state.at - state.missedAt < MISSED_SHOWN_S;
  write($("missed"), missed ? strings.status.missed : "");
}

function add(participant, own) {
  const tile = new Tile(participant, own);
  tiles.set(participant.speaker, tile);
  if (own) $("tiles").prepend(tile.element);
  else $("tiles").append(tile.element);
  return tile;
}

// ---- what the person does ----

function press(id, pressed, text, disabled = false) {
  const button = $(id);
  button.setAttribute("aria-pressed", pressed);
  button.disabled = disabled;
  button.querySelector("span").textContent = text;
  button.querySelector("use").setAttribute("href", `./icons.svg#${button.dataset.icon}${pressed ? "-off" : ""}`);
}

function toggleMute() {
  const muted = !room.hello.muted;
  press("mute", muted, strings.controls.mute);
  room.mute(muted);
}

/** A hidden camera is really off: its track is stopped, and asked for anew. */
async function toggleCamera() {
  const here = room;
  const hide = $("hide").getAttribute("aria-pressed") === "false";
  $("hide").disabled = true;
  const { stream } = hide ? { stream: new MediaStream() } : await capture(NONE, $("camera").value);
  if (here !== room) return stop(stream);
  const [track] = stream.getVideoTracks();
  await here.show(track ?? null);
  press("hide", !track, strings.controls.hide);
  draw();
}

async function turnOnSound() {
  await Promise.all([...tiles.values()].map((tile) => tile.play()));
  $("sound").hidden = true;
}

$("mute").addEventListener("click", toggleMute);
$("hide").addEventListener("click", toggleCamera);
$("sound").addEventListener("click", turnOnSound);
$("stop").addEventListener("click", () => choose("presence"));
$("asked-again").addEventListener("submit", answerAgain);
addEventListener("keydown", (event) => {
  if (!room || !event.altKey || !event.shiftKey || event.code !== "KeyD") return;
  event.preventDefault();
  mine.toggle();
});
$("leave").addEventListener("click", () => exit(strings.status.left));
$("rejoin").addEventListener("click", () => room.retry());
addEventListener("pagehide", () => exit(""));
open();
