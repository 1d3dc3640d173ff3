/** One speaker's tile: picture, sound, and what the room knows about the voice. */

import { arousal, cue, limited, manner, mood, trendLines, trendWord } from "./events.js";
import { atLeast, lower } from "./levels.js";
import { strings } from "./strings.js";

/** Words change at most this often, so that they can be read; the ring follows the voice at once. */
const WORDS_EVERY_MS = 1000;
const FRAMES_EVERY_MS = 500;
const HUES = 6;
/** Of the trend's drawing, in its own units; EDGE keeps the dot inside. */
const [WIDTH, HEIGHT, EDGE] = [240, 44, 4];

export class Tile {
  #parts;
  #frames = 0;
  #written = -Infinity;
  #writing = 0;
  #words = () => {};
  #watch;

  /** @param own  whether this is the person in front of the page: mirrored, and never heard */
  constructor(participant, own) {
    this.own = own;
    this.element = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    this.#parts = Object.fromEntries([...this.element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.element.dataset.speaker = participant.speaker;
    this.element.classList.toggle("own", own);
    this.element.classList.add(`hue-${hash(participant.speaker) % HUES}`);
    this.#parts.you.hidden = !own;
    this.#parts.you.textContent = strings.you;
    this.#watch = setInterval(() => this.#look(), FRAMES_EVERY_MS);
  }

  remove() {
    clearInterval(this.#watch);
    clearTimeout(this.#writing);
    this.media({});
    this.element.remove();
  }

  /** Shows these tracks; rejects when the browser does not let sound begin. */
  async media({ audio, video }) {
    const starts = [put(this.#parts.video, video)];
    if (!this.own) starts.push(put(this.#parts.audio, audio));
    await Promise.all(starts);
  }

  /** Plays what the browser had blocked. */
  async play() {
    if (this.#parts.audio.srcObject) await this.#parts.audio.play();
  }

  /** `nameOf` gives the display name of a speaker. What needs a higher level than the person's is cleared at once. */
  update(participant, voice, now, nameOf = () => "") {
    const { element } = this;
    const level = lower(participant.level, voice.level);
    const speaker = limited(voice, level);
    const value = arousal(speaker);
    const speaking = speaker.speaking && !participant.muted;
    if (element.dataset.level !== level) this.#written = -Infinity;
    element.dataset.level = level;
    element.classList.toggle("speaking", speaking);
    element.classList.toggle("muted", participant.muted);
    element.dataset.speaking = speaking;
    element.dataset.arousal = value ?? "";
    element.dataset.talk = atLeast(level, "metrics") ? speaker.talk.seconds : "";
    element.style.setProperty("--arousal", `${((value ?? 0) + 1) * 50}%`);
    this.#write(() => this.#say(participant, speaker, speaking, now, nameOf));
  }

  #write(words) {
    this.#words = words;
    clearTimeout(this.#writing);
    const wait = this.#written + WORDS_EVERY_MS - performance.now();
    const now = () => {
      this.#written = performance.now();
      this.#words();
    };
    if (wait <= 0) now();
    else this.#writing = setTimeout(now, wait);
  }

  #say(participant, speaker, speaking, now, nameOf) {
    const { word, certainty, percent } = mood(speaker, now);
    const measured = word === "measured" ? manner(speaker) : null;
    const sounded = [strings.mood[word], strings.sureness(strings.certainty[certainty], percent)];
    const [told, rest] = measured ? strings.manner(measured) : sounded;
    const said = cue(speaker, now);
    this.element.dataset.mood = word;
    this.element.setAttribute("aria-label", participant.name);
    const voice = participant.muted ? strings.muted : speaking ? strings.speaking : "";
    const texts = {
      name: participant.name,
      initials: initials(participant.name),
      voice,
      mood: told,
      certainty: rest,
      talk: atLeast(speaker.level, "metrics") ? strings.talk(speaker.talk) : "",
      cue: said ? strings.cue[said.word](said.seconds ?? nameOf(said.by)) : "",
    };
    for (const [part, text] of Object.entries(texts)) if (this.#parts[part].textContent !== text) this.#parts[part].textContent = text;
    this.#parts.chip.hidden = !voice;
    this.#parts.icon.setAttribute("href", participant.muted ? "./icons.svg#mic-off" : "./icons.svg#voice");
    this.#parts.share.style.setProperty("--share", `${speaker.talk.share * 100}%`);
    this.#draw(speaker.trend, now);
  }

  #draw(trend, now) {
    const lines = placed(trendLines(trend, now));
    this.#parts.line.setAttribute("d", lines.map(path).join(""));
    this.#parts.area.setAttribute("d", lines.map((line) => `${path(line)}V${HEIGHT / 2}H${line[0][0]}Z`).join(""));
    this.#parts.valence.setAttribute("d", placed(trendLines(trend, now, "valence")).map(path).join(""));
    const last = lines.at(-1)?.at(-1);
    this.#parts.dot.toggleAttribute("hidden", !last);
    if (last) this.#parts.dot.setAttribute("transform", `translate(${last})`);
    this.#parts.trend.setAttribute("aria-label", strings.trends(trendWord(trend, now), trendWord(trend, now, "valence")));
  }

  /** A camera that is off sends no frames, whatever its track says: initials stand in for it. */
  #look() {
    const { totalVideoFrames: frames } = this.#parts.video.getVideoPlaybackQuality();
    this.element.classList.toggle("pictured", this.#parts.video.srcObject !== null && frames !== this.#frames);
    this.#frames = frames;
  }
}

/** Plays a track in an element of its own, so that a missing picture never holds up the sound. */
async function put(element, track) {
  if (element.srcObject?.getTracks()[0] === track) return;
  element.srcObject = track ? new MediaStream([track]) : null;
  if (!track) return;
  try {
    await element.play();
  } catch (error) {
    // A newer track has taken this one's place.
    if (error.name !== "AbortError") throw error;
  }
}

/** Lines of 0…1 in the drawing's own units. */
const placed = (lines) => lines.map((line) => line.map(([x, y]) => [EDGE + x * (WIDTH - 2 * EDGE), EDGE + y * (HEIGHT - 2 * EDGE)]));

/** A line of one point gets a length of 0: its round cap makes it a dot. */
function path(line) {
  const points = line.length > 1 ? line : [line[0], line[0]];
  return `M${points.map((point) => point.map((n) => n.toFixed(1))).join("L")}`;
}

function initials(name) {
  const letters = name.match(/(?<=^|\s)[\p{L}\p{N}]/gu) ?? [];
  return [...letters.slice(0, 1), ...letters.slice(1).slice(-1)].join("").toLocaleUpperCase();
}

function hash(text) {
  return [...text].reduce((sum, letter) => sum + letter.codePointAt(0), 0);
}
