// A clip, step by step, and then as a whole: what `Recognizer.predict` (mmer/recognizer.py) does.
import { EMOTIONS } from "../emotions.js";
import { MODALITIES, Walk, best, named, round, softmax } from "./walk.js";

/** @typedef {import("./walk.js").Look} Look */
/** @typedef {import("./walk.js").Raw} Raw */

export class Whole {
  /** @param {import("./walk.js").Model} model */
  constructor(model) {
    this.model = model;
    this.walk = new Walk(model);
    /** @type {Map<number, Look>} */
    this.looks = new Map();
  }

  /** @param {number} step that sees the picture @param {import("./means.js").Picture} picture @param {number} at seconds */
  async look(step, picture, at) {
    this.looks.set(step, await this.walk.look(picture, at));
  }

  /** Once all pictures were looked at. @param {number} count of steps @param {Int16Array} voice */
  async recognise(count, voice) {
    this.walk.voice.put(voice, 0);
    /** @type {Raw[]} */
    const steps = [];
    for (let k = 0; k < count; k += 1) steps.push(await this.walk.step(this.looks.get(k) ?? null));
    const evidence = steps.filter((step) => step.evidence);
    const counted = evidence.length ? evidence : steps;
    const mean = EMOTIONS.map((_, k) => counted.reduce((sum, step) => sum + step.logits[k], 0) / counted.length);
    const probabilities = softmax(mean);
    const { input, ...about } = this.model.info;
    return {
      label: evidence.length ? best(probabilities) : null,
      probabilities: named(probabilities),
      missing: MODALITIES.filter((name) => !steps.some((step) => step.present[name])),
      steps: steps.map((step) => ({
        ...told(step),
        label: step.evidence ? best(step.probabilities) : null,
        probabilities: named(step.probabilities),
      })),
      model: { ...about, step_s: input.step_s },
    };
  }
}

/** What clip and stream tell alike of a step. @param {Raw} step */
export function told(step) {
  return {
    t: round(step.t, 3),
    alone: step.alone,
    box: step.box && step.box.map((v) => round(v, 4)),
    present: step.present,
    voice_dbfs: round(step.voice_dbfs, 1),
    ms: round(step.ms, 2),
  };
}
