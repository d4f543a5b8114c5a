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

  /** What lies from `begin` to before `end`, samples since the beginning. @param {number} begin @param {number} end @returns {Float32Array} in -1..1, silence where there is none */
  between(begin, end) {
    const found = new Float32Array(end - begin);
    for (let at = Math.max(begin, this.start); at < Math.min(end, this.end); at += 1) {
      found[at - begin] = this.samples[at - this.start] / 32768;
    }
    return found;
  }

  /** The window that ends at a step. @param {number} step from 0 @returns {Float32Array} in -1..1, silence where there is none */
  window(step) {
    const end = (step + 1) * this.hop;
    return this.between(end - this.width, end);
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

/** The level of a voice and the floor below it, followed tick by tick: Python's docstring tells why. */
class Loudness {
  /** @type {number|null} dB; null until something was heard */
  level = null;
  /** @type {number|null} */
  floor = null;

  /** @param {LevelRules} rules @param {number} tickS */
  constructor(rules, tickS) {
    this.rules = rules;
    this.tickS = tickS;
  }

  /** The next tick: whether it is voice. @param {{softest: number, loudest: number}} levels of its frames, dB */
  push({ softest, loudest }) {
    this.skip(1);
    if (loudest <= DIGITAL_SILENCE) return false;
    this.level = this.level === null ? loudest : Math.max(this.level, loudest);
    this.floor = this.floor === null ? softest : Math.min(this.floor, softest);
    return loudest >= this.level - this.rules.range_db && loudest > this.floor + this.rules.margin_db;
  }

  /** Let so many ticks pass unheard. @param {number} ticks */
  skip(ticks) {
    if (this.level === null || this.floor === null) return;
    this.level -= ticks * this.tickS * this.rules.fall_db_s;
    this.floor += ticks * this.tickS * this.rules.rise_db_s;
  }
}

/** How the voice windows of one clip or stream are heard, step by step. */
export class Hearing {
  /** @param {{step_s: number, level?: LevelRules|null}} input of the model's metadata @param {number} silenceDbfs */
  constructor({ step_s, level = null }, silenceDbfs) {
    this.loudness = level && new Loudness(level, step_s);
    this.silenceDbfs = silenceDbfs;
  }

  /** The next step. @param {Float32Array} window in -1..1 @returns {{heard: Float32Array, active: boolean}} */
  step(window) {
    if (!this.loudness) return { heard: window, active: voiceActivity(window, this.silenceDbfs) };
    const active = this.loudness.push(extremes(window));
    const gain = this.loudness.level === null ? 0 : 10 ** ((HEARD_AT - this.loudness.level) / 20);
    return { heard: window.map((v) => v * gain), active };
  }

  /** Let so many steps pass unheard. @param {number} steps */
  skip(steps) {
    this.loudness?.skip(steps);
  }
}

/** Which frames of 25 ms are voice: the rule of `Hearing`, frame by frame. */
export class FrameActivity {
  /** Samples that must be known before a frame. */
  static BEFORE = LAG * LOW_PASS;

  /** @param {{level?: LevelRules|null}} input of the model's metadata @param {number} silenceDbfs */
  constructor({ level = null }, silenceDbfs) {
    this.loudness = level && new Loudness(level, FRAME_SAMPLES / SAMPLE_RATE);
    this.silenceDbfs = silenceDbfs;
  }

  /** The next frame. @param {Float32Array} samples what lies before it, and it, in -1..1 @returns {{active: boolean, power: number}} */
  step(samples) {
    const frame = samples.subarray(FrameActivity.BEFORE);
    const squares = power(frame);
    if (!this.loudness) return { active: voiceActivity(frame, this.silenceDbfs), power: squares };
    const found = frameLevel(samples, FrameActivity.BEFORE, 0);
    return { active: this.loudness.push({ softest: found, loudest: found }), power: squares };
  }

  /** Let so many frames pass unheard. @param {number} frames */
  skip(frames) {
    this.loudness?.skip(frames);
  }
}

/** Level of the softest frame and of the loudest, dB. @param {Float32Array} window */
function extremes(window) {
  let [softest, loudest] = [Infinity, -Infinity];
  const first = window.length % FRAME_SAMPLES;
  for (let begin = first; begin < window.length; begin += FRAME_SAMPLES) {
    const found = frameLevel(window, begin, first);
    loudest = Math.max(loudest, found);
    if (found > DIGITAL_SILENCE) softest = Math.min(softest, found);
  }
  return { softest: Math.min(softest, loudest), loudest };
}

/** Level of a frame, dB, in the band. @param {Float32Array} samples @param {number} begin of the frame @param {number} first before it nothing is known */
function frameLevel(samples, begin, first) {
  let squares = 0;
  for (let k = begin; k < begin + FRAME_SAMPLES; k += LOW_PASS) {
    const before = k - LAG * LOW_PASS;
    squares += before < first ? 0 : (mean(samples, k) - mean(samples, before)) ** 2;
  }
  return 10 * Math.log10(Math.max((squares * LOW_PASS) / FRAME_SAMPLES, 1e-20));
}

/** Of `LOW_PASS` samples. @param {Float32Array} window @param {number} at */
function mean(window, at) {
  let sum = 0;
  for (let k = at; k < at + LOW_PASS; k += 1) sum += window[k];
  return sum / LOW_PASS;
}

/** Whether a window counts as voice: its level decides. @param {Float32Array} window in -1..1 @param {number} silenceDbfs */
export const voiceActivity = (window, silenceDbfs) => power(window) >= 10 ** (silenceDbfs / 10);

/** Level, dB of full scale. @param {Float32Array} samples in -1..1 */
export const level = (samples) => decibels(power(samples));

/** @param {number} power mean square */
export const decibels = (power) => 10 * Math.log10(Math.max(power, QUIETEST));

/** Mean square. @param {Float32Array} samples */
function power(samples) {
  let sum = 0;
  for (const v of samples) sum += v * v;
  return sum / samples.length;
}
