// mmer/runtime/recognizer.py: a model, ready; each clip and each stream has its own state. A clip comes picture by picture,
// since they are decoded elsewhere (media.js, on the page's own thread).
import { MODALITIES } from "./constants.js";
import { Detector } from "./detector.js";
import { Graph } from "./graph.js";
import { Pipeline } from "./pipeline.js";
import { likeliest, byEmotion, meanAffect, pool, rounded, stepToJson } from "./results.js";
import { Stream } from "./stream.js";

/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {import("./pipeline.js").FrameFeatures} FrameFeatures */
/** @typedef {import("./pipeline.js").ModelInfo} ModelInfo */
/** @typedef {import("./results.js").Prediction} Prediction */
/** @typedef {import("./results.js").RawStep} RawStep */

export class Recognizer {
  /**
   * Open a model.
   * @param {import("./graph.js").Runtime} runtime
   * @param {Record<"graph"|"pnet"|"rnet"|"onet", Uint8Array>} files
   * @param {ModelInfo} info
   */
  static async load(runtime, files, info) {
    const open = (/** @type {Uint8Array} */ bytes) => Graph.open(runtime, bytes);
    const graph = await open(files.graph);
    const nets = { pnet: await open(files.pnet), rnet: await open(files.rnet), onet: await open(files.onet) };
    return new Recognizer(info, graph, new Detector(nets, info.faces));
  }

  /** @param {ModelInfo} info @param {Graph} graph @param {Detector} detector */
  constructor(info, graph, detector) {
    this.info = info;
    this.graph = graph;
    this.detector = detector;
  }

  /** Begin a clip. */
  clip() {
    return new ClipRecognition(new Pipeline(this));
  }

  /** A live session, at time zero. @param {{video: boolean, audio: boolean}} media what will come @param {(still: import("./media.js").Still) => Picture|Promise<Picture>} read */
  stream(media, read) {
    return new Stream(this, media, read);
  }
}

class ClipRecognition {
  /** @param {Pipeline} pipeline */
  constructor(pipeline) {
    this.pipeline = pipeline;
    /** @type {Map<number, FrameFeatures>} by step */
    this.features = new Map();
  }

  /** Pictures come in order. @param {number} step that sees it @param {Picture} picture @param {number} t seconds */
  async pushFrame(step, picture, t) {
    this.features.set(step, await this.pipeline.features(picture, t));
  }

  /** Once all pictures came. @param {number} count of steps @param {Int16Array} voice @returns {Promise<Omit<Prediction, "path">>} */
  async predict(count, voice) {
    const { pipeline } = this;
    pipeline.voice.put(voice, 0);
    /** @type {RawStep[]} */
    const steps = [];
    for (let k = 0; k < count; k += 1) steps.push(await pipeline.advance(this.features.get(k) ?? null));
    const spoken = pipeline.utterances({ over: true });
    const probabilities = pool(steps);
    const { input, ...about } = pipeline.info;
    return {
      label: steps.some((step) => step.evidence) ? likeliest(probabilities) : null,
      probabilities: byEmotion(probabilities),
      missing: MODALITIES.filter((name) => !steps.some((step) => step.present[name])),
      calibrated: steps.some((step) => step.calibrated),
      ...rounded(meanAffect(steps)),
      utterances: spoken.flatMap(({ type, ...told }) =>
        (type === "utterance" ? [/** @type {import("./results.js").Utterance} */ (told)] : [])),
      steps: steps.map((step) =>
        stepToJson(step, step.evidence ? likeliest(step.probabilities) : null, step.probabilities)),
      model: { ...about, step_s: input.step_s },
    };
  }
}
