/** Folds the worker's events into what is known about each speaker: pure functions, no page, no clock. */

export const PREFIX = "io.undertone.";
export const TREND_S = 60;

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
/** Trend words compare the halves of the trend; smaller differences are called steady. */
const STEADY = 0.15;

/** Nothing is known yet. `seq` is null until a message came; `missed` counts events that never did, the last at `missedAt`. */
export const empty = Object.freeze({ seq: null, epoch: null, at: 0, missed: 0, missedAt: null, closed: false, room: null, speakers: {} });

export const stranger = { name: "", generation: 0, analysed: true, present: true, muted: false, speaking: false, talk: { seconds: 0, share: 0 }, emotion: null, trend: [], figures: null, cutOff: null };

/** The state after one message from the data channel: a snapshot or a CloudEvents envelope. */
export function fold(state, message) {
  const kind = message.type.slice(PREFIX.length);
  if (kind === "snapshot.v1") return fromSnapshot(state, message);
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

const emotion = (state, data, type) => change(state, data.speaker, (was) => heard(was, { type, ...data }));

const folds = {
  "speaker.joined.v1": (state, { speaker, name, generation, analysed }) =>
    change(state, speaker, () => ({ name, generation, analysed, present: true, muted: false, speaking: false, emotion: null, trend: [] })),
  "speaker.left.v1": (state, { speaker }) => change(state, speaker, () => ({ present: false, speaking: false, emotion: null })),
  "speaker.muted.v1": (state, { speaker }) => change(state, speaker, () => ({ muted: true })),
  "speaker.unmuted.v1": (state, { speaker }) => change(state, speaker, () => ({ muted: false })),
  "speaker.analysed.v1": (state, { speaker, analysed }) => change(state, speaker, () => (analysed ? { analysed } : { analysed, emotion: null, trend: [] })),
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

function change(state, speaker, update) {
  const was = state.speakers[speaker] ?? stranger;
  return { ...state, speakers: { ...state.speakers, [speaker]: { ...was, ...update(was) } } };
}

function heard(was, event) {
  const known = event.type === "emotion.estimated.v1" && event.arousal !== null;
  const trend = was.trend.filter((point) => point.at > event.at - TREND_S && point.at < event.at);
  return { emotion: event, trend: known ? [...trend, { at: event.at, arousal: event.arousal, valence: event.valence }] : trend };
}

/** A snapshot is the whole truth, except for the past: trends of the same run of the worker are kept. */
function fromSnapshot(state, { seq, epoch, data }) {
  const speakers = {};
  for (const [id, speaker] of Object.entries(data.speakers)) {
    const trend = epoch === state.epoch ? (state.speakers[id]?.trend ?? []) : [];
    const now = { ...stranger, ...speaker, trend };
    speakers[id] = now.emotion ? { ...now, ...heard(now, now.emotion) } : now;
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
  if (!speaker.analysed) return { word: "off", certainty: "off" };
  const { emotion: last } = speaker;
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
export const arousal = ({ analysed, emotion: last }) => (analysed && last?.type === "emotion.estimated.v1" ? last.arousal : null);

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
