// mmer/runtime/utterances.py: when somebody begins to speak and stops, and what was recognised meanwhile.
import { EMOTIONS, FRAME_SAMPLES, LONGEST_S, PAUSE_S, PRIOR_STEPS, SAMPLE_RATE, VOICED_S } from "./constants.js";
import { byEmotion, likeliest, meanAffect, round, rounded, softmax } from "./results.js";
import { centred, temperature } from "./smoothing.js";
import { FrameActivity, decibels } from "./voice.js";

/** @typedef {import("./results.js").RawStep} RawStep */
/** @typedef {import("./results.js").Spoken} Spoken */
/** @typedef {import("./results.js").Utterance} Utterance */

/** The utterances of one clip or stream, using nothing of the future. */
export class Utterances {
  /** @type {number|null} frame of the voice that is going on */
  first = null;
  end = 0; // the frame after its last one with voice
  voiced = 0; // its frames with voice
  /** @type {number[]} of its frames */
  power = [];

  /**
   * @param {{step_s: number, level?: import("./voice.js").LevelRules|null}} input of the model's metadata
   * @param {number} silenceDbfs
   * @param {import("./smoothing.js").Shown|null} shown
   */
  constructor(input, silenceDbfs, shown) {
    this.stepS = input.step_s;
    this.shown = shown;
    this.activity = new FrameActivity(input, silenceDbfs);
    this.frame = 0; // the next one
    /** @type {RawStep[]} of this utterance; before one, the last */
    this.steps = [];
  }

  /**
   * Take in the frames that end `until` that many samples since the beginning.
   * @param {import("./voice.js").VoiceBuffer} voice @param {number} until @returns {Spoken[]} what began and ended in them
   */
  listen(voice, until) {
    /** @type {Spoken[]} */
    const told = [];
    while ((this.frame + 1) * FRAME_SAMPLES <= until) {
      const begin = this.frame * FRAME_SAMPLES;
      const samples = voice.between(begin - FrameActivity.BEFORE, begin + FRAME_SAMPLES);
      if (begin === 0) samples.fill(samples[FrameActivity.BEFORE], 0, FrameActivity.BEFORE);
      told.push(...this.#hear(this.activity.step(samples)));
    }
    return told;
  }

  /** A step, once the frames that end before it were listened to. @param {RawStep} step */
  push(step) {
    if (this.first === null) this.steps = [];
    this.steps.push(step);
  }

  /** Go on so many samples since the beginning, as if nothing were heard up to there. @param {number} samples @returns {Spoken[]} */
  skip(samples) {
    const told = this.finish();
    const frame = Math.max(this.frame, Math.floor(samples / FRAME_SAMPLES));
    this.activity.skip(frame - this.frame);
    this.frame = frame;
    this.steps = [];
    return told;
  }

  /** End what goes on: nothing more comes. @returns {Spoken[]} */
  finish() {
    const { first, end, begun, power } = this;
    this.first = null;
    this.end = this.voiced = 0;
    this.power = [];
    if (first === null || !begun) return [];
    const [startS, endS] = [seconds(first), seconds(end)];
    const steps = this.steps.filter(({ t }) => startS < t && t < endS + this.stepS - 1e-6);
    const mean = power.slice(0, end - first).reduce((sum, v) => sum + v, 0) / (end - first);
    return [{ type: "utterance", ...summarise(steps, startS, endS, mean, this.stepS, this.shown) }];
  }

  get begun() {
    return this.voiced * FRAME_SAMPLES >= VOICED_S * SAMPLE_RATE;
  }

  /** The next frame. @param {{active: boolean, power: number}} frame @returns {Spoken[]} */
  #hear({ active, power }) {
    const { begun } = this;
    this.frame += 1;
    if (active) {
      this.first ??= this.frame - 1;
      this.end = this.frame;
      this.voiced += 1;
    }
    if (this.first === null) return [];
    this.power.push(power);
    const over = seconds(this.frame - this.end) >= PAUSE_S || seconds(this.frame - this.first) >= LONGEST_S;
    if (over) return this.finish();
    return this.begun && !begun ? [{ type: "utterance_start", start: round(seconds(this.first), 3) }] : [];
  }
}

/**
 * What steps say together: the mean of their logits, over those with evidence, no surer than as much evidence has proved
 * to be right; and so of each modality by itself.
 * @param {RawStep[]} steps
 * @param {number} start seconds @param {number} end seconds
 * @param {number} power of the sound between them
 * @param {number} stepS @param {import("./smoothing.js").Shown|null} shown
 * @returns {Utterance}
 */
export function summarise(steps, start, end, power, stepS, shown) {
  const told = steps.filter((step) => step.evidence);
  const [seen, heard] = [told.some(({ present }) => present.face || present.scene), told.some(({ present }) => present.voice)];
  const divisor = (told.length + PRIOR_STEPS - 1) * temperature(shown, told.length * stepS, seen, heard);
  const sure = softmax(sum(told.map((step) => step.probabilities)).map((v) => v / divisor));
  const alone = Object.keys(steps[0]?.unimodal ?? {}).map((name) => {
    const said = steps.map((step) => step.unimodal[name]).filter((one) => one !== null);
    return [name, said.length ? byEmotion(softmax(sum(said).map((v) => v / said.length))) : null];
  });
  const share = (/** @type {"face"|"voice"} */ name) => steps.filter((step) => step.present[name]).length / Math.max(1, steps.length);
  return {
    start: round(start, 3),
    end: round(end, 3),
    label: told.length ? likeliest(sure) : null,
    confidence: told.length ? round(Math.max(...sure), 5) : 0,
    probabilities: byEmotion(sure),
    alone: Object.fromEntries(alone),
    seen: round(share("face"), 3),
    heard: round(share("voice"), 3),
    voice_dbfs: round(decibels(power), 1),
    calibrated: told.length > 0 && told.every((step) => step.calibrated),
    followed: commonest(steps.map((step) => step.followed)),
    ...rounded(meanAffect(steps)),
  };
}

/** @template T @param {T[]} values @returns {T|null} the first of those that are there most often */
export function commonest(values) {
  const count = (/** @type {T} */ value) => values.filter((one) => one === value).length;
  return values.length ? values.reduce((best, value) => (count(value) > count(best) ? value : best)) : null;
}

/** Their logits, each with the mean 0, added. @param {number[][]} probabilities of several steps */
function sum(probabilities) {
  const total = EMOTIONS.map(() => 0);
  for (const said of probabilities) centred(said).forEach((v, k) => (total[k] += v));
  return total;
}

/** @param {number} frames */
const seconds = (frames) => (frames * FRAME_SAMPLES) / SAMPLE_RATE;
