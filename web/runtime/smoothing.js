// mmer/runtime/smoothing.py: a label that can be read, no surer than what was seen and heard so far allows; it stays until
// another one is clearly ahead.
import { EMOTIONS, FORGET_S, LEAD, LEAST, LISTEN_S, PRIOR_STEPS, TAU_S } from "./constants.js";
import { argmax, softmax } from "./results.js";

/** @typedef {import("./results.js").Emotion} Emotion */
/** @typedef {{seconds: number[], face: number[], voice: number[], both: number[]}} Shown */

export class Smoother {
  mean = EMOTIONS.map(() => 0);
  /** @type {number|null} */
  label = null;
  steps = 0;
  heardS = 0;
  seen = false;

  /** @param {number} stepS @param {Shown|null} shown how sure what is shown may be; null: as sure as the network is */
  constructor(stepS, shown) {
    this.stepS = stepS;
    this.shown = shown;
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
      const logits = centred(probabilities);
      const weight = Math.max(this.weight, 1 / (this.steps + PRIOR_STEPS));
      this.mean = this.mean.map((v, k) => v + weight * (logits[k] - v));
      this.steps += 1;
      this.without = 0;
      this.seen ||= seen;
      this.heardS += heard ? this.stepS : 0;
    } else this.without += this.stepS;
    if (this.without > FORGET_S) this.#begin();
    const divisor = temperature(this.shown, this.steps * this.stepS, this.seen, this.heardS > 0);
    const smoothed = softmax(this.mean.map((v) => v / divisor));
    if (!this.steps || (!this.seen && this.heardS < LISTEN_S - 1e-6)) return { probabilities: smoothed, label: null };
    const best = argmax(smoothed);
    if (this.label === null || smoothed[best] > smoothed[this.label] + LEAD) this.label = best;
    return { probabilities: smoothed, label: EMOTIONS[this.label] };
  }
}

/** Logits whose mean is 0. @param {number[]} probabilities */
export function centred(probabilities) {
  const logits = probabilities.map((v) => Math.log(Math.max(v, LEAST)));
  const centre = logits.reduce((sum, v) => sum + v, 0) / logits.length;
  return logits.map((v) => v - centre);
}

/**
 * What the mean of so many seconds' logits is divided by, so that it is no surer than it is right.
 * @param {Shown|null} shown @param {number} seconds @param {boolean} seen @param {boolean} heard
 */
export function temperature(shown, seconds, seen, heard) {
  if (!shown) return 1;
  return interpolate(seconds, shown.seconds, shown[seen && heard ? "both" : heard ? "voice" : "face"]);
}

/** One `Smoother` for each person of a clip or stream. */
export class Smoothers {
  /** @param {number} stepS @param {Shown|null} shown */
  constructor(stepS, shown) {
    this.begin = () => new Smoother(stepS, shown);
    /** @type {Map<number|null, Smoother>} */
    this.of = new Map([[null, this.begin()]]);
  }

  /**
   * The next step. Who is seen first takes on what was heard before anybody was.
   * @param {Map<number|null, number[]>} said probabilities of who is followed and of all who are seen
   * @param {number|null} followed @param {{seen: boolean, heard: boolean}} rests on what the step of the followed rests
   * @returns {(id: number|null) => {probabilities: number[], label: Emotion|null}} of those
   */
  push(said, followed, { seen, heard }) {
    const before = this.of.get(null);
    if (before && followed !== null) {
      this.of.delete(null);
      this.of.set(followed, before);
    }
    for (const id of said.keys()) if (!this.of.has(id)) this.of.set(id, this.begin());
    const shown = new Map([...this.of].map(([id, smoother]) => {
      const follows = id === followed;
      const rests = { seen: follows ? seen : said.has(id), heard: follows && heard };
      return [id, smoother.push(said.get(id) ?? EMOTIONS.map(() => 0), rests)];
    }));
    for (const [id, smoother] of this.of) if (!said.has(id) && !smoother.steps) this.of.delete(id);
    return (id) => /** @type {{probabilities: number[], label: null}} */ (shown.get(id));
  }
}

/** Between the places, which rise; before the first and after the last as there. @param {number} x @param {number[]} places @param {number[]} values */
function interpolate(x, places, values) {
  const after = places.findIndex((place) => place >= x);
  if (after <= 0) return values[after < 0 ? values.length - 1 : 0];
  const share = (x - places[after - 1]) / (places[after] - places[after - 1]);
  return values[after - 1] + share * (values[after] - values[after - 1]);
}
