// The worker: the model and its runtime, away from the page's own thread. It asks the network for nothing but its parts.
import { Runtime } from "./runtime.js";
import { Session } from "./session.js";
import { Whole } from "./whole.js";

/** @typedef {import("./walk.js").Model} Model */
/** @typedef {{url: string, bytes: number, sent: number}} Part `bytes` of it, and of them, deflated, on the line */

/** @type {Promise<Model>} */
let model;
/** @type {Session|null} */
let session = null;
/** @type {Whole|null} */
let clip = null;
let walking = false;

/** What the page may ask for; each answers once, with what it returns. */
const answers = {
  /** Fetch everything and open it. @param {{root: string, parts: Part[], info: import("./walk.js").ModelInfo}} asked */
  async load({ root, parts, info }) {
    model = open(root, parts, info);
    await model;
    new PerformanceObserver((list) => {
      const asked = list.getEntries().map((entry) => entry.name).filter((name) => name.startsWith("http"));
      self.postMessage({ asked });
    }).observe({ type: "resource" });
  },

  /** Begin a live session. @param {{for: {video: boolean, audio: boolean}}} asked */
  async open({ for: what }) {
    session = new Session(await model, what, pixels);
  },
  /** @param {{picture: ImageBitmap|null, t: number}} asked */
  async see({ picture, t }) {
    if (session) session.see(picture, t);
    else picture?.close();
    walk();
  },
  /** @param {{pcm: ArrayBuffer|null, t: number}} asked */
  async hear({ pcm, t }) {
    session?.hear(pcm && new Int16Array(pcm), t);
    walk();
  },
  async close() {
    session?.close();
    session = null;
  },

  /** Begin a clip. */
  async clip() {
    clip = new Whole(await model);
  },
  /** @param {{step: number, picture: ImageBitmap, at: number}} asked */
  async look({ step, picture, at }) {
    await clip?.look(step, pixels(picture), at);
  },
  /** @param {{count: number, voice: Int16Array}} asked */
  async recognise({ count, voice }) {
    return clip?.recognise(count, voice);
  },
};

self.onmessage = async ({ data: { id, what, ...asked } }) => {
  try {
    const answer = /** @type {(asked: any) => Promise<any>} */ (answers[/** @type {keyof typeof answers} */ (what)]);
    self.postMessage({ id, value: await answer(asked) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/** Make the steps that are due, one after the other; what comes in meanwhile is let in between two. */
async function walk() {
  if (walking) return;
  walking = true;
  try {
    for (let mine = session; mine?.due; mine = session) {
      const dropped = mine.catchUp();
      if (dropped) self.postMessage({ trouble: dropped });
      const step = await mine.step();
      if (mine === session) self.postMessage({ step });
      await new Promise((done) => setTimeout(done));
    }
  } catch (error) {
    session = null;
    self.postMessage({ trouble: { type: "error", message: `Recognition failed: ${error}`, hint: "Close it and start again" } });
  } finally {
    walking = false;
  }
}

/** @param {string} root @param {Part[]} parts @param {import("./walk.js").ModelInfo} info @returns {Promise<Model>} */
async function open(root, parts, info) {
  let got = 0;
  /** @param {string} end of a part's address */
  const fetched = async (end) => {
    const part = parts.find(({ url }) => url.endsWith(end));
    if (!part) throw new Error(`${end} is not offered`);
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
      got += value.length;
      self.postMessage({ got });
    }
    if (at < bytes.length) throw new Error(`${part.url} was cut off`);
    return bytes;
  };
  const module = parts.find(({ url }) => url.endsWith(".mjs"));
  const [wasm, graph, ...nets] = await Promise.all(
    [".wasm", "/mmer.onnx", "/pnet.onnx", "/rnet.onnx", "/onet.onnx"].map(fetched));
  const runtime = await Runtime.open(new URL(module?.url ?? "", root).href, wasm);
  const [main, pnet, rnet, onet] = [await runtime.net(graph), ...(await Promise.all(nets.map((net) => runtime.net(net))))];
  return { info, graph: main, nets: { pnet, rnet, onet } };
}

/** @type {OffscreenCanvasRenderingContext2D|null} */
let context = null;

/** A bitmap's pixels; it is used up. @param {ImageBitmap} bitmap @returns {ImageData} */
function pixels(bitmap) {
  const { width, height } = bitmap;
  context ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives a worker no canvas");
  if (context.canvas.width !== width || context.canvas.height !== height) Object.assign(context.canvas, { width, height });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
