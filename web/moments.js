// Steps as they are shown: one set of smoothed values, for the label, the bars, the chart and the table.
import { DIMENSIONS, EMOTIONS, FORGET_S, TAU_S } from "./runtime/constants.js";
import { Smoother, Smoothers } from "./runtime/smoothing.js";

/** @typedef {import("./runtime/results.js").Step} Step */
/** @typedef {import("./runtime/results.js").Probabilities} Probabilities */
/** @typedef {import("./runtime/results.js").Person} Person */
/**
 * A step, as it is shown: `label` is the longest bar, `alone` is smoothed; who is seen, and whom the rest speaks of.
 * @typedef {Step & {said: import("./emotions.js").Said, people: Person[], followed: number|null, more_people: number, affect: import("./runtime/results.js").Affect}} Moment
 */

export class Moments {
  /**
   * @param {import("./runtime/pipeline.js").ModelInfo} info
   * @param {boolean} smooth whether the steps come as the network gives them; a stream's are smooth already
   */
  constructor(info, smooth) {
    this.stepS = info.input.step_s;
    this.info = info;
    /** null: the steps are smooth already. */
    this.people = smooth ? new Smoothers(this.stepS, info.shown) : null;
    /** @type {Map<string, Smoother>} by modality and person */
    this.alone = new Map();
    /** By dimension and person: what is shown, and since when nothing was said, seconds. @type {Map<string, {value: number|null, without: number}>} */
    this.felt = new Map();
    /** Since a voice was heard, seconds. */
    this.unheard = Infinity;
  }

  /** Steps come in order. @param {Step & Partial<Moment>} step @returns {Moment} */
  next(step) {
    const { followed = null, more_people = 0 } = step;
    let people = step.people ?? [];
    const { face, scene, voice } = step.present;
    let { label, probabilities } = step;
    if (this.people) {
      const given = new Map([...people.map((one) => /** @type {const} */ ([one.id, listed(one.probabilities)])), [followed, listed(probabilities)]]);
      const shown = this.people.push(given, followed, { seen: face || scene, heard: voice });
      people = people.map((one) => ({ ...one, label: shown(one.id).label, probabilities: named(shown(one.id).probabilities) }));
      label = shown(followed).label;
      probabilities = named(shown(followed).probabilities);
    }
    people = people.map((one) => (one.label ? { ...one, probabilities: evened(one.probabilities, one.label) } : one));
    if (label) probabilities = evened(probabilities, label);
    this.unheard = voice ? 0 : this.unheard + this.stepS;
    const alone = Object.fromEntries(Object.entries(step.alone).map(([name, said]) => [name, this.#alone(`${name} ${followed}`, said)]));
    const said = label ?? (this.unheard <= FORGET_S ? "listening" : "nothing");
    const affect = Object.fromEntries(DIMENSIONS.filter((name) => name in step).map((name) => [name, this.#felt(`${name} ${followed}`, step[name] ?? null)]));
    return { ...step, label, probabilities, alone, said, people, followed, more_people, affect };
  }

  /** Smoothed; what was said stands for a while. @param {string} name @param {number|null} said @returns {number|null} */
  #felt(name, said) {
    const before = this.felt.get(name) ?? { value: null, without: 0 };
    const without = said === null ? before.without + this.stepS : 0;
    const value = said === null ? before.value : (before.value ?? said) + (1 - Math.exp(-this.stepS / TAU_S)) * (said - (before.value ?? said));
    const shown = without > FORGET_S ? null : value;
    this.felt.set(name, { value: shown, without });
    return shown;
  }

  /** @param {string} name of the smoother @param {Probabilities|null} said @returns {Probabilities|null} */
  #alone(name, said) {
    const smoother = this.alone.get(name) ?? new Smoother(this.stepS, null);
    this.alone.set(name, smoother);
    const { probabilities, label } = smoother.push(EMOTIONS.map((e) => said?.[e] ?? 0), { seen: Boolean(said), heard: false });
    return label && named(probabilities);
  }
}

/** The label stays until another emotion is clearly ahead: until then those ahead of it and it are as likely. @param {Probabilities} probabilities @param {import("./runtime/results.js").Emotion} label @returns {Probabilities} */
function evened(probabilities, label) {
  const ahead = EMOTIONS.filter((emotion) => probabilities[emotion] >= probabilities[label]);
  const even = ahead.reduce((sum, emotion) => sum + probabilities[emotion], 0) / ahead.length;
  return /** @type {Probabilities} */ ({ ...probabilities, ...Object.fromEntries(ahead.map((emotion) => [emotion, even])) });
}

/** @param {Probabilities} probabilities @returns {number[]} */
const listed = (probabilities) => EMOTIONS.map((e) => probabilities[e]);

/** @param {number[]} probabilities @returns {Probabilities} */
const named = (probabilities) => /** @type {Probabilities} */ (Object.fromEntries(EMOTIONS.map((e, k) => [e, probabilities[k]])));
