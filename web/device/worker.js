// The worker: web/runtime/ away from the page's own thread. It asks the network for nothing but the model's parts.
import { CalibrationError } from "../runtime/calibration.js";
import { openRuntime } from "../runtime/graph.js";
import { Recognizer } from "../runtime/recognizer.js";
import { readPixels } from "./pixels.js";

/** @typedef {import("../runtime/media.js").Still} Still */
/** @typedef {import("../runtime/pipeline.js").ModelInfo} ModelInfo */
/** @typedef {{url: string, bytes: number, sent: number, weights?: string}} Part `bytes` of it, and of them, deflated, on the line; `weights` of a graph */

/** @type {Promise<Recognizer>} */
let recognizer;
/** @type {ReturnType<Recognizer["stream"]>|null} */
let stream = null;
/** @type {ReturnType<Recognizer["clip"]>|null} */
let clip = null;
let stepping = false;

/** What the page may call; each call is answered once, with what it returns. */
const calls = {
  /** Fetch everything and open it. @param {{root: string, parts: Part[], info: ModelInfo}} values */
  async load({ root, parts, info }) {
    recognizer = load(root, parts, info);
    await recognizer;
    new PerformanceObserver((list) => {
      const requests = list.getEntries().map((entry) => entry.name).filter((name) => name.startsWith("http"));
      self.postMessage({ requests });
    }).observe({ type: "resource" });
  },

  /** Begin a live session. @param {{media: {video: boolean, audio: boolean}}} values */
  async open({ media }) {
    const ready = await recognizer;
    stream = ready.stream(media, (still) => readPixels(still, ready.info.media.frame_side));
  },
  /** @param {{still: Still|null, t: number}} values */
  async pushFrame({ still, t }) {
    if (stream) stream.pushFrame(still, t);
    else still?.close();
    makeSteps();
  },
  /** @param {{pcm: ArrayBuffer|null, t: number}} values */
  async pushVoice({ pcm, t }) {
    stream?.pushVoice(pcm && new Int16Array(pcm), t);
    makeSteps();
  },
  /** @param {import("../connection.js").Calibrate} message */
  async calibrate(message) {
    if ("seconds" in message) stream?.calibrate(message.seconds);
    else stream?.use(message.calibration);
  },
  async close() {
    stream?.close();
    stream = null;
  },

  /** Begin a clip. */
  async clip() {
    clip = (await recognizer).clip();
  },
  /** @param {{step: number, still: Still, t: number}} values */
  async pushClipFrame({ step, still, t }) {
    await clip?.pushFrame(step, await readPixels(still), t);
  },
  /** @param {{count: number, voice: Int16Array}} values */
  async predict({ count, voice }) {
    return clip?.predict(count, voice);
  },
};

self.onmessage = async ({ data: { id, call, ...values } }) => {
  try {
    const made = /** @type {(values: any) => Promise<any>} */ (calls[/** @type {keyof typeof calls} */ (call)]);
    self.postMessage({ id, value: await made(values) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/** Make the steps that are due, one after the other; what comes in meanwhile is let in between two. */
async function makeSteps() {
  if (stepping) return;
  stepping = true;
  try {
    tellUtterances();
    for (let mine = stream; mine?.due; mine = stream) {
      const dropped = mine.catchUp();
      if (dropped) self.postMessage({ trouble: dropped });
      const step = await mine.step();
      if (mine === stream) {
        self.postMessage({ step });
        tellCalibration();
        tellUtterances();
      }
      await new Promise((done) => setTimeout(done));
    }
  } catch (error) {
    stream = null;
    self.postMessage({ trouble: { type: "error", message: `Recognition failed: ${error}`, hint: "Close it and start again" } });
  } finally {
    stepping = false;
  }
}

function tellCalibration() {
  const found = stream?.calibration();
  if (found instanceof CalibrationError) {
    self.postMessage({ trouble: { type: "error", code: "bad_calibration", message: found.message, hint: "Try again" } });
  } else if (found) self.postMessage({ calibration: found });
}

function tellUtterances() {
  for (const utterance of stream?.utterances() ?? []) self.postMessage({ utterance });
}

/** @param {string} root @param {Part[]} parts @param {ModelInfo} info @returns {Promise<Recognizer>} */
async function load(root, parts, info) {
  /** @param {string} end of a part's address */
  const find = (end) => {
    const part = parts.find(({ url }) => url.endsWith(end));
    if (!part) throw new Error(`${end} is not offered`);
    return part;
  };
  /** @param {Part} part */
  const fetchPart = async (part) => {
    const response = await fetch(new URL(part.url, root));
    if (!response.ok || !response.body) throw new Error(`${part.url} cannot be had (HTTP ${response.status})`);
    const bytes = new Uint8Array(part.bytes);
    let at = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > bytes.length) throw new Error(`${part.url} is longer than announced: load the page anew`);
      bytes.set(value, at);
      at += value.length;
      self.postMessage({ fetched: value.length });
    }
    if (at < bytes.length) throw new Error(`${part.url} was cut off`);
    return bytes;
  };
  const module = find(".mjs");
  const [wasm, graph, pnet, rnet, onet] = await Promise.all(
    [find(".wasm"), parts[0], find("/pnet.onnx"), find("/rnet.onnx"), find("/onet.onnx")].map(fetchPart));
  const runtime = await openRuntime(new URL(module.url, root).href, wasm);
  self.postMessage({ fetched: module.bytes });
  return Recognizer.load(runtime, { graph, pnet, rnet, onet }, info);
}
