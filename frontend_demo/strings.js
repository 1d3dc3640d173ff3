/** Every word the page says, in one place: translate here. */

function duration(seconds) {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  return minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
}

const days = (count) => (count === 1 ? "1 day" : `${count} days`);
const times = (count) => ["never", "once", "twice"][count] ?? `${count} times`;

/** A share of change in words. */
function against(change, more, less) {
  const percent = Math.round(Math.abs(change) * 100);
  return percent === 0 ? "as usual" : `${percent} % ${change > 0 ? more : less} than usual`;
}

export const strings = {
  title: (room) => (room ? `${room} · Undertone` : "Undertone"),
  brand: "Undertone",
  room: (room) => `Room ${room}`,

  join: {
    heading: "Join the room",
    lead: (room) => `You are about to enter “${room}”.`,
    name: "Your name",
    token: "Access token",
    pin: "The room's PIN",
    microphone: "Microphone",
    camera: "Camera",
    usualMicrophone: "Usual microphone",
    usualCamera: "Usual camera",
    noMicrophone: "No microphone",
    noCamera: "No camera",
    preview: "Preview",
    stopPreview: "Stop preview",
    previewing: "This is how others will see you.",
    previewHint: "Check your picture first, if you like.",
    submit: "Join",
    joining: "Joining…",
  },

  notice: {
    heading: "This room is being analysed",
    nothing: "Nothing is measured in this room",
    choice: "What may be measured of your voice?",
    choose: "Please choose what may be measured of your voice.",
    purpose: "Purpose",
    operator: "Run by",
    seenBy: "Seen by",
    kept: "Kept",
    keptDays: (events, prompts) => (events === prompts ? days(events) : `${days(events)}; suggestions ${days(prompts)}`),
    contact: "Contact",
  },

  /** Used where the worker's own words are not at hand. */
  level: { presence: "Nothing", metrics: "My talk time", prosody: "My talk time, pace and loudness", emotion: "My talk time, pace, loudness and tone" },

  banner: {
    on: "This room is being analysed",
    onFor: (operator) => `This room is being analysed for ${operator}`,
    off: "Nothing is measured in this room",
    choice: (level) => `Measured of you: ${level}. Sound is never stored.`,
    unanswered: "Measured of you: nothing, until you answer.",
    nothing: "Sound is never stored.",
    listener: (name) => `By “${name}”.`,
    nobody: "At present nobody listens, so nothing is analysed.",
  },

  sheet: {
    heading: "Please choose again",
    why: "The words that you agreed to do not hold any more. Until you answer, nothing of your voice is measured; the call goes on.",
    submit: "Save my choice",
  },

  controls: {
    label: "Your controls",
    mute: "Mute",
    noMicrophone: "No microphone",
    hide: "Hide camera",
    noCamera: "No camera",
    sound: "Turn on sound",
    stop: "Stop analysing me",
    mine: "My data",
    leave: "Leave",
    rejoin: "Rejoin",
  },

  tiles: "People in this room",
  you: "you",
  speaking: "Speaking",
  muted: "Muted",

  mood: {
    neutral: "Sounded neutral",
    positive: "Sounded positive",
    tense: "Sounded tense",
    low: "Sounded low",
    mixed: "Mixed signals",
    calm: "Sounded calm",
    usual: "Sounded as usual",
    lively: "Sounded lively",
    unsure: "Unsure",
    listening: "Listening…",
    unavailable: "Not available",
    talkOnly: "Talk time only",
    measured: "Talk time, pace, loudness",
    off: "Not analysed",
  },
  /** Pace in percent, loudness in decibels against somebody's usual, as [words, the rest of them]; see `manner`. */
  manner({ pace, loudness }) {
    const parts = [];
    if (pace) parts.push(`${Math.abs(pace)} % ${pace > 0 ? "faster" : "slower"}`);
    if (loudness) parts.push(`${Math.abs(loudness)} dB ${loudness > 0 ? "louder" : "softer"}`);
    return parts.length ? [parts.join(" · "), "than usual"] : ["Pace and loudness", "as usual"];
  },
  certainty: {
    sure: "sure",
    fairly: "fairly sure",
    hardly: "not very sure",
    provisional: "first impression",
    mixed: "no clear tone",
    unsure: "could be either",
    notSpeech: "no single clear voice",
    learning: "getting to know this voice",
    none: "",
  },
  sureness: (words, percent) => (percent ? `${words} · ${percent} %` : words),
  trends: (lively, pleasant) =>
    lively === "none"
      ? "The last minute: not enough heard yet"
      : `How the voice sounded in the last minute: liveliness ${lively}${pleasant === "none" ? "" : `, pleasantness ${pleasant}`}`,
  cue: {
    cutOff: (name) => (name ? `Was cut off by ${name}` : "Was cut off"),
    long: (seconds) => `Has gone on for ${duration(seconds)}`,
  },

  coach: {
    heading: "For you alone",
    hint: "Nobody else in this room sees what is suggested to you.",
    shown: "Nobody else in this room sees what is suggested to you; whoever may open the dashboard does.",
    idle: "Nothing to suggest. Prompts appear here, at most one a minute.",
    why: (reason) => `Why: ${reason}`,
    dismiss: "Dismiss",
    snooze: "Not for 10 minutes",
    useless: "Not helpful",
    answered: { dismissed: "Dismissed.", snoozed: "Snoozed for 10 minutes.", not_helpful: "Thank you; this will come less often." },
    share: "Your part of the talk, last 5 minutes",
    shareNone: "not enough talk yet",
    shareOf: (percent, band) => `${percent} %${band ? `; usual for this kind of call: ${band}` : ""}`,
    pace: "Your pace",
    paceNone: "getting to know your pace",
    paceUsual: "about your usual",
    paceFaster: (percent) => `${percent} % faster than your usual`,
    paceSlower: (percent) => `${percent} % slower than your usual`,
    run: "You have had the floor for",
    runNone: "not speaking",
    off: "You are not analysed, so there is nothing to suggest.",
  },
  duration,
  talk: ({ seconds, share }) => (seconds < 0.5 ? "Has not spoken yet" : `${duration(seconds)} · ${Math.round(share * 100)} % of the talk`),

  mine: {
    heading: "My data",
    close: "Close",
    choice: "My choice now",
    unanswered: "You have not answered yet.",
    less: (agreed, level) => `You agreed to “${agreed}”; as things are, no more than “${level}” is measured.`,
    now: (level) => `What may be measured of your voice now: ${level}.`,
    stopped: "Nothing of your voice is measured any more. The others see and hear you as before.",
    known: "What is known of you now",
    nothing: "Your name, and that you are here. Nothing of your voice is measured.",
    level: "Measured",
    talk: "Talk time",
    turns: "Turns",
    cuts: "Interruptions",
    cutsOf: (by, of) => `You cut others off: ${times(by)}. You were cut off: ${times(of)}.`,
    pace: "Pace",
    paceOf: (rate, change) => `${rate.toFixed(1)} syllables per second${change === null ? "" : `, ${against(change, "faster", "slower")}`}`,
    loudness: "Loudness",
    loudnessOf: (change) => (Math.round(change) === 0 ? "as usual" : `${Math.abs(Math.round(change))} dB ${change > 0 ? "louder" : "softer"} than usual`),
    pitch: "Pitch",
    pitchOf: (semitones) => `moved over ${semitones.toFixed(1)} semitones`,
    sounded: "Your voice",
    soundedOf: (mood, sureness) => (sureness ? `${mood} (${sureness})` : mood),
    none: "nothing yet",
    terms: "On what terms",
    contest: (contact) => `This is computed from sound alone and can be wrong. To contest it, or to ask about it: ${contact}.`,
    contestNobody: "This is computed from sound alone and can be wrong. To contest it, ask whoever runs this room.",
    download: "Download my data",
    downloaded: "Your data were saved as undertone-my-data.json.",
    erase: "Erase what was kept",
    sure: "Erase everything that was made and kept of you in this room? Nobody can bring it back. From then on nothing of your voice is measured. You stay in the call.",
    eraseYes: "Yes, erase it",
    eraseNo: "No, keep it",
    working: "One moment…",
    failed: (contact) => `This page cannot do that here. Ask ${contact || "whoever runs this room"}.`,
    erased: (records) => (records === 1 ? "One record was erased." : `${records} records were erased.`),
    cut: (records) => (records === 1 ? "One that is of others too was kept without you." : `${records} that are of others too were kept without you.`),
    erasedNothing: "Nothing of you was kept, so there was nothing to erase.",
    notErased: (stores, contact) => `Not reached: ${stores.join(", ")}. Try again later, or ask ${contact || "whoever runs this room"}.`,
  },

  status: {
    connecting: "Connecting…",
    connected: "",
    lost: "The connection was lost. Trying again…",
    gaveUp: "The connection could not be restored.",
    closing: "The room is closing. Trying to come back…",
    elsewhere: "You opened this room in another tab, so this one stopped.",
    token: "The access token was not accepted.",
    pin: "The room did not accept this PIN.",
    pinNeeded: "The room asks for its PIN.",
    erased: "Your data were erased, so nothing is measured of you until this room is opened anew.",
    consent: "Your choice could not be told to the worker, so you were taken out of the room.",
    refused: "The room refused this page. Reload it and join again.",
    left: "You left the room.",
    noRoom: "No room is open here. Start the worker with a room that people can join, then reload this page.",
    unreachable: "The room cannot be reached. Check that the worker is running, then reload this page.",
    missed: "Some events were missed; what you see is current.",
    insecure: "Camera and microphone need https or localhost. You can still watch and listen.",
    denied: "The browser did not allow the microphone or camera. You can still watch and listen.",
    noDevices: "No microphone or camera could be used. You can still watch and listen.",
    noMicrophone: "No microphone could be used. Others can see you, but not hear you.",
  },

  arrived: (names) => `${names.join(", ")} joined.`,
  departed: (names) => `${names.join(", ")} left.`,
  people: (count) => (count === 1 ? "You are alone here." : `${count} people are here.`),
};
