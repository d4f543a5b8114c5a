// A microphone's voice, 100 ms at a time, as the service wants it.

const PIECE_MS = 100;
const DRIFT_MS = 150;

export class Microphone {
  /**
   * @param {MediaStreamTrack} track
   * @param {(pcm: ArrayBuffer, begun: number) => void} onVoice int16 at 16 kHz; `begun` by `performance.now`
   * @returns {Promise<Microphone>}
   */
  static async open(track, onVoice) {
    const context = new AudioContext(); // at its own rate: Firefox connects a microphone to no other
    await context.audioWorklet.addModule("resampler.js");
    await context.resume();
    return new Microphone(track, context, onVoice);
  }

  constructor(track, context, onVoice) {
    this.track = track;
    this.context = context;
    this.paused = false;
    /** @type {number|null} where the next piece begins */
    this.next = null;
    const node = new AudioWorkletNode(context, "resampler", { numberOfOutputs: 0 });
    context.createMediaStreamSource(new MediaStream([track])).connect(node);
    node.port.onmessage = ({ data }) => {
      const arrived = performance.now() - PIECE_MS;
      // Pieces follow each other without a gap; the clock is asked only where they have drifted from it.
      if (this.next === null || Math.abs(arrived - this.next) > DRIFT_MS) this.next = arrived;
      if (!this.paused) onVoice(data, this.next);
      this.next += PIECE_MS;
    };
  }

  stop() {
    this.track.stop();
    this.context.close();
  }
}
