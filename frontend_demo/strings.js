/** Every word the page says, in one place: translate here. */

function duration(seconds) {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  return minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
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
    noticeHeading: "This room is being analysed",
    notice:
      "The room hears how long each person talks and how each voice sounds: lively or calm; neutral, positive, tense or low. " +
      "It hears the sound only, not what you feel, and can be wrong. Everyone here can see it. Audio is never stored. You may join without being analysed.",
    choice: "Your voice",
    analyse: "Analyse my voice",
    analyseHint: "My talk time and how my voice sounds are shown to everyone here.",
    without: "Do not analyse my voice",
    withoutHint: "Others hear me; nothing is measured.",
    choose: "Please choose whether your voice may be analysed.",
    submit: "Join",
    joining: "Joining…",
  },

  banner: {
    text: "This room is being analysed",
    on: "Talk time and the sound of each voice. Audio is never stored.",
    off: "Your own voice is not. Audio is never stored.",
    listener: (name) => `By “${name}”.`,
    nobody: "At present nobody listens, so nothing is analysed.",
  },

  controls: {
    label: "Your controls",
    mute: "Mute",
    noMicrophone: "No microphone",
    hide: "Hide camera",
    noCamera: "No camera",
    sound: "Turn on sound",
    leave: "Leave",
    rejoin: "Rejoin",
  },

  tiles: "People in this room",
  you: "you",
  speaking: "Speaking",
  muted: "Muted",

  mood: {
    neutral: "Sounds neutral",
    positive: "Sounds positive",
    tense: "Sounds tense",
    low: "Sounds low",
    mixed: "Mixed signals",
    calm: "Calm",
    usual: "As usual",
    lively: "Lively",
    unsure: "Unsure",
    listening: "Listening…",
    unavailable: "Not available",
    off: "Not analysed",
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
    off: "their choice",
  },
  sureness: (words, percent) => (percent ? `${words} · ${percent} %` : words),
  yourChoice: "your choice",
  trends: (lively, pleasant) =>
    lively === "none" ? "The last minute: not enough heard yet" : `The last minute: liveliness ${lively}${pleasant === "none" ? "" : `, pleasantness ${pleasant}`}`,
  cue: {
    cutOff: (name) => (name ? `Was cut off by ${name}` : "Was cut off"),
    long: (seconds) => `Has gone on for ${duration(seconds)}`,
  },

  coach: {
    heading: "For you alone",
    hint: "Nobody else sees this.",
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
    off: "You chose not to be analysed, so there is nothing to suggest.",
  },
  duration,
  talk: ({ seconds, share }) => (seconds < 0.5 ? "Has not spoken yet" : `${duration(seconds)} · ${Math.round(share * 100)} % of the talk`),
  talkOff: "Talk time is not measured",

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
