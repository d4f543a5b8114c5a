// mmer/runtime/calibration.py: what a model says of a person at rest is taken off what it says of the same person later.
import { EMOTIONS, HALF_S, LEAST, LEAST_REST_S, MOST_OFF, MOST_REST_S } from "./constants.js";
import { likeliest, round, softmax } from "./results.js";
import { centred } from "./smoothing.js";
import { commonest } from "./utterances.js";

/** @typedef {import("./results.js").RawStep} RawStep */
/** What a modality says of a person at rest: its mean log-probabilities, less their mean. @typedef {{seconds: number, logits: import("./results.js").Probabilities}} Rest */
/** Of one person, by one model: what a client keeps and may send again. @typedef {{type: "calibration", model: string, rest: Record<string, Rest>}} Calibration */

/** Somebody cannot be calibrated so. Nothing has changed. */
export class CalibrationError extends Error {}

/** From some seconds at rest, and whom it is of. @param {RawStep[]} steps @param {number} stepS @param {string} model @returns {{calibration: Calibration, whose: number|null}} */
export function calibrationOf(steps, stepS, model) {
  const whose = commonest(steps.map(({ followed }) => followed));
  const own = steps.filter(({ followed }) => followed === whose);
  /** @type {Record<string, Rest>} */
  const rest = {};
  for (const name of Object.keys(own[0].unimodal)) {
    const said = own.flatMap(({ unimodal }) => (unimodal[name] ? [centred(unimodal[name])] : []));
    if (said.length * stepS <= LEAST_REST_S - 1e-6) continue;
    const mean = EMOTIONS.map((emotion, k) => [emotion, round(said.reduce((sum, one) => sum + one[k], 0) / said.length, 4)]);
    rest[name] = { seconds: Math.min(round(said.length * stepS, 3), MOST_REST_S), logits: Object.fromEntries(mean) };
  }
  if (!Object.keys(rest).length) {
    const seconds = round(steps.length * stepS, 3);
    throw new CalibrationError(`in ${seconds} s neither a face nor a voice was there for ${LEAST_REST_S} s`);
  }
  return { calibration: { type: "calibration", model, rest }, whose };
}

/** What is taken off the log-probabilities of a modality. @param {Rest} rest @returns {number[]} */
const off = ({ seconds, logits }) => EMOTIONS.map((emotion) => ((MOST_OFF * seconds) / (seconds + HALF_S)) * logits[emotion]);

/** The calibration of one clip or stream: of the person who is followed when it is first used. */
export class Calibrator {
  /** @type {Map<string, number[]>} */
  off = new Map();
  /** @type {number|null} */
  whose = null;
  left = 0; // steps that are still to be measured
  /** @type {RawStep[]} */
  steps = [];
  /** @type {Calibration|CalibrationError|null} */
  result = null;

  /** @param {string} model @param {number} stepS */
  constructor(model, stepS) {
    this.model = model;
    this.stepS = stepS;
  }

  /** From the next step on; null: none. @param {Calibration|null} calibration */
  use(calibration) {
    if (calibration && calibration.model !== this.model) {
      throw new CalibrationError(`it is of another model, ${calibration.model}; this one is ${this.model}`);
    }
    this.off = new Map(Object.entries(calibration?.rest ?? {}).map(([name, rest]) => [name, off(rest)]));
    this.whose = null;
    this.left = 0;
    this.steps = [];
  }

  /** Look at the next seconds. @param {number} seconds */
  measure(seconds) {
    this.left = Math.max(1, Math.round(seconds / this.stepS));
    this.steps = [];
  }

  /** What was measured, once; null while there is nothing to be told. @returns {Calibration|CalibrationError|null} */
  found() {
    const { result } = this;
    this.result = null;
    return result;
  }

  /** Let so many steps pass. @param {number} steps */
  skip(steps) {
    this.left -= Math.min(steps, Math.max(0, this.left - 1));
  }

  /** The next step, as the network gives it; as it is answered. @param {RawStep} step @returns {RawStep} */
  push(step) {
    const answered = this.#answer(step);
    if (this.left) this.#measure(step);
    return answered;
  }

  /** @param {RawStep} step @returns {RawStep} */
  #answer(step) {
    if (!this.off.size || (this.whose !== null && this.whose !== step.followed)) return step;
    this.whose = step.followed;
    const here = Object.keys(step.unimodal).filter((name) => step.unimodal[name]);
    const logits = step.logits.map((v, k) => here.reduce((sum, name) => sum - (this.off.get(name)?.[k] ?? 0) / here.length, v));
    const probabilities = softmax(logits);
    const label = here.length ? likeliest(probabilities) : null;
    const unimodal = Object.fromEntries(Object.entries(step.unimodal).map(([name, said]) =>
      [name, said && softmax(said.map((v, k) => Math.log(Math.max(v, LEAST)) - (this.off.get(name)?.[k] ?? 0)))]));
    const people = step.people.map((one) => (one.id === step.followed ? { ...one, probabilities, label } : one));
    return { ...step, logits, probabilities, unimodal, people, calibrated: true };
  }

  /** @param {RawStep} step */
  #measure(step) {
    this.steps.push(step);
    this.left -= 1;
    if (this.left) return;
    try {
      const { calibration, whose } = calibrationOf(this.steps, this.stepS, this.model);
      this.use(calibration);
      this.whose = whose;
      this.result = calibration;
    } catch (error) {
      if (!(error instanceof CalibrationError)) throw error;
      this.result = error;
    }
  }
}
