/** What drawings of a conversation are made of: lanes, curves, and numbers as people read them. */

const SVG = "http://www.w3.org/2000/svg";
/** What is shown of a number that is not known. */
export const NONE = "n/a";
/** Drawing units across a lane; neighbours nearer than one of them are drawn as one. */
export const WIDE = 1000;
export const LANE = 24;
/** Points of a curve further apart (seconds) are not joined; those in one bin, of so many across, are averaged. */
const BREAK_S = 30;
const BINS = 250;
const MINUTE = 60;

/** Seconds as 1:02 or 1:02:03. */
export function clock(value) {
  const whole = Math.max(0, Math.floor(value));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / MINUTE) % MINUTE, whole % MINUTE];
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

// ---- time across a drawing ----

export const within = (at, [from, to]) => at >= from && at <= to;
export const x = (at, [from, to]) => Math.round(((Math.min(Math.max(at, from), to) - from) / (to - from)) * WIDE * 10) / 10;

/** Stretches of time as one path: so many as there are on the screen, however many there were. */
export function blocks(stretches, span, top, height) {
  const merged = [];
  for (const [start, end] of stretches) {
    const [left, right] = [x(start, span), Math.max(x(end, span), x(start, span) + 1)];
    const last = merged.at(-1);
    if (last && left - last[1] < 1) last[1] = Math.max(last[1], right);
    else merged.push([left, right]);
  }
  return merged.map(([left, right]) => `M${left} ${top}H${right}V${top + height}H${left}Z`).join("");
}

export function chart(label, ...lines) {
  const drawing = svg({ viewBox: `0 0 ${WIDE} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  drawing.append(...lines);
  return drawing;
}

/** A line of [seconds, 0…1], no finer than a screen shows. */
export function curve(kind, points, span) {
  const bins = [];
  for (const [at, value] of points) {
    const bin = Math.floor((x(at, span) / WIDE) * BINS);
    const last = bins.at(-1);
    if (last?.bin === bin) Object.assign(last, { at, sum: last.sum + value, count: last.count + 1 });
    else bins.push({ bin, at, first: at, sum: value, count: 1 });
  }
  const steps = bins.map(({ first, at, sum, count }, place) => {
    const joined = place > 0 && first - bins[place - 1].at <= BREAK_S;
    return `${joined ? "L" : "M"}${x((first + at) / 2, span)} ${Math.round((1 - sum / count) * 92 + 4)}${joined ? "" : "h0"}`;
  });
  return path(kind, steps.join(""));
}

export function axis([from, to]) {
  const steps = [15, 30, MINUTE, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];
  const step = steps.find((one) => (to - from) / one <= 6) ?? 28_800;
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const share = (at - from) / (to - from);
    if (share < 0.97) marks.push(el("span", { style: `left:${share * 100}%` }, clock(at)));
  }
  return el("div", { class: "lane-row", "aria-hidden": "true" }, el("span", { class: "lane-name" }), el("div", { class: "axis-marks" }, ...marks));
}

// ---- pieces ----

/** Wide tables scroll in a box of their own, which the keyboard reaches. */
export const scrolling = (label, content) => el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": label }, content);

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  // A style attribute in markup would need a looser content policy than this does.
  for (const [key, value] of Object.entries(attributes)) key === "style" ? style(element, value) : element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function style(element, text) {
  const [property, value] = text.split(":");
  element.style.setProperty(property, value);
}

export function svg(attributes) {
  const element = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export function path(kind, d) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", kind);
  element.setAttribute("d", d);
  return element;
}

const known = (show) => (value) => (value === null || value === undefined ? NONE : show(value));
export const percent = known((share) => `${Math.round(share * 100)} %`);
export const seconds = known((value) => `${value.toFixed(1)} s`);
export const time = known(clock);
export const number = (value, places) => known((one) => one.toFixed(places))(value);
