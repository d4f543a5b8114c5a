// A microphone's voice, 100 ms at a time, as the service wants it; and why nothing is heard, where nothing is.

const PIECE_MS = 100;
const DRIFT_MS = 150;
const LOOK_MS = 1000;
const QUIET_MS = 3000; // without a piece, after which it is said
const USUAL_RATES = [48_000, 44_100, 16_000, 8000, 32_000, 24_000]; // of sound cards, and of headsets that telephone
/** Why nothing is heard, by the context's state. @type {Record<string, string>} */
const HELD = {
  suspended: "This browser has not started its sound: tap the page. Some browsers need a sound output for it",
  interrupted: "The sound is interrupted, as by a call: it goes on by itself, or when you tap the page",
};

/** Kept for all that follow each other: the worklet is fetched once. @type {Map<number|undefined, AudioContext>} */
const contexts = new Map();
/** @type {WeakMap<AudioContext, Promise<void>>} */
const resamplers = new WeakMap();
/** @type {Set<Microphone>} */
const listening = new Set();

/** @param {number} [sampleRate] the browser's own where none is given @returns {AudioContext} */
function contextAt(sampleRate) {
  const context = contexts.get(sampleRate) ?? new AudioContext({ sampleRate });
  contexts.set(sampleRate, context);
  return context;
}

/** @param {AudioContext} context @returns {Promise<void>} */
function addResampler(context) {
  const added = resamplers.get(context) ?? context.audioWorklet.addModule(new URL("resampler.js", import.meta.url));
  resamplers.set(context, added);
  added.catch(() => resamplers.delete(context));
  return added;
}

/** Have what it takes to hear, which may need the network. */
export const prepare = () => addResampler(contextAt());

/**
 * A track's source, in a context that takes it: Firefox connects a track to none of another rate than its own, and a
 * Bluetooth headset's microphone has another than the sound output.
 * @param {MediaStreamTrack} track @returns {MediaStreamAudioSourceNode}
 */
function sourceOf(track) {
  const { sampleRate } = track.getSettings();
  let refused;
  for (const rate of [undefined, ...(sampleRate ? [sampleRate] : USUAL_RATES)]) {
    const context = contextAt(rate);
    try {
      return context.createMediaStreamSource(new MediaStream([track]));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "NotSupportedError") throw error;
      refused = error;
      if (rate === undefined) context.suspend();
      else {
        context.close();
        contexts.delete(rate);
      }
    }
  }
  throw refused;
}

export class Microphone {
  /**
   * @param {MediaStreamTrack} track
   * @param {(pcm: ArrayBuffer, begun: number) => void} onVoice int16 at 16 kHz; `begun` by `performance.now`
   * @param {(why: string) => void} onTrouble why nothing is heard at present; "" where it is again
   */
  constructor(track, onVoice, onTrouble) {
    this.track = track;
    this.onVoice = onVoice;
    this.onTrouble = onTrouble;
    this.paused = false;
    /** Why nothing is heard at present. */
    this.trouble = "";
    /** Why it never will be. */
    this.failed = "";
    this.heard = performance.now();
    /** @type {number|null} where the next piece begins */
    this.next = null;
    this.over = new AbortController();
    listening.add(this);
    const { signal } = this.over;
    for (const event of ["pointerdown", "keydown", "visibilitychange"]) document.addEventListener(event, () => this.#wake(), { signal });
    for (const event of ["mute", "unmute"]) track.addEventListener(event, () => this.#look(), { signal });
    this.timer = setInterval(() => this.#look(), LOOK_MS);
    this.#open().catch((error) => {
      this.failed = `It cannot be heard here: ${error.message}`;
      this.#look();
    });
  }

  async #open() {
    this.source = sourceOf(this.track);
    this.context = /** @type {AudioContext} */ (this.source.context);
    this.context.addEventListener("statechange", () => this.#wake(), { signal: this.over.signal });
    this.#wake();
    await addResampler(this.context);
    if (this.over.signal.aborted) return;
    this.node = new AudioWorkletNode(this.context, "resampler", { numberOfOutputs: 0 });
    this.source.connect(this.node);
    this.node.port.onmessage = ({ data }) => this.#take(data);
  }

  /** @param {ArrayBuffer} pcm */
  #take(pcm) {
    this.heard = performance.now();
    const arrived = this.heard - PIECE_MS;
    // Pieces follow each other without a gap; the clock is asked only where they have drifted from it.
    if (this.next === null || Math.abs(arrived - this.next) > DRIFT_MS) this.next = arrived;
    if (this.trouble) this.#look();
    if (!this.paused && !this.trouble) this.onVoice(pcm, this.next);
    this.next += PIECE_MS;
  }

  /** Start the sound, where it does not run: the promise of `resume` may stay open for ever, so nothing waits for it. */
  #wake() {
    const { context } = this;
    if (context && context.state !== "running" && context.state !== "closed") context.resume().catch(() => {});
  }

  #look() {
    const why = this.#why();
    if (why === this.trouble) return;
    this.trouble = why;
    this.onTrouble(why && `The microphone is not heard. ${why}.`);
  }

  /** @returns {string} */
  #why() {
    if (this.failed) return this.failed;
    if (this.track.muted) return "It is muted by the system or by a key on it";
    if (performance.now() - this.heard < QUIET_MS) return "";
    this.#wake();
    return HELD[this.context?.state ?? ""] ?? "It gives no sound";
  }

  stop() {
    this.over.abort();
    clearInterval(this.timer);
    this.track.stop();
    this.source?.disconnect();
    if (this.node) {
      this.node.port.postMessage("over");
      this.node.port.onmessage = null;
    }
    listening.delete(this);
    if (![...listening].some((other) => other.context === this.context)) this.context?.suspend();
  }
}
