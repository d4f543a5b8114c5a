// How the seven emotions are shown; each has its colour in style.css under its own name.
import { EMOTIONS } from "./runtime/constants.js";

/** @typedef {import("./runtime/results.js").Emotion} Emotion */
/** @typedef {import("./runtime/results.js").Probabilities} Probabilities */

/** @param {Emotion} emotion */
export const colour = (emotion) => `var(--${emotion})`;

/** A sign for each, so that none is told apart by colour alone. */
export const SIGNS = { neutral: "–", happy: "☺", sad: "☹", angry: "!", fear: "◇", disgust: "×", surprise: "○" };

/** @param {Probabilities} probabilities @returns {Emotion} */
export const likeliest = (probabilities) =>
  EMOTIONS.reduce((best, one) => (probabilities[one] > probabilities[best] ? one : best), EMOTIONS[0]);
