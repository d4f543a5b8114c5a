// One clip's or one stream's way through the model: a tracker, the voice, the network's state (mmer/recognizer.py's _Walk).
import { EMOTIONS } from "../emotions.js";
import { Detector } from "./detector.js";
import { bound, crop, shrink } from "./resize.js";
import { Tracker } from "./tracker.js";
import { Voice, power } from "./voice.js";

/** @typedef {import("../emotions.js").Shares} Shares */
/** @typedef {import("../emotions.js").Modality} Modality */
/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {import("./runtime.js").Net} Net */
/**
 * What a recogniser must know of its model besides (mmer/recognizer.py, `ModelInfo`).
 * @typedef {object} Rules
 * @property {{step_s: number, voice_window_s: number, face_size: number, scene_size: number}} input
 * @property {{frame_side: number, silence_dbfs: number, max_duration_s: number}} media
 * @property {import("./detector.js").FaceRules} faces
 */
/** @typedef {import("../emotions.js").ModelInfo & Rules} ModelInfo */
/** @typedef {{info: ModelInfo, graph: Net, nets: Record<"pnet"|"rnet"|"onet", Net>}} Model */
/** @typedef {{face: Uint8Array|null, scene: Uint8Array|null, box: number[]|null, ms: number}} Look one picture, looked at */
/**
 * A step, before it is smoothed.
 * @typedef {object} Raw
 * @property {number} t
 * @property {number[]} logits
 * @property {number[]} probabilities
 * @property {boolean} evidence whether it rests on anything
 * @property {Record<string, Shares|null>} alone
 * @property {number[]|null} box
 * @property {Record<Modality, boolean>} present
 * @property {number} voice_dbfs
 * @property {number} ms
 */

/** @type {Modality[]} */
export const MODALITIES = ["face", "scene", "voice"];

export class Walk {
  /** @param {Model} model */
  constructor({ info, graph, nets }) {
    this.info = info;
    this.graph = graph;
    this.tracker = new Tracker(new Detector(nets, info.faces));
    this.voice = new Voice(info.input);
    const size = Number(graph.inputs.get("state")?.[1]);
    /** @type {import("./runtime.js").Given} */
    this.state = { data: new Float32Array(size), dims: [1, size] };
    this.done = 0; // steps walked
  }

  /** Seconds since the start at which the next step stands. */
  get nextTime() {
    return (this.done + 1) * this.info.input.step_s;
  }

  /** Find the face. Pictures come in order. @param {Picture} whole @param {number} at seconds @returns {Promise<Look>} */
  async look(whole, at) {
    const start = performance.now();
    const { input, media, faces } = this.info;
    const picture = bound(whole, media.frame_side);
    const box = await this.tracker.look(picture, at);
    return {
      face: box && crop(picture, box, input.face_size, faces.margin),
      scene: this.graph.inputs.has("scenes") ? shrink(picture, input.scene_size) : null,
      box: box && box.map((v, k) => v / (k % 2 ? picture.height : picture.width)),
      ms: performance.now() - start,
    };
  }

  /** Walk the next step. @param {Look|null} look null without a picture @returns {Promise<Raw>} */
  async step(look) {
    const start = performance.now();
    const { input, media, modalities } = this.info;
    const voice = this.voice.window(this.done);
    const there = [Boolean(look?.face), Boolean(look), power(voice) >= 10 ** (media.silence_dbfs / 10)];
    const present = there.map((seen, m) => seen && modalities.includes(MODALITIES[m]));
    /** @param {Uint8Array|null|undefined} pixels @param {number} side */
    const still = (pixels, side) => ({ data: pixels ?? new Uint8Array(side * side * 3), dims: [1, 1, side, side, 3] });
    const found = await this.graph({
      faces: still(look?.face, input.face_size),
      scenes: still(look?.scene, input.scene_size),
      voice: { data: voice, dims: [1, 1, voice.length] },
      present: { data: Float32Array.from(present, Number), dims: [1, 1, MODALITIES.length] },
      state: this.state,
    });
    this.state = { data: found.state_out.data, dims: this.state.dims };
    this.done += 1;
    const logits = [...found.logits.data];
    const alone = MODALITIES.map((name, m) => {
      const said = [...found.alone.data.slice(m * EMOTIONS.length, (m + 1) * EMOTIONS.length)];
      return /** @type {const} */ ([name, present[m] ? named(said.map(Math.exp)) : null]);
    });
    return {
      t: this.done * input.step_s,
      logits,
      probabilities: softmax(logits),
      evidence: present.some(Boolean),
      alone: Object.fromEntries(alone.filter(([name]) => modalities.includes(name))),
      box: look?.box ?? null,
      present: /** @type {Record<Modality, boolean>} */ (Object.fromEntries(MODALITIES.map((name, m) => [name, present[m]]))),
      voice_dbfs: 10 * Math.log10(Math.max(power(voice.slice(-this.voice.hop)), 1e-10)),
      ms: performance.now() - start + (look?.ms ?? 0),
    };
  }
}

/** @param {number[]} logits */
export function softmax(logits) {
  const most = Math.max(...logits);
  const raised = logits.map((v) => Math.exp(v - most));
  const sum = raised.reduce((a, b) => a + b);
  return raised.map((v) => v / sum);
}

/** Probabilities by their emotion. @param {number[]} probabilities @returns {Shares} */
export function named(probabilities) {
  return /** @type {Shares} */ (Object.fromEntries(EMOTIONS.map((name, k) => [name, round(probabilities[k], 5)])));
}

/** The likeliest. @param {number[]} probabilities */
export const best = (probabilities) => EMOTIONS[probabilities.indexOf(Math.max(...probabilities))];

/** @param {number} value @param {number} digits */
export const round = (value, digits) => Number(value.toFixed(digits));
