// mmer/runtime/smoothing.py: a label that can be read, smoothed over time; it stays until another one is clearly ahead.
import { EMOTIONS, FORGET_S, LEAD, TAU_S } from "./constants.js";
import { argmax } from "./results.js";

/** @typedef {import("./results.js").Emotion} Emotion */

export class Smoother {
  /** @param {number} stepS */
  constructor(stepS) {
    this.stepS = stepS;
    this.weight = 1 - Math.exp(-stepS / TAU_S);
    /** @type {number[]|null} */
    this.mean = null;
    /** @type {number|null} */
    this.label = null;
    this.without = 0;
  }

  /**
   * @param {number[]} probabilities of the next step
   * @param {boolean} evidence whether it rests on anything; if not, what was said before stands for a while
   * @returns {{probabilities: number[], label: Emotion|null}}
   */
  push(probabilities, evidence) {
    if (evidence) {
      const before = this.mean ?? probabilities;
      this.mean = before.map((v, k) => v + this.weight * (probabilities[k] - v));
      this.without = 0;
    } else this.without += this.stepS;
    if (!this.mean || this.without > FORGET_S) {
      this.mean = this.label = null;
      return { probabilities: EMOTIONS.map(() => 1 / EMOTIONS.length), label: null };
    }
    const best = argmax(this.mean);
    if (this.label === null || this.mean[best] > this.mean[this.label] + LEAD) this.label = best;
    return { probabilities: this.mean, label: EMOTIONS[this.label] };
  }
}
