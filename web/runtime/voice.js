// mmer/runtime/voice.py: the voice on the time grid, its windows, and which of them count as voice.
import { JITTER_S, SAMPLE_RATE } from "./constants.js";

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

/** Whether a window counts as voice: its level decides. @param {Float32Array} window in -1..1 @param {number} silenceDbfs */
export const voiceActivity = (window, silenceDbfs) => power(window) >= 10 ** (silenceDbfs / 10);

/** Level, dB of full scale. @param {Float32Array} samples in -1..1 */
export const level = (samples) => 10 * Math.log10(Math.max(power(samples), QUIETEST));

/** Mean square. @param {Float32Array} samples */
const power = (samples) => samples.reduce((sum, v) => sum + v * v, 0) / samples.length;
