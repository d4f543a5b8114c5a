// The voice on the grid of steps, as mmer/recognizer.py keeps it; of a stream only what later windows can still reach.

export const RATE = 16000;
const JITTER_S = 0.05; // voice that arrives with a time stamp off by less simply continues what came before

export class Voice {
  /** @param {{step_s: number, voice_window_s: number}} input of the model's metadata */
  constructor({ step_s, voice_window_s }) {
    this.hop = Math.round(step_s * RATE);
    this.width = Math.round(voice_window_s * RATE);
    this.context = Math.ceil(voice_window_s / step_s); // steps that a window reaches back, at most
    this.start = 0; // of the line, samples since the beginning
    this.line = new Int16Array(0);
  }

  get end() {
    return this.start + this.line.length;
  }

  /** Lay voice down. @param {Int16Array} pcm @param {number} t seconds, of its first sample */
  put(pcm, t) {
    let at = Math.round(t * RATE);
    if (Math.abs(at - this.end) < JITTER_S * RATE) at = this.end;
    pcm = pcm.subarray(Math.max(0, this.start - at));
    at = Math.max(at, this.start);
    if (at + pcm.length > this.end) {
      const longer = new Int16Array(at + pcm.length - this.start);
      longer.set(this.line);
      this.line = longer;
    }
    this.line.set(pcm, at - this.start);
  }

  /** The window that ends at a step. @param {number} step from 0 @returns {Float32Array} in -1..1, silence where there is none */
  window(step) {
    const first = (step + 1) * this.hop - this.width - this.start;
    return Float32Array.from({ length: this.width }, (_, k) => (this.line[first + k] ?? 0) / 32768);
  }

  /** Drop what the windows of `step` and later cannot reach. @param {number} step */
  forget(step) {
    const begin = Math.max(0, (step - this.context) * this.hop);
    if (begin <= this.start) return;
    this.line = this.line.slice(begin - this.start);
    this.start = begin;
  }
}

/** Mean square of samples in -1..1. @param {Float32Array} samples */
export const power = (samples) => samples.reduce((sum, v) => sum + v * v, 0) / samples.length;
