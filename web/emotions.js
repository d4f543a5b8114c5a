// How the seven emotions are shown; each has its colour in style.css under its own name.
import { EMOTIONS } from "./runtime/constants.js";

/** @typedef {import("./runtime/results.js").Emotion} Emotion */
/** @typedef {import("./runtime/results.js").Probabilities} Probabilities */
/** What is said of a moment. @typedef {Emotion|"listening"|"nothing"} Said */

/** @param {Emotion} emotion */
export const colour = (emotion) => `var(--${emotion})`;

/** A sign for each, so that none is told apart by colour alone. */
export const SIGNS = { neutral: "–", happy: "☺", sad: "☹", angry: "!", fear: "◇", disgust: "×", surprise: "○" };

/** All that may be said of a moment, in the order in which it is listed. @type {readonly Said[]} */
export const SAYINGS = [...EMOTIONS, "listening", "nothing"];

/** @param {Said} said */
export const inWords = (said) => (said === "nothing" ? "nothing to go by" : said === "listening" ? "listening…" : `${SIGNS[said]} ${said}`);

/** How many colours people have in style.css, before they begin anew. */
const PEOPLE = 4;

/** The name of a person's colour. @param {number} id from 1 */
export const personal = (id) => `person-${((id - 1) % PEOPLE) + 1}`;

/** @param {number} share 0 to 1 */
export const percent = (share) => `${Math.round(100 * share)}%`;

/** The emotions, the likeliest first. @param {Probabilities} probabilities @returns {Emotion[]} */
export const ranked = (probabilities) => [...EMOTIONS].sort((a, b) => probabilities[b] - probabilities[a]);

/** A time as one reads it on a clock. @param {number} seconds @param {number} [digits] of a second */
export function clock(seconds, digits = 0) {
  const [minutes, rest] = [Math.floor(seconds / 60), (seconds % 60).toFixed(digits)];
  return minutes ? `${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}` : `${rest} s`;
}

/** How long something lasted. @param {number} seconds */
export function duration(seconds) {
  const [minutes, rest] = [Math.floor(Math.round(seconds) / 60), Math.round(seconds) % 60];
  return [minutes && `${minutes} min`, (rest || !minutes) && `${rest} s`].filter(Boolean).join(" ");
}
