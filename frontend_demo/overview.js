/** A conversation at a glance, drawn from its record (see meeting.js). It imports drawings.js alone, so that a report can carry it whole. */

import { LANE, NONE, WIDE, axis, blocks, clock, el, number, path, percent, scrolling, seconds, svg, time, within, x } from "./drawings.js";

/** More names than this in a sentence are counted instead. */
const NAMES = 3;
/** Seconds of a meeting before which nobody is called silent. */
const EARLY_S = 60;

const words = {
  nobody: "Nobody has been heard yet.",
  times: (count) => (count === 1 ? "once" : `${count} times`),
  lane: (name, count, seconds) => `${name} spoke ${words.times(count)}, ${clock(seconds)} in all.`,
  silent: (name) => `${name} did not speak.`,
  notAnalysed: (name) => `${name} is not analysed.`,
  leftOut: "not analysed",
  withheld: (smallest, over) =>
    `Fewer than ${smallest} people ${over ? "were" : "are"} analysed in this meeting, so only its name and time are shown: of so few, every number would speak of single people.`,
  short: {
    speech: (share) => `Speech filled ${share} of the time.`,
    floor: (rate) => `The floor changed hands ${rate} times a minute`,
    cuts: (count) => (count ? `people cut in on each other ${words.times(count)}` : "nobody cut in on anybody"),
    longest: (run) => `The longest that anyone went on was ${run}.`,
    silent: (who, many, over) => `${who} ${over ? "did not speak" : `${many ? "have" : "has"} not spoken so far`}.`,
    leftOut: (count) => `${count === 1 ? "One person is" : `${count} people are`} not analysed and not in these numbers.`,
    people: (count) => `${count} people`,
  },
  peopleHint: "A bar is speech; a thin red line is the moment somebody cut in on another.",
  shareHint: "Part of all speech. Pauses are left out; where people overlapped, each one’s seconds count.",
  sides: "By side",
  cutOff: "Who cut in on whom",
  cutOffHint: "Rows were cut off, columns cut in.",
  follows: "Who followed whom",
  followsHint: "Rows had the floor, columns took it.",
  nobodyChosen: "Nobody is chosen.",
  missed: (count) => `${count} events did not arrive; what is shown may lack them.`,
  outage: (from, to) => `The worker was not in the room from ${clock(from)} to ${clock(to)}: nothing was heard then.`,
  forgotten: (count) => `The oldest ${count} entries are no longer held.`,
};

const COLUMNS = [
  ["Talk time", (one) => time(one.talk_s)],
  ["Share", (one) => percent(one.talk_share)],
  ["Turns", (one) => number(one.turns, 0)],
  ["Longest run", (one) => time(one.longest_run_s)],
  ["Cut in", (one) => number(one.interruptions, 0)],
  ["Was cut off", (one) => number(one.interrupted, 0)],
  ["Back-channels", (one) => number(one.back_channels, 0)],
  ["Median pause before answering", (one) => seconds(one.response_gap_s)],
  ["Syllables a second", (one) => number(one.syllables_per_s, 1)],
];

/**
 * The sections of a page in their order: a heading, and what draws the nodes below it, null where there is nothing to
 * show. voices.js fills in those that are empty here; a page without it has none of them.
 */
export const parts = {
  short: { heading: "In short", draw: short },
  people: { heading: "Who spoke when", draw: ({ record, ids, span }) => [record.interruptions.length ? hint(words.peopleHint) : "", timeline(record, ids, span)] },
  share: { heading: "Talk time", draw: ({ record, ids, span, whole }) => [hint(words.shareHint), shares(record, ids, span, whole)] },
  engagement: null,
  between: { heading: "Between people", draw: between },
  voices: null,
  prompts: null,
  numbers: { heading: "All numbers, whole meeting", draw: ({ record, ids }) => [numbers(record, ids)] },
};

/**
 * Nodes for a page: notes, and one section for each of `parts` that has something to show.
 *
 * People stand in the order in which they came, whatever their numbers are.
 *
 * @param {object} record
 * @param {{ from?: number, to?: number, people?: Set<string> | null, contact?: string }} view  seconds that are shown, and who; null is everyone; whom to turn to
 */
export function overview(record, { from = 0, to = record.at, people = null, contact = record.contact ?? "" } = {}) {
  if (record.withheld) return { short: section("short", parts.short.heading, el("p", {}, words.withheld(record.withheld.smallest, record.closed !== null))) };
  const ids = Object.keys(record.people).filter((id) => !people || people.has(id));
  const view = { record, ids, span: [from, Math.max(to, from + 1)], whole: from <= 0 && to >= record.at, contact };
  const drawn = Object.entries(parts).map(([name, part]) => [name, part?.heading, part?.draw(view)]);
  const sections = drawn.filter(([, , nodes]) => nodes).map(([name, heading, nodes]) => [name, section(name, heading, ...nodes)]);
  return { notes: notes(record), ...Object.fromEntries(sections) };
}

// ---- sections ----

function notes(record) {
  const list = [
    ...record.outages.map(([from, to]) => words.outage(from, to)),
    ...(record.missed ? [words.missed(record.missed)] : []),
    ...(record.forgotten ? [words.forgotten(record.forgotten)] : []),
  ];
  return list.length ? el("ul", { class: "notes-list" }, ...list.map((text) => el("li", {}, text))) : null;
}

/** What there is to say of everyone together; of single people only that they were not heard. */
function short({ record }) {
  const { room, speakers = {} } = record.figures ?? {};
  if (record.figures && !room) return null;
  if (!room?.speech_s) return [el("p", {}, words.nobody)];
  const heard = Object.keys(record.people).filter((id) => record.people[id].analysed);
  const silent = record.at < EARLY_S ? [] : heard.filter((id) => (speakers[id]?.talk_s ?? 0) === 0 && (record.people[id].present || record.closed !== null));
  const leftOut = Object.values(record.people).filter((one) => !one.analysed).length;
  const longest = Math.max(0, ...Object.values(speakers).map((one) => one.longest_run_s));
  const sentences = [];
  if (room.silence_share !== null) sentences.push(words.short.speech(percent(1 - room.silence_share)));
  if (room.floor_changes_per_min !== null) sentences.push(`${words.short.floor(number(room.floor_changes_per_min, 1))}, and ${words.short.cuts(room.interruptions)}.`);
  if (longest) sentences.push(words.short.longest(clock(longest)));
  if (silent.length) sentences.push(words.short.silent(named(record, silent), silent.length > 1, record.closed !== null));
  if (leftOut) sentences.push(words.short.leftOut(leftOut));
  return [el("p", {}, sentences.join(" "))];
}

function named(record, ids) {
  const names = [...new Set(ids.map((id) => record.people[id].name))];
  if (names.length > NAMES) return words.short.people(names.length);
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

function timeline(record, ids, span) {
  if (ids.length === 0) return el("p", {}, Object.keys(record.people).length ? words.nobodyChosen : words.nobody);
  const lanes = ids.map((id) => {
    const name = record.people[id].name;
    const speech = spoken(record, id, span);
    const total = speech.reduce((sum, [start, end]) => sum + end - start, 0);
    const off = !record.people[id].analysed && speech.length === 0;
    const label = off ? words.notAnalysed(name) : speech.length ? words.lane(name, speech.length, total) : words.silent(name);
    const cuts = record.interruptions.filter(([at, , by]) => by === id && within(at, span));
    const drawing = svg({ viewBox: `0 0 ${WIDE} ${LANE}`, preserveAspectRatio: "none", role: "img", "aria-label": label, class: `lane ${hue(record, id)}` });
    drawing.append(
      path("outage", blocks(record.outages.filter(([a, b]) => b > span[0] && a < span[1]), span, 0, LANE)),
      path("speech", blocks(speech, span, 4, LANE - 8)),
      path("cut", cuts.map(([at]) => `M${x(at, span)} 0V${LANE}`).join("")),
    );
    return el("div", { class: "lane-row" }, el("span", { class: "lane-name" }, name, off ? el("small", {}, ` ${words.leftOut}`) : ""), drawing);
  });
  return el("div", { class: "lanes" }, ...lanes, axis(span));
}

function shares(record, ids, span, whole) {
  const talk = whole ? wholeTalk(record) : talkIn(record, span);
  const rows = ids.filter((id) => talk[id]).map((id) => [record.people[id].name, ...talk[id], hue(record, id)]);
  const sides = whole ? Object.entries(record.figures?.sides ?? {}).map(([role, one]) => [role, one.talk_share, one.talk_s, "side"]) : [];
  return el("div", {}, bars(rows), sides.length ? el("h3", {}, words.sides) : "", sides.length ? bars(sides) : "");
}

/** [share, seconds] of each person, as the worker counted them. */
function wholeTalk(record) {
  const figures = record.figures?.speakers;
  if (!figures) return Object.fromEntries(Object.entries(record.talk).map(([id, one]) => [id, [one.share, one.seconds]]));
  return Object.fromEntries(Object.entries(figures).map(([id, one]) => [id, [one.talk_share, one.talk_s]]));
}

/** The same of a part of the meeting. */
function talkIn(record, span) {
  const heard = Object.keys(record.people).filter((id) => record.people[id].analysed || record.speech[id]);
  const seconds = heard.map((id) => spoken(record, id, span).reduce((sum, [start, end]) => sum + end - start, 0));
  const all = seconds.reduce((sum, one) => sum + one, 0);
  return Object.fromEntries(heard.map((id, place) => [id, [all ? seconds[place] / all : null, seconds[place]]]));
}

function between({ record, ids, span, whole }) {
  const spoke = ids.filter((id) => record.people[id].analysed);
  if (Object.keys(record.people).length < 2) return null;
  const cuts = whole ? (record.figures?.interrupted_by ?? {}) : tally(record.interruptions.filter(([at]) => within(at, span)).map(([, speaker, by]) => [speaker, by]));
  const floor = whole ? (record.figures?.floor ?? {}) : tally(changes(record.turns, span));
  return [el("div", { class: "matrices" }, matrix(record, spoke, cuts, words.cutOff, words.cutOffHint), matrix(record, spoke, floor, words.follows, words.followsHint))];
}

/** Of each turn that began in a part of the meeting, who had the floor before and who took it. */
function changes(turns, span) {
  const inOrder = turns.toSorted(([, one], [, other]) => one - other);
  return inOrder.flatMap(([speaker, started], place) => {
    const before = inOrder[place - 1]?.[0];
    return before !== undefined && before !== speaker && within(started, span) ? [[before, speaker]] : [];
  });
}

function tally(pairs) {
  const counts = {};
  for (const [row, column] of pairs) (counts[row] ??= {})[column] = (counts[row][column] ?? 0) + 1;
  return counts;
}

function numbers(record, ids) {
  const figures = record.figures?.speakers ?? {};
  const shown = ids.filter((id) => figures[id]);
  if (shown.length === 0) return el("p", {}, words.nobody);
  const columns = COLUMNS.filter(([, show]) => shown.some((id) => show(figures[id]) !== NONE));
  const rows = shown.map((id) => [record.people[id].name, ...columns.map(([, show]) => show(figures[id]))]);
  return table(parts.numbers.heading, columns.map(([name]) => name), rows);
}

// ---- drawings ----

function spoken(record, id, [from, to]) {
  const open = record.speaking[id] !== undefined ? [[record.speaking[id], record.at]] : [];
  const all = [...(record.speech[id] ?? []), ...open];
  return all.filter(([start, end]) => end > from && start < to).map(([start, end]) => [Math.max(start, from), Math.min(end, to)]);
}

export function bars(rows) {
  const items = rows.map(([name, share, secs, kind]) => {
    const value = share === null ? NONE : percent(share) + (secs === null ? "" : `, ${clock(secs)}`);
    const fill = el("span", { class: "bar-fill", style: `width:${(share ?? 0) * 100}%` });
    return el("li", { class: `bar ${kind}` }, el("span", { class: "bar-name" }, name), el("span", { class: "bar-well", "aria-hidden": "true" }, fill), el("span", { class: "bar-value" }, value));
  });
  return items.length ? el("ul", { class: "bars" }, ...items) : el("p", {}, words.nobody);
}

function matrix(record, ids, counts, caption, explained) {
  const name = (id) => record.people[id].name;
  const most = Math.max(1, ...ids.flatMap((row) => ids.map((column) => counts[row]?.[column] ?? 0)));
  const cell = (row, column) => {
    if (row === column) return el("td", { class: "own" }, "");
    const count = counts[row]?.[column] ?? 0;
    return el("td", { style: `--weight:${count / most}`, class: count ? "counted" : "none" }, String(count));
  };
  const head = el("tr", {}, el("td"), ...ids.map((id) => el("th", { scope: "col" }, name(id))));
  const rows = ids.map((row) => el("tr", {}, el("th", { scope: "row" }, name(row)), ...ids.map((column) => cell(row, column))));
  return scrolling(caption, el("table", { class: ids.length > 10 ? "matrix many crowd" : ids.length > 4 ? "matrix many" : "matrix" }, el("caption", {}, caption, " ", el("small", {}, explained)), el("thead", {}, head), el("tbody", {}, ...rows)));
}

function table(label, head, rows) {
  const line = ([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((text) => el("td", {}, text)));
  const top = el("tr", {}, el("td"), ...head.map((text) => el("th", { scope: "col" }, text)));
  return scrolling(label, el("table", {}, el("thead", {}, top), el("tbody", {}, ...rows.map(line))));
}

// ---- pieces ----

/** Colours tell neighbours apart, and stay when others are hidden; names stand beside them. */
export const hue = (record, id) => `person-${Object.keys(record.people).indexOf(id) % 6}`;

function section(name, heading, ...content) {
  return el("section", { class: `part part-${name}`, "aria-labelledby": `part-${name}` }, el("h2", { id: `part-${name}` }, heading), ...content);
}

export const hint = (text) => el("p", { class: "hint" }, text);

