/** How much may be made of a voice: four levels, each including those before it. */

const LEVELS = ["presence", "metrics", "prosody", "emotion"];

/** A word that is none of these allows nothing. */
const rank = (level) => Math.max(0, LEVELS.indexOf(level));

export const atLeast = (level, wanted) => rank(level) >= rank(wanted);
export const lower = (one, other) => (rank(one) <= rank(other) ? one : other);
