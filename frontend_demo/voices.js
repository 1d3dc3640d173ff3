/** The sections of a conversation that say more than who spoke when: the room's score, how voices sounded, and prompts. Pages that must not show these leave this file out. */

import { NONE, WIDE, chart, clock, curve, el, number, path, percent, within } from "./drawings.js";
import { bars, hint, hue, parts } from "./overview.js";

/** More moments than this are counted instead. */
const TIMES = 8;

const told = {
  engagementHint: "From who speaks and when alone: no emotion is in it. It speaks of the room, never of a person.",
  score: (score, confidence) => (score === null ? `${NONE}: more than three minutes with two people who speak are needed.` : `${Math.round(score)} of 100, confidence ${percent(confidence)}`),
  scored: { balance: "Balance", floor_changes: "Floor changes", response_lag: "Quick answers", silence: "Little silence" },
  notMeasured: "Not measured in this meeting.",
  course: "Course of the score",
  whole: "Whole meeting",
  balance: "Balance",
  silence: "Silence",
  overlap: "Overlap",
  floor: "Floor changes a minute",
  voicesHint:
    "How voices sounded to a computer, from the sound alone: never what anybody felt, and often wrong for one person at one moment. Read the course, and ask the person. Solid line: lively is up, calm is down. Dashed line: pleasant is up, unpleasant is down.",
  contest: (contact) => `Whoever finds that this is wrong about them can contest it, and have it erased: ${contact || "ask whoever runs these conversations"}.`,
  sounded: (name, shares, confidence) => `${name} sounded ${shares.map(([label, share]) => `${LABELS[label] ?? label} ${percent(share)}`).join(", ")} of the time they were heard; mean confidence ${percent(confidence)}.`,
  voice: (name) => `The course of ${name}’s voice`,
  mixed: (name) => `${name} sounded mixed: no tone was clear.`,
  unclear: (share) => ` ${percent(share)} had no clear tone.`,
  unheard: (name) => `${name}: too little was heard.`,
  shift: { arousal_rise: "Sounded livelier for a while", to_negative: "Sounded less pleasant for a while" },
  shifted: (kind, times) => `${told.shift[kind] ?? kind}: at ${times.slice(0, TIMES).join(", ")}${times.length > TIMES ? ` and ${times.length - TIMES} times more` : ""}.`,
  noPrompts: "No prompts, or none that are kept where this is read.",
  answers: { dismissed: "dismissed", snoozed: "snoozed", not_helpful: "not helpful", null: "no answer" },
  managers: "managers",
};

const LABELS = { neutral: "neutral", positive: "positive", tense: "tense", low: "low", null: "without a label" };

function engagement({ record, span }) {
  if (record.figures && !record.figures.room) return null;
  const last = record.engagement.at(-1) ?? [0, null, 0];
  const scored = Object.entries(record.parts ?? {}).map(([name, value]) => [told.scored[name] ?? name, value, null, "measure"]);
  const room = record.figures?.room;
  const facts = room && [
    [told.balance, percent(room.balance)],
    [told.floor, number(room.floor_changes_per_min, 1)],
    [told.silence, percent(room.silence_share)],
    [told.overlap, percent(room.overlap_share)],
  ];
  const points = record.engagement.filter(([at, score]) => score !== null && within(at, span)).map(([at, score]) => [at, score / 100]);
  return [
    hint(told.engagementHint),
    el("p", { class: "score" }, record.parts === null && record.figures ? told.notMeasured : told.score(last[1], last[2])),
    points.length > 1 ? el("div", { class: "chart" }, chart(told.course, curve("line", points, span))) : "",
    scored.length ? bars(scored) : "",
    facts ? el("h3", {}, told.whole) : "",
    facts ? el("dl", { class: "facts-list" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])) : "",
  ];
}

function voices({ record, ids, span, contact }) {
  const heard = ids.filter((id) => record.people[id].level === "emotion" || record.emotion[id]?.length);
  if (!heard.some((id) => record.emotion[id]?.length)) return null;
  const rows = heard.map((id) => {
    const name = record.people[id].name;
    const points = (record.emotion[id] ?? []).filter(([at]) => within(at, span));
    if (points.length < 3) return el("div", { class: "voice-row" }, el("p", { class: "hint" }, told.unheard(name)));
    const said = sounded(name, points);
    const lines = [["line", 1], ["second", 2]].map(([kind, place]) => curve(kind, points.filter((point) => point[place] !== null).map((point) => [point[0], (point[place] + 1) / 2]), span));
    const shifts = record.shifts.filter(([at, speaker]) => speaker === id && within(at, span));
    return el(
      "div",
      { class: "voice-row" },
      el("p", {}, said),
      lines[0].getAttribute("d") ? el("div", { class: `chart ${hue(record, id)}` }, chart(told.voice(name), path("rest", `M0 50H${WIDE}`), ...lines)) : "",
      ...Object.entries(Object.groupBy(shifts, ([, , kind]) => kind)).map(([kind, list]) => el("p", { class: "hint" }, told.shifted(kind, list.map(([at]) => clock(at))))),
    );
  });
  return [hint(told.voicesHint), hint(told.contest(contact)), el("div", { class: "voice-rows" }, ...rows)];
}

function sounded(name, points) {
  const counts = {};
  for (const [, , , label] of points) counts[label] = (counts[label] ?? 0) + 1;
  const { mixed = 0, ...labels } = counts;
  const shares = Object.entries(labels);
  if (shares.length === 0) return told.mixed(name);
  const sure = points.map((point) => point[4]).filter((one) => one !== null);
  const confidence = sure.reduce((sum, one) => sum + one, 0) / sure.length;
  return told.sounded(name, shares.map(([label, count]) => [label, count / points.length]), confidence) + (mixed ? told.unclear(mixed / points.length) : "");
}

function prompts({ record, ids, span }) {
  const shown = record.prompts.filter(({ at, to }) => within(at, span) && (to === "managers" || ids.includes(to)));
  if (shown.length === 0) return [el("p", {}, told.noPrompts)];
  const items = shown.map(({ at, to, text, reason, answer }) => {
    const whom = to === "managers" ? told.managers : record.people[to].name;
    const head = el("p", { class: "hint" }, `${clock(at)} · ${whom} · ${told.answers[answer] ?? answer}`);
    return el("li", {}, head, el("p", { class: "prompt-said" }, text), el("p", { class: "hint" }, reason));
  });
  return [el("ol", { class: "prompt-list" }, ...items)];
}

parts.engagement = { heading: "Engagement", draw: engagement };
parts.voices = { heading: "How voices sounded", draw: voices };
parts.prompts = { heading: "Prompts", draw: prompts };
