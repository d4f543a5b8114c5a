// mmer/runtime/voice.py: the voice on the time grid, its windows, and which of them count as voice.
import { DIGITAL_SILENCE, FRAME_SAMPLES, HEARD_AT, JITTER_S, LAG, LOW_PASS, SAMPLE_RATE } from "./constants.js";

const QUIETEST = 1e-10; // power: what is less is told as -100 dB

/** Of a stream, only what later windows can still reach is kept. */
export class VoiceBuffer {
  /** @param {{step_s: number, voice_window_s: number}} input of the model's metadata */
  constructor({ step_s, voice_window_s }) {
    this.hop = Math.round(step_s * SAMPLE_RATE);
    this.width = Math.round(voice_window_s * SAMPLE_RATE);
    this.context = Math.ceil(voice_window_s / step_s); // steps that a window reaches back, at most
    this.start = 0; // of what is kept, samples since the beginning
    this.samples = new Int16Array(0);
  }

  get end() {
    return this.start + this.samples.length;
  }

  /** Lay voice down. @param {Int16Array} pcm @param {number} t seconds, of its first sample */
  put(pcm, t) {
    let at = Math.round(t * SAMPLE_RATE);
    if (Math.abs(at - this.end) < JITTER_S * SAMPLE_RATE) at = this.end;
    pcm = pcm.subarray(Math.max(0, this.start - at));
    at = Math.max(at, this.start);
    if (at + pcm.length > this.end) {
      const longer = new Int16Array(at + pcm.length - this.start);
      longer.set(this.samples);
      this.samples = longer;
    }
    this.samples.set(pcm, at - this.start);
  }

  /** The window that ends at a step. @param {number} step from 0 @returns {Float32Array} in -1..1, silence where there is none */
  window(step) {
    const first = (step + 1) * this.hop - this.width - this.start;
    return Float32Array.from({ length: this.width }, (_, k) => (this.samples[first + k] ?? 0) / 32768);
  }

  /** Drop what the windows of `step` and later cannot reach. @param {number} step */
  forget(step) {
    const begin = Math.max(0, (step - this.context) * this.hop);
    if (begin <= this.start) return;
    this.samples = this.samples.slice(begin - this.start);
    this.start = begin;
  }
}

/**
 * @typedef {object} LevelRules of the model's metadata (mmer/runtime/config.py, `Level`)
 * @property {number} fall_db_s
 * @property {number} rise_db_s
 * @property {number} range_db
 * @property {number} margin_db
 */

/** How the voice windows of one clip or stream are heard, step by step: Python's docstring tells why. */
export class Hearing {
  /** @param {{step_s: number, level?: LevelRules|null}} input of the model's metadata @param {number} silenceDbfs */
  constructor({ step_s, level = null }, silenceDbfs) {
    this.rules = level;
    this.stepS = step_s;
    this.silenceDbfs = silenceDbfs;
    /** @type {number|null} */
    this.level = null;
    /** @type {number|null} */
    this.floor = null;
  }

  /** The next step. @param {Float32Array} window in -1..1 @returns {{heard: Float32Array, active: boolean}} */
  step(window) {
    if (!this.rules) return { heard: window, active: voiceActivity(window, this.silenceDbfs) };
    const { softest, loudest } = extremes(window);
    this.skip(1);
    let active = false;
    if (loudest > DIGITAL_SILENCE) {
      this.level = this.level === null ? loudest : Math.max(this.level, loudest);
      this.floor = this.floor === null ? softest : Math.min(this.floor, softest);
      active = loudest >= this.level - this.rules.range_db && loudest > this.floor + this.rules.margin_db;
    }
    const gain = this.level === null ? 0 : 10 ** ((HEARD_AT - this.level) / 20);
    return { heard: window.map((v) => v * gain), active };
  }

  /** Let so many steps pass unheard. @param {number} steps */
  skip(steps) {
    if (!this.rules || this.level === null || this.floor === null) return;
    this.level -= steps * this.stepS * this.rules.fall_db_s;
    this.floor += steps * this.stepS * this.rules.rise_db_s;
  }
}

/** Level of the softest frame and of the loudest, dB. @param {Float32Array} window */
function extremes(window) {
  let [softest, loudest] = [Infinity, -Infinity];
  const first = window.length % FRAME_SAMPLES;
  for (let begin = first; begin < window.length; begin += FRAME_SAMPLES) {
    let squares = 0;
    for (let k = begin; k < begin + FRAME_SAMPLES; k += LOW_PASS) {
      const before = k - LAG * LOW_PASS;
      squares += before < first ? 0 : (mean(window, k) - mean(window, before)) ** 2;
    }
    const found = 10 * Math.log10(Math.max((squares * LOW_PASS) / FRAME_SAMPLES, 1e-20));
    loudest = Math.max(loudest, found);
    if (found > DIGITAL_SILENCE) softest = Math.min(softest, found);
  }
  return { softest: Math.min(softest, loudest), loudest };
}

/** Of `LOW_PASS` samples. @param {Float32Array} window @param {number} at */
const mean = (window, at) => window.subarray(at, at + LOW_PASS).reduce((sum, v) => sum + v, 0) / LOW_PASS;

/** Whether a window counts as voice: its level decides. @param {Float32Array} window in -1..1 @param {number} silenceDbfs */
export const voiceActivity = (window, silenceDbfs) => power(window) >= 10 ** (silenceDbfs / 10);

/** Level, dB of full scale. @param {Float32Array} samples in -1..1 */
export const level = (samples) => 10 * Math.log10(Math.max(power(samples), QUIETEST));

/** Mean square. @param {Float32Array} samples */
const power = (samples) => samples.reduce((sum, v) => sum + v * v, 0) / samples.length;
