// The page's side of the worker: the recogniser on this device, for clips like api.js, live like connection.js.
import { Refused } from "../api.js";
import { unreadable } from "../canvas.js";
import { listTracks } from "../container.js";
import { SAMPLE_RATE } from "../runtime/constants.js";
import { stepCount } from "../runtime/grid.js";
import { VideoReader, decodeVoice } from "../runtime/media.js";

/** @typedef {import("../runtime/pipeline.js").ModelInfo} ModelInfo */
/** @typedef {import("./worker.js").Part} Part */

const MAX_IN_FLIGHT = 2; // pictures on their way to the worker, at most: more are dropped, not queued
const HOW = "Send a video, a sound or an image that this browser can play, or turn “On this device” off.";

/**
 * What must be fetched; none where the service has no runtime for pages.
 * @param {string} [weights] of the graph that is wanted: where it is not offered, the other is taken
 * @returns {Promise<Part[]>} the graph first
 */
export async function listParts(weights = "int8") {
  const response = await fetch("device/parts.json");
  /** @type {Part[]} */
  const parts = response.ok ? await response.json() : [];
  const graphs = parts.filter((part) => part.weights);
  const graph = graphs.find((part) => part.weights === weights) ?? graphs[0];
  return graph ? [graph, ...parts.filter((part) => !part.weights)] : [];
}

/** Whether this browser can run it. @returns {string|null} why not */
export function missingForDevice() {
  // The smallest module that uses SIMD, without which the runtime does not start.
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  if (typeof WebAssembly !== "object") return "WebAssembly is off in this browser.";
  if (!WebAssembly.validate(new Uint8Array(simd))) return "This browser's WebAssembly is too old (it lacks SIMD).";
  if (typeof OffscreenCanvas !== "function" || typeof Worker !== "function") return "This browser is too old for it.";
  return null;
}

export class Device {
  /**
   * Fetch everything and start it.
   * @param {ModelInfo} info
   * @param {Part[]} parts by `listParts`
   * @param {(bytes: number) => void} onProgress
   * @returns {Promise<Device>}
   * @throws {Error} something cannot be fetched, or the browser does not run it
   */
  static async open(info, parts, onProgress) {
    const told = { ...info, weights: parts[0].weights }; // the service may run the other graph
    const device = new Device(told, onProgress);
    try {
      await device.ask("load", { root: document.baseURI, parts, info: told });
    } catch (error) {
      device.close();
      throw error;
    }
    return device;
  }

  /** @param {ModelInfo} info @param {(bytes: number) => void} onProgress */
  constructor(info, onProgress) {
    this.info = info;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    /** @type {Map<number, {done: (value: any) => void, fail: (error: Error) => void}>} */
    this.waiting = new Map();
    this.calls = 0;
    /** @type {DeviceSession|null} */
    this.session = null;
    /** Called with the addresses that the worker requested. @type {(urls: string[]) => void} */
    this.onRequests = () => {};
    this.worker.onmessage = ({ data }) => {
      if (data.fetched) onProgress(data.fetched);
      else if (data.requests) this.onRequests(data.requests);
      else if (data.step) this.session?.on.step(data.step);
      else if (data.utterance) this.session?.on.utterance(data.utterance);
      else if (data.calibration) this.session?.on.calibration(data.calibration);
      else if (data.trouble) this.session?.on.trouble(data.trouble);
      else {
        const { done, fail } = /** @type {NonNullable<ReturnType<typeof this.waiting.get>>} */ (this.waiting.get(data.id));
        this.waiting.delete(data.id);
        if (data.error === undefined) done(data.value);
        else fail(new Error(data.error));
      }
    };
    this.worker.onerror = (event) => this.#broken(event.message || "its parts cannot be loaded");
  }

  /**
   * Have the worker do something.
   * @param {string} call one of worker.js's calls
   * @param {object} [values] @param {Transferable[]} [transfer] what goes over to it
   * @returns {Promise<any>}
   */
  ask(call, values = {}, transfer = []) {
    const id = (this.calls += 1);
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.worker.postMessage({ ...values, id, call }, transfer);
    });
  }

  /**
   * Have a clip recognised.
   * @param {File} file
   * @param {AbortSignal} signal
   * @param {(seconds: number) => void} onProgress how far it is
   * @returns {Promise<import("../runtime/results.js").Prediction>} as the service gives it
   * @throws {Refused} it cannot be used
   */
  async predict(file, signal, onProgress) {
    const { input: { step_s: stepS }, media: { max_duration_s: most } } = this.info;
    const url = URL.createObjectURL(file);
    /** @type {VideoReader|null} */
    let video = null;
    try {
      await this.ask("clip");
      const noise = unreadable();
      if (noise && !file.type.startsWith("audio/")) throw new Refused(noise, "The server still can: turn “On this device” off.");
      const image = file.type.startsWith("image/") ? await createImageBitmap(file).catch(() => null) : null;
      if (image) {
        await this.ask("pushClipFrame", { step: 0, t: 0, still: image }, [image]);
        signal.throwIfAborted();
        return { path: file.name, ...(await this.ask("predict", { count: 1, voice: new Int16Array(0) })) };
      }
      const voice = await decodeVoice(file);
      video = await VideoReader.open(url);
      const tracks = await listTracks(file);
      signal.throwIfAborted();
      // The service would decode it: an answer without it would not be the service's.
      if (tracks.picture && !video) throw new Refused(`${file.name}: this browser cannot decode its pictures.`, HOW);
      if (tracks.sound && !voice) throw new Refused(`${file.name}: this browser cannot decode its sound.`, HOW);
      if (!video && !voice) throw new Refused(`${file.name}: this browser finds neither picture nor sound in it.`, HOW);
      const seconds = Math.max(video?.end ?? 0, (voice?.length ?? 0) / SAMPLE_RATE);
      if (seconds > most) throw new Refused(`${file.name} lasts ${Math.round(seconds)} s; at most ${most} s are taken.`, HOW);
      let extracted = Promise.resolve();
      if (video) {
        for await (const { step, t, still } of video.frames(stepS, signal)) {
          await extracted; // the next picture is wound to while the worker has this one
          extracted = this.ask("pushClipFrame", { step, t, still }, [still]);
          onProgress(t);
        }
      }
      await extracted;
      signal.throwIfAborted(); // another clip may have been begun
      const rest = { count: stepCount(seconds, stepS), voice: voice ?? new Int16Array(0) };
      return { path: file.name, ...(await this.ask("predict", rest)) };
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error;
      throw new Refused(`${file.name}: ${/** @type {Error} */ (error).message}.`, HOW);
    } finally {
      video?.close();
      URL.revokeObjectURL(url);
    }
  }

  /** @param {string} why */
  #broken(why) {
    for (const { fail } of this.waiting.values()) fail(new Error(why));
    this.waiting.clear();
    this.session?.on.trouble({ type: "error", message: `The recogniser stopped: ${why}`, hint: "Load the page anew" });
  }

  close() {
    this.worker.terminate();
    this.#broken("it was turned off");
  }
}

/** A live session, used like a Connection. */
export class DeviceSession {
  /** What `sendPicture` takes. */
  takes = /** @type {const} */ ("still");

  /**
   * @param {Device} device
   * @param {{video: boolean, audio: boolean}} media what will come
   * @param {import("../connection.js").SessionEvents} on
   */
  constructor(device, media, on) {
    this.device = device;
    this.on = on;
    this.origin = performance.now();
    this.waiting = 0;
    this.dropped = 0;
    device.session = this;
    this.#ask("open", { media: { video: media.video, audio: media.audio } }).then(() => {
      if (device.session === this) on.ready({ step_s: device.info.input.step_s });
    });
  }

  /** @param {string} call @param {object} [values] @param {Transferable[]} [transfer] */
  async #ask(call, values, transfer) {
    try {
      await this.device.ask(call, values, transfer);
    } catch (error) {
      if (this.device.session === this) {
        this.on.trouble({ type: "error", message: /** @type {Error} */ (error).message, hint: "Close it and start again" });
      }
    }
  }

  /** @param {number} now by `performance.now` @returns {number} seconds since the start, in whole milliseconds */
  #time(now) {
    return Math.max(0, Math.round(now - this.origin)) / 1000;
  }

  /** @param {import("../runtime/media.js").Still} still @param {number} taken */
  async sendPicture(still, taken) {
    if (this.waiting >= MAX_IN_FLIGHT) {
      this.dropped += 1;
      still.close();
      return;
    }
    this.waiting += 1;
    await this.#ask("pushFrame", { still, t: this.#time(taken) }, [still]);
    this.waiting -= 1;
  }

  /** @param {ArrayBuffer} pcm @param {number} begun */
  sendVoice(pcm, begun) {
    if (begun >= this.origin) this.#ask("pushVoice", { pcm, t: this.#time(begun) }, [pcm]);
  }

  cameraOff() {
    this.#ask("pushFrame", { still: null, t: this.#time(performance.now()) });
  }

  microphoneOff() {
    this.#ask("pushVoice", { pcm: null, t: this.#time(performance.now()) });
  }

  /** @param {import("../connection.js").Calibrate} message */
  async calibrate(message) {
    try {
      await this.device.ask("calibrate", message);
    } catch (error) {
      this.on.trouble({ type: "error", code: "bad_calibration", message: /** @type {Error} */ (error).message, hint: "" });
    }
  }

  close() {
    if (this.device.session !== this) return;
    this.device.session = null;
    this.#ask("close");
  }
}
