// An AudioWorklet: whatever rate the browser hears at, 16 kHz mono int16 comes out, 100 ms at a time.
import { SAMPLE_RATE } from "./runtime/constants.js";

const PIECE = SAMPLE_RATE / 10;
const TAPS = 32;
const PHASES = 64;

/** A windowed sinc that passes what 16 kHz can hold, at fractions of a sample. @param {number} ratio */
function filters(ratio) {
  const cut = Math.min(1, 1 / ratio) * 0.92;
  return Array.from({ length: PHASES }, (_, phase) => {
    const taps = Float32Array.from({ length: TAPS }, (_, k) => {
      const at = k - TAPS / 2 + 1 - phase / PHASES;
      const sinc = at === 0 ? cut : Math.sin(Math.PI * cut * at) / (Math.PI * at);
      return sinc * (0.5 + 0.5 * Math.cos((2 * Math.PI * at) / TAPS));
    });
    const sum = taps.reduce((a, b) => a + b);
    return taps.map((tap) => tap / sum);
  });
}

class Resampler extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ratio = sampleRate / SAMPLE_RATE;
    this.filters = filters(this.ratio);
    this.heard = new Float32Array(0);
    this.at = 0; // of the next sample out, in samples heard
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.over = false;
    this.port.onmessage = () => (this.over = true);
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    if (!input.length) return !this.over;
    const mono = Float32Array.from(input[0], (_, k) => input.reduce((sum, channel) => sum + channel[k], 0) / input.length);
    const heard = new Float32Array(this.heard.length + mono.length);
    heard.set(this.heard);
    heard.set(mono, this.heard.length);
    while (Math.floor(this.at) + TAPS < heard.length) {
      const whole = Math.floor(this.at);
      const taps = this.filters[Math.floor((this.at - whole) * PHASES)];
      let sample = 0;
      for (let k = 0; k < TAPS; k += 1) sample += taps[k] * heard[whole + k];
      this.piece[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
      this.filled += 1;
      this.at += this.ratio;
      if (this.filled === PIECE) {
        this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
        this.piece = new Int16Array(PIECE);
        this.filled = 0;
      }
    }
    const done = Math.floor(this.at);
    this.heard = heard.slice(done);
    this.at -= done;
    return true;
  }
}

registerProcessor("resampler", Resampler);
