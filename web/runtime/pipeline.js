// mmer/runtime/pipeline.py: one clip's or one stream's way through the model, with a tracker, the voice and the network's
// state.
import { EMOTIONS, MODALITIES } from "./constants.js";
import { stepTime } from "./grid.js";
import { bound, crop, shrink } from "./resize.js";
import { softmax } from "./results.js";
import { Tracker } from "./tracker.js";
import { Hearing, VoiceBuffer, level } from "./voice.js";

/** @typedef {import("./graph.js").Input} Input */
/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {import("./results.js").Modality} Modality */
/** @typedef {import("./results.js").RawStep} RawStep */
/**
 * What a pipeline must know of its model besides (mmer/runtime/config.py).
 * @typedef {object} Rules
 * @property {{step_s: number, voice_window_s: number, face_size: number, scene_size: number, level?: import("./voice.js").LevelRules|null}} input
 * @property {{frame_side: number, silence_dbfs: number, max_duration_s: number}} media
 * @property {import("./detector.js").FaceRules} faces
 * @property {import("./smoothing.js").Shown|null} shown
 */
/** @typedef {import("./results.js").ModelInfo & Rules} ModelInfo */
/** @typedef {{info: ModelInfo, graph: import("./graph.js").Graph, detector: import("./detector.js").Detector}} Model */
/**
 * What the network sees of one picture.
 * @typedef {object} FrameFeatures
 * @property {Uint8Array|null} face
 * @property {Uint8Array|null} scene
 * @property {number[]|null} box shares of the picture's width and height
 * @property {number} ms of work spent on it
 */

export class Pipeline {
  /** @param {Model} model */
  constructor({ info, graph, detector }) {
    this.info = info;
    this.graph = graph;
    this.tracker = new Tracker(detector);
    this.voice = new VoiceBuffer(info.input);
    this.hearing = new Hearing(info.input, info.media.silence_dbfs);
    const size = Number(graph.inputs.get("state")?.[1]);
    /** @type {Input} */
    this.state = { data: new Float32Array(size), dims: [1, size] };
    this.done = 0; // steps made
  }

  /** Seconds since the start at which the next step stands. */
  get nextTime() {
    return stepTime(this.done, this.info.input.step_s);
  }

  /** Find the face. Pictures come in order. @param {Picture} given @param {number} t seconds @returns {Promise<FrameFeatures>} */
  async features(given, t) {
    const start = performance.now();
    const { input, media, faces } = this.info;
    const picture = bound(given, media.frame_side);
    const box = await this.tracker.track(picture, t);
    return {
      face: box && crop(picture, this.tracker.laid(box), input.face_size, faces.margin, this.tracker.alignment.roll),
      scene: this.graph.inputs.has("scenes") ? shrink(picture, input.scene_size) : null,
      box: box && box.map((v, k) => v / (k % 2 ? picture.height : picture.width)),
      ms: performance.now() - start,
    };
  }

  /** Make the next step. @param {FrameFeatures|null} features null without a picture @returns {Promise<RawStep>} */
  async advance(features) {
    const start = performance.now();
    const { input, modalities } = this.info;
    const voice = this.voice.window(this.done);
    const { heard, active } = this.hearing.step(voice);
    const there = [Boolean(features?.face), Boolean(features), active];
    const present = there.map((seen, m) => seen && modalities.includes(MODALITIES[m]));
    /** @param {Uint8Array|null|undefined} pixels @param {number} side @returns {Input} */
    const image = (pixels, side) => ({ data: pixels ?? new Uint8Array(side * side * 3), dims: [1, 1, side, side, 3] });
    const found = await this.graph.forward({
      faces: image(features?.face, input.face_size),
      scenes: image(features?.scene, input.scene_size),
      voice: { data: heard, dims: [1, 1, heard.length] },
      present: { data: Float32Array.from(present, Number), dims: [1, 1, MODALITIES.length] },
      state: this.state,
    });
    this.state = { data: found.state_out.data, dims: this.state.dims };
    this.done += 1;
    const logits = [...found.logits.data];
    const unimodal = MODALITIES.map((name, m) => {
      const said = [...found.alone.data.slice(m * EMOTIONS.length, (m + 1) * EMOTIONS.length)];
      return /** @type {const} */ ([name, present[m] ? said.map(Math.exp) : null]);
    });
    return {
      t: stepTime(this.done - 1, input.step_s),
      logits,
      probabilities: softmax(logits),
      evidence: present.some(Boolean),
      unimodal: Object.fromEntries(unimodal.filter(([name]) => modalities.includes(name))),
      box: features?.box ?? null,
      present: /** @type {Record<Modality, boolean>} */ (Object.fromEntries(MODALITIES.map((name, m) => [name, present[m]]))),
      voiceDbfs: level(voice.slice(-this.voice.hop)),
      ms: performance.now() - start + (features?.ms ?? 0),
    };
  }

  /** Leave out the next steps, as if nothing were seen or heard in them. @param {number} steps */
  skip(steps) {
    this.done += steps;
    this.hearing.skip(steps);
    this.voice.forget(this.done);
  }
}
