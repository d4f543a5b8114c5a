// A live session: what came in, when a step is due, what is answered, as mmer/serving/live.py does it.
import { Smoother } from "./smoother.js";
import { RATE } from "./voice.js";
import { Walk, named } from "./walk.js";
import { told } from "./whole.js";

const LATE_S = 0.25; // a step waits no longer for one modality once another has reached it
const BEHIND_S = 1.0; // further behind what came in than this, steps are skipped …
const KEEP_S = 0.4; // … until this much is left
const EARLY = 0.5; // share of a step: a picture taken no earlier than that before a step will do for it
const STALE_S = 1.0; // a picture older than this no longer shows what is there
const AHEAD_S = 10; // nothing is kept from further ahead of the next step

/** @typedef {{t: number, picture: ImageBitmap|null}} Frame null: the camera is off */

export class Session {
  /**
   * @param {import("./walk.js").Model} model
   * @param {{video: boolean, audio: boolean}} what
   * @param {(bitmap: ImageBitmap) => import("./means.js").Picture} read
   */
  constructor(model, what, read) {
    this.walk = new Walk(model);
    this.stepS = model.info.input.step_s;
    this.smoother = new Smoother(this.stepS);
    this.read = read;
    this.videoT = what.video ? -Infinity : Infinity;
    this.audioT = what.audio ? -Infinity : Infinity;
    /** @type {Map<number, Frame>} by the step that may see them; the newest of each */
    this.frames = new Map();
    /** @type {{t: number, picture: import("./means.js").Picture|null}} in use */
    this.frame = { t: -Infinity, picture: null };
  }

  /** A picture, or null where the camera went off. @param {ImageBitmap|null} picture @param {number} t seconds */
  see(picture, t) {
    if (picture && t > this.walk.nextTime + AHEAD_S) return picture.close();
    const step = Math.max(this.walk.done, Math.ceil(t / this.stepS - 1e-3) - 1);
    const waiting = this.frames.get(step);
    if (waiting && waiting.t > t) picture?.close();
    else {
      waiting?.picture?.close();
      this.frames.set(step, { t, picture });
    }
    this.videoT = picture ? Math.max(seen(this.videoT), t) : Infinity;
  }

  /** Voice, or null where the microphone went off. @param {Int16Array|null} pcm @param {number} t seconds, of its first sample */
  hear(pcm, t) {
    if (!pcm) this.audioT = Infinity;
    else if (t <= this.walk.nextTime + AHEAD_S) {
      this.walk.voice.put(pcm, t);
      this.audioT = Math.max(seen(this.audioT), t + pcm.length / RATE);
    }
  }

  /** Whether the next step can be made. */
  get due() {
    const step = this.walk.nextTime - 1e-3;
    const newest = this.#newest();
    const complete = this.audioT >= step && this.videoT >= step - EARLY * this.stepS;
    return newest > -Infinity && (complete || newest >= step + LATE_S);
  }

  /** Skip steps if the session is too far behind; what to tell of it. */
  catchUp() {
    const [newest, next] = [this.#newest(), this.walk.nextTime];
    const behind = newest - next;
    if (behind <= BEHIND_S) return null;
    const steps = Math.floor((newest - KEEP_S - next) / this.stepS);
    this.walk.done += steps;
    this.walk.voice.forget(this.walk.done);
    let frames = 0;
    for (const [step, { picture }] of this.frames) {
      if (step >= this.walk.done) continue;
      picture?.close();
      this.frames.delete(step);
      frames += 1;
    }
    return { type: "dropped", frames, steps, behind_s: behind };
  }

  /** Make the next step. */
  async step() {
    const now = this.walk.nextTime;
    const next = this.frames.get(this.walk.done);
    this.frames.delete(this.walk.done);
    if (next && next.t >= this.frame.t) this.frame = { t: next.t, picture: next.picture && this.read(next.picture) };
    else next?.picture?.close();
    const { t, picture } = this.frame;
    const look = picture && now - t <= STALE_S ? await this.walk.look(picture, t) : null;
    const step = await this.walk.step(look);
    this.walk.voice.forget(this.walk.done);
    const { probabilities, label } = this.smoother.push(step.probabilities, step.evidence);
    return {
      ...told(step),
      label,
      probabilities: named(probabilities),
      frame_ms: look && Math.round(1000 * t),
    };
  }

  close() {
    for (const { picture } of this.frames.values()) picture?.close();
    this.frames.clear();
  }

  /** Seconds that what came in has reached. */
  #newest() {
    return Math.max(-Infinity, ...[this.videoT, this.audioT].filter((t) => t < Infinity));
  }
}

/** A modality that was off begins anew. @param {number} t */
const seen = (t) => (t === Infinity ? -Infinity : t);
