// mmer/runtime/stream.py: a live session; and, as mmer/serving/live.py has it, when a step is due and what is answered.
import { AHEAD_S, BEHIND_S, EARLY, KEEP_S, LATE_S, SAMPLE_RATE, STALE_S } from "./constants.js";
import { stepOf } from "./grid.js";
import { Pipeline } from "./pipeline.js";
import { stepToJson } from "./results.js";
import { Smoothers } from "./smoothing.js";

/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {import("./media.js").Still} Still */
/** @typedef {{t: number, still: Still|null}} Frame null: the camera is off */

export class Stream {
  /**
   * @param {import("./pipeline.js").Model} model
   * @param {{video: boolean, audio: boolean}} media what will come
   * @param {(still: Still) => Picture|Promise<Picture>} read
   */
  constructor(model, media, read) {
    this.pipeline = new Pipeline(model);
    this.stepS = model.info.input.step_s;
    this.smoothers = new Smoothers(this.stepS, model.info.shown);
    this.read = read;
    this.videoT = media.video ? -Infinity : Infinity;
    this.audioT = media.audio ? -Infinity : Infinity;
    /** @type {Map<number, Frame>} by the step that may see them; the newest of each */
    this.coming = new Map();
    this.begun = 0; // steps that have taken their picture
    /** @type {{t: number, picture: Picture|null}} in use */
    this.frame = { t: -Infinity, picture: null };
    this.deaf = false; // the microphone went off since utterances were told
  }

  /** A picture, or null where the camera went off. @param {Still|null} still @param {number} t seconds */
  pushFrame(still, t) {
    if (still && t > this.pipeline.nextTime + AHEAD_S) return still.close();
    const step = Math.max(this.pipeline.done, this.begun, stepOf(t, this.stepS));
    const waiting = this.coming.get(step);
    if (waiting && waiting.t > t) still?.close();
    else {
      waiting?.still?.close();
      this.coming.set(step, { t, still });
    }
    this.videoT = still ? Math.max(anew(this.videoT), t) : Infinity;
  }

  /** Voice, or null where the microphone went off. @param {Int16Array|null} pcm @param {number} t seconds, of its first sample */
  pushVoice(pcm, t) {
    if (!pcm) {
      this.audioT = Infinity;
      this.deaf = true;
    } else if (t <= this.pipeline.nextTime + AHEAD_S) {
      this.pipeline.voice.put(pcm, t);
      this.audioT = Math.max(anew(this.audioT), t + pcm.length / SAMPLE_RATE);
    }
  }

  /** Whether the next step can be made. */
  get due() {
    const step = this.pipeline.nextTime - 1e-3;
    const newest = this.#newest();
    const complete = this.audioT >= step && this.videoT >= step - EARLY * this.stepS;
    return newest > -Infinity && (complete || newest >= step + LATE_S);
  }

  /** Skip steps if the session is too far behind. @returns {object|null} the message that says so */
  catchUp() {
    const [newest, next] = [this.#newest(), this.pipeline.nextTime];
    const behind = newest - next;
    if (behind <= BEHIND_S) return null;
    const steps = Math.floor((newest - KEEP_S - next) / this.stepS);
    this.pipeline.skip(steps);
    let frames = 0;
    for (const [step, { still }] of this.coming) {
      if (step >= this.pipeline.done) continue;
      still?.close();
      this.coming.delete(step);
      frames += 1;
    }
    return { type: "dropped", frames, steps, behind_s: behind };
  }

  /** Make the next step. */
  async step() {
    const { pipeline } = this;
    const now = pipeline.nextTime;
    const next = this.coming.get(pipeline.done);
    this.coming.delete(pipeline.done);
    this.begun = pipeline.done + 1; // a picture that comes in while this step is made is the next one's
    if (next && next.t >= this.frame.t) this.frame = { t: next.t, picture: next.still && (await this.read(next.still)) };
    else next?.still?.close();
    const { t, picture } = this.frame;
    const features = picture && now - t <= STALE_S ? await pipeline.features(picture, t) : null;
    const step = await pipeline.advance(features);
    pipeline.voice.forget(pipeline.done);
    const { present, people, followed } = step;
    const said = new Map([...people.map((one) => /** @type {const} */ ([one.id, one.probabilities])), [followed, step.probabilities]]);
    const shown = this.smoothers.push(said, followed, { seen: present.face || present.scene, heard: present.voice });
    step.people = people.map((one) => ({ ...one, ...shown(one.id) }));
    const { probabilities, label } = shown(followed);
    return { ...stepToJson(step, label, probabilities), frame_ms: features && Math.round(1000 * t) };
  }

  /** What utterances began and ended since this was asked last, as far as voice has come in. */
  utterances() {
    const { deaf: over } = this;
    this.deaf = false;
    return this.pipeline.utterances({ over });
  }

  /** Take what is seen and heard in the next seconds as this person at rest. @param {number} seconds */
  calibrate(seconds) {
    this.pipeline.calibrator.measure(seconds);
  }

  /** A calibration that was found before, from the next step on; null: none. @param {import("./calibration.js").Calibration|null} calibration */
  use(calibration) {
    this.pipeline.calibrator.use(calibration);
  }

  /** What `calibrate` found, or why it found nothing, once. */
  calibration() {
    return this.pipeline.calibrator.found();
  }

  close() {
    for (const { still } of this.coming.values()) still?.close();
    this.coming.clear();
  }

  /** Seconds that what came in has reached. */
  #newest() {
    return Math.max(-Infinity, ...[this.videoT, this.audioT].filter((t) => t < Infinity));
  }
}

/** A modality that was off begins anew. @param {number} t */
const anew = (t) => (t === Infinity ? -Infinity : t);
