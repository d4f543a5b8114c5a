// The seven emotions, in the order of every array of this project; each has its colour in style.css under its own name.

/** @typedef {"neutral"|"happy"|"sad"|"angry"|"fear"|"disgust"|"surprise"} Emotion */
/** @typedef {Record<Emotion, number>} Shares */
/** @typedef {"face"|"scene"|"voice"} Modality */
/**
 * A step as the service tells it, or this device: of a clip, or of a stream.
 * @typedef {object} Step
 * @property {number} t seconds since the start
 * @property {Emotion|null} label
 * @property {Shares} probabilities
 * @property {Record<string, Shares|null>} alone what each modality says by itself; null where it is absent
 * @property {number[]|null} box the face: left, top, right, bottom as shares of the picture
 * @property {Record<Modality, boolean>} present
 * @property {number} voice_dbfs
 * @property {number|null} [frame_ms] of a stream: when the picture was taken
 */
/**
 * What a model says of itself.
 * @typedef {object} ModelInfo
 * @property {Modality[]} modalities
 * @property {string[]} corpora
 * @property {string} version
 * @property {string} git
 * @property {string} status
 * @property {string} licence
 * @property {string} pairing
 * @property {boolean} drawings
 * @property {boolean} partly_drawn
 * @property {boolean} card whether the server has the model's card
 */
/**
 * What was recognised in a clip.
 * @typedef {object} Prediction
 * @property {Emotion|null} label
 * @property {Shares} probabilities
 * @property {Step[]} steps
 * @property {Modality[]} missing
 * @property {ModelInfo & {step_s: number}} model
 */

/** @type {Emotion[]} */
export const EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"];

/** @param {Emotion} emotion */
export const colour = (emotion) => `var(--${emotion})`;

/** A sign for each, so that none is told apart by colour alone. */
export const SIGNS = { neutral: "–", happy: "☺", sad: "☹", angry: "!", fear: "◇", disgust: "×", surprise: "○" };

/** @param {Shares} shares @returns {Emotion} */
export const likeliest = (shares) => EMOTIONS.reduce((best, one) => (shares[one] > shares[best] ? one : best));
