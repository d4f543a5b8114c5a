// mmer/runtime/smoothing.py: a label that can be read, no surer than what was seen and heard so far allows; it stays until
// another one is clearly ahead.
import { EMOTIONS, FORGET_S, LEAD, LEAST, LISTEN_S, PRIOR_STEPS, TAU_S } from "./constants.js";
import { argmax, softmax } from "./results.js";

/** @typedef {import("./results.js").Emotion} Emotion */

export class Smoother {
  mean = EMOTIONS.map(() => 0);
  /** @type {number|null} */
  label = null;
  steps = 0;
  heardS = 0;
  seen = false;

  /** @param {number} stepS */
  constructor(stepS) {
    this.stepS = stepS;
    this.weight = 1 - Math.exp(-stepS / TAU_S);
    this.without = 0;
  }

  #begin() {
    this.mean = EMOTIONS.map(() => 0);
    this.label = null;
    this.steps = this.heardS = 0;
    this.seen = false;
  }

  /**
   * @param {number[]} probabilities of the next step
   * @param {{seen: boolean, heard: boolean}} on what it rests; on nothing, and what was said before stands for a while
   * @returns {{probabilities: number[], label: Emotion|null}}
   */
  push(probabilities, { seen, heard }) {
    if (seen || heard) {
      const logits = probabilities.map((v) => Math.log(Math.max(v, LEAST)));
      const centre = logits.reduce((sum, v) => sum + v, 0) / logits.length;
      const weight = Math.max(this.weight, 1 / (this.steps + PRIOR_STEPS));
      this.mean = this.mean.map((v, k) => v + weight * (logits[k] - centre - v));
      this.steps += 1;
      this.without = 0;
      this.seen ||= seen;
      this.heardS += heard ? this.stepS : 0;
    } else this.without += this.stepS;
    if (this.without > FORGET_S) this.#begin();
    const smoothed = softmax(this.mean);
    if (!this.steps || (!this.seen && this.heardS < LISTEN_S - 1e-6)) return { probabilities: smoothed, label: null };
    const best = argmax(smoothed);
    if (this.label === null || smoothed[best] > smoothed[this.label] + LEAD) this.label = best;
    return { probabilities: smoothed, label: EMOTIONS[this.label] };
  }
}
