/** Folds the worker's events into one record of the conversation, as `worker/report/meeting.py` does: no page, no clock. */

import { PREFIX } from "./undertone.js";

/** Entries of one list: the oldest make room, and are counted. */
const MOST = 50_000;
/** Points nearer (seconds) to the one before are left out. */
const [EMOTION_S, ENGAGEMENT_S] = [5, 15];

/** A room of which nothing is known yet. */
export const empty = (room, epoch) => ({
  seq: 0,
  room,
  epoch,
  started: null,
  at: 0,
  closed: null,
  people: {},
  talk: {},
  speech: {},
  speaking: {},
  turns: [],
  interruptions: [],
  overlaps: [],
  back_channels: [],
  emotion: {},
  shifts: [],
  engagement: [],
  parts: null,
  figures: null,
  prompts: [],
  outages: [],
  missed: 0,
  forgotten: 0,
});

/** Takes the next message into a record, which changes; one that was taken in before changes nothing. */
export function fold(record, message) {
  const { type, seq, time, audience, data } = message;
  if (!audience) {
    if (seq <= record.seq) return record;
    record.seq = seq;
  }
  if (record.started === null && time) record.started = new Date(Date.parse(time) - data.at * 1000).toISOString();
  record.at = Math.max(record.at, data.at);
  const kind = type.slice(PREFIX.length);
  if (Object.hasOwn(folds, kind)) folds[kind](record, data);
  return record;
}

function add(record, entries, entry) {
  entries.push(entry);
  if (entries.length <= MOST) return;
  entries.shift();
  record.forgotten += 1;
}

function thin(record, points, point, everyS) {
  if (points.length === 0 || point[0] - points.at(-1)[0] >= everyS) add(record, points, point);
}

const listed =
  (name, ...keys) =>
  (record, data) =>
    add(record, record[name], keys.map((key) => data[key]));

const folds = {
  "speaker.joined.v1"(record, { speaker, name, role = "", analysed, level = "" }) {
    record.people[speaker] = { name, role, analysed, level, present: true };
  },
  "speaker.left.v1"(record, { speaker }) {
    delete record.speaking[speaker];
    if (record.people[speaker]) record.people[speaker].present = false;
  },
  "speaker.analysed.v1"(record, { speaker, analysed, level = "" }) {
    if (record.people[speaker]) Object.assign(record.people[speaker], { analysed, level });
    if (analysed) return;
    // Who withdrew has no figures of now any more; the course of the meeting before that stays.
    const { [speaker]: _, ...talk } = record.talk;
    record.talk = talk;
    if (!record.figures) return;
    const { [speaker]: __, ...speakers } = record.figures.speakers;
    record.figures = { ...record.figures, speakers };
  },
  "speech.started.v1"(record, { speaker, at }) {
    record.speaking[speaker] = at;
  },
  "speech.ended.v1"(record, { speaker, started, at }) {
    delete record.speaking[speaker];
    add(record, (record.speech[speaker] ??= []), [started, at]);
  },
  "emotion.estimated.v1"(record, { speaker, at, arousal, valence, label = null, confidence }) {
    thin(record, (record.emotion[speaker] ??= []), [at, arousal, valence, label, confidence], EMOTION_S);
  },
  "emotion.abstained.v1"(record, { speaker, at, reason }) {
    if (reason === "mixed") thin(record, (record.emotion[speaker] ??= []), [at, null, null, "mixed", null], EMOTION_S);
  },
  "emotion.shifted.v1": listed("shifts", "at", "speaker", "kind", "before", "now"),
  "talk_time.v1"(record, { speakers }) {
    record.talk = speakers;
  },
  "turn.ended.v1": listed("turns", "speaker", "started", "at"),
  "interrupted.v1": listed("interruptions", "at", "speaker", "by", "overlap_s"),
  "overlapped.v1": listed("overlaps", "at", "speaker", "on", "overlap_s"),
  "back_channel.v1": listed("back_channels", "at", "speaker", "to", "seconds"),
  "conversation.v1"(record, data) {
    record.figures = data;
  },
  "engagement.v1"(record, { at, score, confidence, parts }) {
    record.parts = parts;
    thin(record, record.engagement, [at, score, confidence], ENGAGEMENT_S);
  },
  "coaching.prompted.v1"(record, { prompt, at, to, rule, severity, text, reason }) {
    add(record, record.prompts, { prompt, at, to, rule, severity, text, reason, answer: null });
  },
  "coaching.answered.v1"(record, { prompt, to, answer }) {
    const asked = record.prompts.findLast((one) => one.prompt === prompt && one.to === to);
    if (asked) asked.answer = answer;
  },
  "room.interrupted.v1"(record, { at, seconds, reason }) {
    record.speaking = {};
    add(record, record.outages, [Math.max(0, at - seconds), at, reason]);
  },
  "room.closed.v1"(record, { reason }) {
    record.closed = reason;
  },
  "gap.v1"(record, { from_seq, to_seq }) {
    record.missed += to_seq - from_seq + 1;
  },
};
