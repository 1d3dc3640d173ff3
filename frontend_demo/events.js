/** Folds the worker's events into what is known about each speaker: pure functions, no page, no clock. */

import { atLeast } from "./levels.js";

export const PREFIX = "io.undertone.";
export const TREND_S = 60;
/** The audience of what everyone in the call is told, and nobody else. */
export const IN_CALL = "participants";

/** Points further apart than this (seconds) are not joined: nothing was heard in between. */
const TREND_BREAK_S = 5;
/** Arousal this far from 0 has a word of its own. */
const USUAL = 0.25;
/** What engines with categories call a voice; each is a word of `strings.mood` too. */
const LABELS = ["neutral", "positive", "tense", "low"];
/** From which confidence on a voice is called sure and fairly sure: where it is the label's probability, and where not. */
const LABEL_SURE = [0.85, 0.65];
const AROUSAL_SURE = [0.75, 0.4];
/** Probabilities are shown rounded down to these steps (percent), about as far as they can be trusted; none is 100 %. */
const STEP = 5;
/** After this long a silence (seconds) nothing is said of a voice: how it sounded is over. */
const QUIET_S = 10;
/** A tile says for so long (seconds) that somebody was cut off. */
const CUE_S = 8;
/** From this on (seconds) a tile says that somebody goes on and on; docs/metrics.md has the source. */
const LONG_S = 90;
/** How much (a share, decibels) somebody's pace and loudness may differ from their usual and still be called as usual. */
const [USUAL_PACE, USUAL_DB] = [0.1, 3];
/** A pace is told in these steps (percent), so that its words rest. */
const PACE_STEP = 5;
/** Trend words compare the halves of the trend; smaller differences are called steady. */
const STEADY = 0.15;

/** Nothing is known yet. `seq` is null until a message came; `missed` counts events that never did, the last at `missedAt`. */
export const empty = Object.freeze({ seq: null, epoch: null, at: 0, missed: 0, missedAt: null, closed: false, room: null, speakers: {} });

const NO_TALK = Object.freeze({ seconds: 0, share: 0 });
/** Of `PersonFigures`, those that are made of how somebody speaks. */
const MANNER = { syllables_per_s: null, pace_change: null, loudness_change_db: null, pitch_spread_st: null, pitch_spread_change_st: null };

export const stranger = { name: "", generation: 0, level: "presence", present: true, muted: false, speaking: false, talk: NO_TALK, emotion: null, trend: [], figures: null, cutOff: null };

/** The same person at this level: whatever needs a higher one is forgotten. */
export function limited(speaker, level) {
  const known = { ...speaker, level };
  if (!atLeast(level, "emotion")) Object.assign(known, { emotion: null, trend: [] });
  if (!atLeast(level, "prosody")) known.figures &&= { ...known.figures, ...MANNER };
  if (!atLeast(level, "metrics")) Object.assign(known, { speaking: false, talk: NO_TALK, figures: null, cutOff: null });
  return known;
}

/** The state after one message from the data channel: a snapshot or a CloudEvents envelope. */
export function fold(state, message) {
  const kind = message.type.slice(PREFIX.length);
  if (kind === "snapshot.v1") return fromSnapshot(state, message);
  if (message.audience) return foldBeside(state, message, kind);
  const stale = message.epoch < state.epoch || (message.epoch === state.epoch && message.seq <= state.seq);
  if (state.seq !== null && stale) return state;
  const { data } = message;
  const hole = kind !== "gap.v1" && state.seq !== null && message.epoch === state.epoch ? message.seq - state.seq - 1 : 0;
  const lost = kind === "gap.v1" ? data.to_seq - data.from_seq + 1 : hole;
  const next = {
    ...state,
    seq: message.seq,
    epoch: message.epoch,
    at: Math.max(state.at, data.at),
    missed: state.missed + lost,
    missedAt: lost ? data.at : state.missedAt,
  };
  return Object.hasOwn(folds, kind) ? folds[kind](next, data, kind) : next;
}

/** What those in the call alone are told, and no snapshot: it has numbers of its own, and holds for the same run. */
function foldBeside(state, { audience, epoch, data }, kind) {
  if (audience !== IN_CALL || epoch !== state.epoch || !Object.hasOwn(folds, kind)) return state;
  return folds[kind]({ ...state, at: Math.max(state.at, data.at) }, data, kind);
}

const emotion = (state, data, type) => change(state, data.speaker, (was) => heard(was, { type, ...data }));

const folds = {
  "speaker.joined.v1": (state, { speaker, name, generation, level }) =>
    change(state, speaker, () => ({ name, generation, level, present: true, muted: false, speaking: false, emotion: null, trend: [] })),
  "speaker.left.v1": (state, { speaker }) => change(state, speaker, () => ({ present: false, speaking: false, emotion: null })),
  "speaker.muted.v1": (state, { speaker }) => change(state, speaker, () => ({ muted: true })),
  "speaker.unmuted.v1": (state, { speaker }) => change(state, speaker, () => ({ muted: false })),
  "speaker.analysed.v1": (state, { speaker, level }) => change(state, speaker, () => ({ level })),
  "speech.started.v1": (state, { speaker }) => change(state, speaker, () => ({ speaking: true })),
  "speech.ended.v1": (state, { speaker }) => change(state, speaker, () => ({ speaking: false })),
  "emotion.estimated.v1": emotion,
  "emotion.abstained.v1": emotion,
  "emotion.unavailable.v1": emotion,
  "talk_time.v1": (state, { speakers }) =>
    Object.entries(speakers).reduce((now, [speaker, talk]) => change(now, speaker, () => ({ talk })), state),
  "conversation.v1": (state, { room, speakers }) =>
    Object.entries(speakers).reduce((now, [speaker, figures]) => change(now, speaker, () => ({ figures })), { ...state, room }),
  "interrupted.v1": (state, { speaker, by, at }) => change(state, speaker, () => ({ cutOff: { at, by } })),
  "room.closed.v1": (state) => ({ ...state, closed: true }),
};

/** What comes late about somebody who agreed to less meanwhile leaves nothing. */
function change(state, speaker, update) {
  const was = state.speakers[speaker] ?? stranger;
  const now = { ...was, ...update(was) };
  return { ...state, speakers: { ...state.speakers, [speaker]: limited(now, now.level) } };
}

function heard(was, event) {
  const known = event.type === "emotion.estimated.v1" && event.arousal !== null;
  const trend = was.trend.filter((point) => point.at > event.at - TREND_S && point.at < event.at);
  return { emotion: event, trend: known ? [...trend, { at: event.at, arousal: event.arousal, valence: event.valence }] : trend };
}

/**
 * A snapshot is the whole truth, except for the past and for what those in the call alone are told: of the same run of
 * the worker trends are kept, and how a voice sounded while it is the same stay.
 */
function fromSnapshot(state, { seq, epoch, data }) {
  const speakers = {};
  for (const [id, speaker] of Object.entries(data.speakers)) {
    const was = epoch === state.epoch ? state.speakers[id] : undefined;
    const same = was?.generation === speaker.generation && speaker.present;
    const now = { ...stranger, ...speaker, trend: was?.trend ?? [] };
    const known = now.emotion ? { ...now, ...heard(now, now.emotion) } : { ...now, emotion: same ? was.emotion : null };
    speakers[id] = limited(known, now.level);
  }
  return { ...state, seq, epoch, at: data.at, closed: false, speakers };
}

/** The state while nothing can be heard, because the connection is lost: nobody is shown as speaking. */
export function silenced(state) {
  const speakers = Object.entries(state.speakers).map(([id, speaker]) => [id, { ...speaker, speaking: false }]);
  return { ...state, speakers: Object.fromEntries(speakers) };
}

/** Which of the words of `strings.mood` and `strings.certainty` a speaker has earned, and for a label how likely it is. */
export function mood(speaker, now = -Infinity) {
  const { emotion: last, level } = speaker;
  if (!atLeast(level, "metrics")) return { word: "off", certainty: "none" };
  if (!atLeast(level, "emotion")) return { word: atLeast(level, "prosody") ? "measured" : "talkOnly", certainty: "none" };
  const silent = !speaker.speaking && now - last?.at > QUIET_S;
  if (!last || silent) return { word: "listening", certainty: "none" };
  if (last.type === "emotion.unavailable.v1") return { word: "unavailable", certainty: "none" };
  if (last.reason === "learning") return { word: "listening", certainty: "learning" };
  if (last.reason === "not_speech") return { word: "listening", certainty: "notSpeech" };
  if (last.reason === "mixed") return { word: "mixed", certainty: "mixed" };
  if (LABELS.includes(last.label)) return { word: last.label, certainty: certainty(last, LABEL_SURE), percent: percent(last) };
  if (last.type === "emotion.abstained.v1" || last.arousal === null) return { word: "unsure", certainty: "unsure" };
  const word = last.arousal > USUAL ? "lively" : last.arousal < -USUAL ? "calm" : "usual";
  return { word, certainty: certainty(last, AROUSAL_SURE) };
}

function certainty({ provisional, confidence }, [sure, fairly]) {
  if (provisional) return "provisional";
  return confidence >= sure ? "sure" : confidence >= fairly ? "fairly" : "hardly";
}

const percent = ({ provisional, confidence }) => (provisional ? null : Math.min(100 - STEP, Math.floor((confidence * 100) / STEP) * STEP));

/** Arousal from -1 to 1 where there is an estimate, else null. */
export const arousal = ({ emotion: last }) => (last?.type === "emotion.estimated.v1" ? last.arousal : null);

/** How somebody speaks against their own usual, in percent and decibels: {pace, loudness}, each 0 where as usual; null while nothing is known. */
export function manner({ figures }) {
  const { pace_change: pace, loudness_change_db: loudness, silent_for_s: silent } = figures ?? {};
  if (pace == null || loudness == null || silent > QUIET_S) return null;
  const differs = (value, usual) => (Math.abs(value) < usual ? 0 : value);
  return { pace: Math.round((differs(pace, USUAL_PACE) * 100) / PACE_STEP) * PACE_STEP, loudness: Math.round(differs(loudness, USUAL_DB)) };
}

/** What there is to say of how somebody takes part: {word, by, seconds}, a word of `strings.cue`; null when nothing. */
export function cue({ cutOff, figures, speaking }, now) {
  if (cutOff && now - cutOff.at < CUE_S) return { word: "cutOff", by: cutOff.by };
  if (speaking && figures?.run_s > LONG_S) return { word: "long", seconds: figures.run_s };
  return null;
}

/** The last minute as lines: each a list of [x, y] in 0…1, x to the right and y down; broken where nothing was heard. */
export function trendLines(trend, now, what = "arousal") {
  const lines = [];
  let before = -Infinity;
  for (const { at, [what]: value = null } of trend) {
    if (at <= now - TREND_S || value === null) continue;
    if (at - before > TREND_BREAK_S) lines.push([]);
    lines.at(-1).push([Math.min(1, 1 - (now - at) / TREND_S), (1 - value) / 2]);
    before = at;
  }
  return lines;
}

/** Which of the words of `strings.trend` describes the last minute. */
export function trendWord(trend, now, what = "arousal") {
  const values = trend.filter(({ at, [what]: value = null }) => at > now - TREND_S && value !== null).map((point) => point[what]);
  if (values.length < 4) return "none";
  const half = Math.floor(values.length / 2);
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const rise = mean(values.slice(-half)) - mean(values.slice(0, half));
  return rise > STEADY ? "rising" : rise < -STEADY ? "falling" : "steady";
}
