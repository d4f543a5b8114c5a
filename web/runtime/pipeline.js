// mmer/runtime/pipeline.py: one clip's or one stream's way through the model, with the people, the voice and the network's
// states. A row of the batch is a person; the voice is that of the one who is followed.
import { DIMENSIONS, EMOTIONS, MODALITIES, REMEMBERED } from "./constants.js";
import { Calibrator } from "./calibration.js";
import { stepTime } from "./grid.js";
import { People } from "./people.js";
import { bound, crop, shrink } from "./resize.js";
import { likeliest, softmax } from "./results.js";
import { Speaker } from "./speaker.js";
import { Utterances } from "./utterances.js";
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
/** @typedef {import("./people.js").Sighting & {face: Uint8Array, share: number[]}} Seen its crop, and its box as shares of the picture's width and height */
/**
 * What the network sees of one picture.
 * @typedef {object} FrameFeatures
 * @property {Seen[]} people by id
 * @property {number} more_people faces beyond the limit
 * @property {Uint8Array|null} scene
 * @property {number} ms of work spent on it
 */

export class Pipeline {
  /** @param {Model} model */
  constructor({ info, graph, detector }) {
    this.info = info;
    this.graph = graph;
    this.people = new People(detector);
    this.speaker = new Speaker(info.input.step_s, info.faces.max_gap_s);
    this.voice = new VoiceBuffer(info.input);
    this.hearing = new Hearing(info.input, info.media.silence_dbfs);
    this.stateSize = Number(graph.inputs.get("state")?.[1]);
    /** By person, null before anybody is seen; who was seen last comes last. @type {Map<number|null, Float32Array>} */
    this.states = new Map();
    this.spoken = new Utterances(info.input, info.media.silence_dbfs, info.shown);
    this.calibrator = new Calibrator(info.id, info.input.step_s);
    /** @type {import("./results.js").Spoken[]} of utterances, since it was asked last */
    this.told = [];
    this.done = 0; // steps made
  }

  /** Seconds since the start at which the next step stands. */
  get nextTime() {
    return stepTime(this.done, this.info.input.step_s);
  }

  /** Find the people. Pictures come in order. @param {Picture} given @param {number} t seconds @returns {Promise<FrameFeatures>} */
  async features(given, t) {
    const start = performance.now();
    const { input, media, faces } = this.info;
    const picture = bound(given, media.frame_side);
    const { people, more } = await this.people.track(picture, t);
    const seen = people.map((one) => ({
      ...one,
      face: crop(picture, one.laid, input.face_size, faces.margin, one.roll),
      share: one.box.map((v, k) => v / (k % 2 ? picture.height : picture.width)),
    }));
    const scene = this.graph.inputs.has("scenes") ? shrink(picture, input.scene_size) : null;
    return { people: seen, more_people: more, scene, ms: performance.now() - start };
  }

  /** Make the next step. @param {FrameFeatures|null} features null without a picture @returns {Promise<RawStep>} */
  async advance(features) {
    const start = performance.now();
    const { input, modalities } = this.info;
    const voice = this.voice.window(this.done);
    const { heard, active } = this.hearing.step(voice);
    const seen = features?.people ?? [];
    const followed = this.speaker.push(seen, active);
    /** @type {(number|null)[]} */
    const rows = seen.map(({ id }) => id);
    if (!rows.includes(followed)) rows.push(followed);
    const present = rows.map((id, row) => {
      const there = [row < seen.length, Boolean(features), active && id === followed];
      return there.map((one, m) => one && modalities.includes(MODALITIES[m]));
    });
    const before = this.states.get(null);
    if (before && followed !== null) {
      this.states.delete(null);
      this.states.set(followed, before);
    }
    const found = await this.graph.forward(this.#inputs(rows, seen, features?.scene ?? null, rows.indexOf(followed), heard, present));
    rows.forEach((id, row) => {
      this.states.delete(id);
      this.states.set(id, found.state_out.data.slice(row * this.stateSize, (row + 1) * this.stateSize));
    });
    for (const id of this.states.keys()) if (this.states.size > REMEMBERED + 1) this.states.delete(id);
    this.done += 1;
    const row = rows.indexOf(followed);
    const said = rows.map((_, k) => [...found.logits.data.slice(k * EMOTIONS.length, (k + 1) * EMOTIONS.length)]);
    const unimodal = MODALITIES.map((name, m) => {
      const first = (row * MODALITIES.length + m) * EMOTIONS.length;
      const alone = [...found.alone.data.slice(first, first + EMOTIONS.length)];
      return /** @type {const} */ ([name, present[row][m] ? alone.map(Math.exp) : null]);
    });
    const raw = {
      t: stepTime(this.done - 1, input.step_s),
      logits: said[row],
      probabilities: softmax(said[row]),
      evidence: present[row].some(Boolean),
      unimodal: Object.fromEntries(unimodal.filter(([name]) => modalities.includes(name))),
      box: seen.find(({ id }) => id === followed)?.share ?? null,
      present: /** @type {Record<Modality, boolean>} */ (Object.fromEntries(MODALITIES.map((name, m) => [name, present[row][m]]))),
      voiceDbfs: level(voice.slice(-this.voice.hop)),
      ms: performance.now() - start + (features?.ms ?? 0),
      followed,
      more_people: features?.more_people ?? 0,
      people: seen.map(({ id, share, score }, k) => {
        const probabilities = softmax(said[k]);
        return { id, box: share, label: present[k].some(Boolean) ? likeliest(probabilities) : null, probabilities, quality: score };
      }),
      affect: this.#affect(found.affect?.data, row, present[row]),
    };
    const step = this.calibrator.push(raw);
    this.told.push(...this.spoken.listen(this.voice, this.done * this.voice.hop - 1));
    this.spoken.push(step);
    return step;
  }

  /** Of a person, where something is present that they are told from. @param {Float32Array|undefined} said [B, 2] @param {number} row @param {boolean[]} present @returns {import("./results.js").Affect} */
  #affect(said, row, present) {
    const from = this.info.affect ?? [];
    if (!said || !from.length) return {};
    const known = from.some((name) => present[MODALITIES.indexOf(name)]);
    return Object.fromEntries(DIMENSIONS.map((name, k) => [name, known ? said[row * DIMENSIONS.length + k] : null]));
  }

  /**
   * What the graph takes.
   * @param {(number|null)[]} rows whom each row of the batch is of @param {Seen[]} seen those of the first rows
   * @param {Uint8Array|null} scene @param {number} followed the row that hears @param {Float32Array} heard @param {boolean[][]} present
   * @returns {Record<string, Input>}
   */
  #inputs(rows, seen, scene, followed, heard, present) {
    const { face_size, scene_size } = this.info.input;
    const count = rows.length;
    const voice = new Float32Array(count * heard.length);
    voice.set(heard, followed * heard.length);
    const state = new Float32Array(count * this.stateSize);
    rows.forEach((id, row) => state.set(this.states.get(id) ?? [], row * this.stateSize));
    return {
      faces: images(rows.map((_, row) => seen[row]?.face ?? null), face_size),
      scenes: images(rows.map(() => scene), scene_size),
      voice: { data: voice, dims: [count, 1, heard.length] },
      present: { data: Float32Array.from(present.flat(), Number), dims: [count, 1, MODALITIES.length] },
      state: { data: state, dims: [count, this.stateSize] },
    };
  }

  /** What utterances began and ended since this was asked last, as far as there is voice. @param {{over?: boolean}} [given] nothing more comes */
  utterances({ over = false } = {}) {
    const told = [
      ...this.told,
      ...this.spoken.listen(this.voice, Math.min(this.voice.end, (this.done + 1) * this.voice.hop - 1)),
      ...(over ? this.spoken.finish() : []),
    ];
    this.told = [];
    return told;
  }

  /** Leave out the next steps, as if nothing were seen or heard in them. @param {number} steps */
  skip(steps) {
    this.done += steps;
    this.hearing.skip(steps);
    this.speaker.skip(steps);
    this.calibrator.skip(steps);
    this.told.push(...this.spoken.skip(this.done * this.voice.hop));
    this.voice.forget(this.done);
  }
}

/** Pictures of a step, of one row each. @param {(Uint8Array|null)[]} rows null: black @param {number} side pixels @returns {Input} */
function images(rows, side) {
  const data = new Uint8Array(rows.length * side * side * 3);
  rows.forEach((pixels, row) => pixels && data.set(pixels, row * side * side * 3));
  return { data, dims: [rows.length, 1, side, side, 3] };
}
