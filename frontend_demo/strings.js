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
  trend: {
    none: "Liveliness over the last minute: not enough heard yet",
    rising: "Liveliness over the last minute: rising",
    steady: "Liveliness over the last minute: steady",
    falling: "Liveliness over the last minute: falling",
  },
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
