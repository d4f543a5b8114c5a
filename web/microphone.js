// A microphone's voice, 100 ms at a time, as the service wants it.

const PIECE_MS = 100;
const DRIFT_MS = 150;

/** @type {Promise<AudioContext>|null} one for all that follow each other: its worklet is fetched once */
let prepared = null;
let open = 0;

/** Have what it takes to hear, which may need the network. @returns {Promise<AudioContext>} */
export function prepare() {
  prepared ??= (async () => {
    const context = new AudioContext(); // at its own rate: Firefox connects a microphone to no other
    await context.audioWorklet.addModule("resampler.js");
    return context;
  })();
  prepared.catch(() => (prepared = null));
  return prepared;
}

export class Microphone {
  /**
   * @param {MediaStreamTrack} track
   * @param {(pcm: ArrayBuffer, begun: number) => void} onVoice int16 at 16 kHz; `begun` by `performance.now`
   * @returns {Promise<Microphone>}
   */
  static async open(track, onVoice) {
    const context = await prepare();
    open += 1;
    await context.resume();
    return new Microphone(track, context, onVoice);
  }

  /** @param {MediaStreamTrack} track @param {AudioContext} context @param {(pcm: ArrayBuffer, begun: number) => void} onVoice */
  constructor(track, context, onVoice) {
    this.track = track;
    this.context = context;
    this.paused = false;
    /** @type {number|null} where the next piece begins */
    this.next = null;
    this.source = context.createMediaStreamSource(new MediaStream([track]));
    this.node = new AudioWorkletNode(context, "resampler", { numberOfOutputs: 0 });
    this.source.connect(this.node);
    this.node.port.onmessage = ({ data }) => {
      const arrived = performance.now() - PIECE_MS;
      // Pieces follow each other without a gap; the clock is asked only where they have drifted from it.
      if (this.next === null || Math.abs(arrived - this.next) > DRIFT_MS) this.next = arrived;
      if (!this.paused) onVoice(data, this.next);
      this.next += PIECE_MS;
    };
  }

  stop() {
    this.track.stop();
    this.source.disconnect();
    this.node.port.postMessage("over");
    this.node.port.onmessage = null;
    open -= 1;
    if (!open) this.context.suspend();
  }
}
