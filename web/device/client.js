// The recogniser on this device, as the page sees it: clips like api.js, live sessions like stream.js.
import { Refused } from "../api.js";
import { Film, stepCount, voice } from "./decode.js";

/** @typedef {import("./walk.js").ModelInfo} ModelInfo */
/** @typedef {import("./worker.js").Part} Part */

const WAITING = 2; // pictures on their way to the worker, at most: more are dropped, not queued
const HOW = "Send a video, a sound or an image that this browser can play, or turn “On this device” off.";

/** What must be fetched; none where the service has no runtime for pages. @returns {Promise<Part[]>} */
export async function listParts() {
  const response = await fetch("device/parts.json");
  return response.ok ? response.json() : [];
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
   * @param {Part[]} parts
   * @param {(bytes: number) => void} onProgress
   * @returns {Promise<Device>}
   * @throws {Error} something cannot be fetched, or the browser does not run it
   */
  static async open(info, parts, onProgress) {
    const device = new Device(info, onProgress);
    try {
      await device.ask("load", { root: document.baseURI, parts, info });
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
    this.asked = 0;
    /** @type {DeviceStream|null} */
    this.stream = null;
    /** Called with the addresses that the worker asked the network for. @type {(urls: string[]) => void} */
    this.onRequests = () => {};
    this.worker.onmessage = ({ data }) => {
      if (data.got) onProgress(data.got);
      else if (data.asked) this.onRequests(data.asked);
      else if (data.step) this.stream?.on.step(data.step);
      else if (data.trouble) this.stream?.on.trouble(data.trouble);
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
   * @param {string} what one of worker.js's answers
   * @param {object} [asked] @param {Transferable[]} [given] what goes over to it
   * @returns {Promise<any>}
   */
  ask(what, asked = {}, given = []) {
    const id = (this.asked += 1);
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.worker.postMessage({ ...asked, id, what }, given);
    });
  }

  /**
   * Have a clip recognised.
   * @param {File} file
   * @param {AbortSignal} signal
   * @param {(seconds: number) => void} onProgress how far it is
   * @returns {Promise<any>} the prediction, as the service gives it
   * @throws {Refused} it cannot be used
   */
  async predict(file, signal, onProgress) {
    const { input: { step_s: stepS }, media: { max_duration_s: most } } = this.info;
    const url = URL.createObjectURL(file);
    /** @type {Film|null} */
    let film = null;
    try {
      await this.ask("clip");
      const still = file.type.startsWith("image/") ? await createImageBitmap(file).catch(() => null) : null;
      if (still) {
        await this.ask("look", { step: 0, at: 0, picture: still }, [still]);
        signal.throwIfAborted();
        return { path: file.name, ...(await this.ask("recognise", { count: 1, voice: new Int16Array(0) })) };
      }
      const heard = await voice(file);
      film = await Film.open(url);
      signal.throwIfAborted();
      if (!film && !heard) throw new Refused(`${file.name}: this browser finds neither picture nor sound in it.`, HOW);
      const seconds = Math.max(film?.end ?? 0, (heard?.length ?? 0) / 16000);
      if (seconds > most) throw new Refused(`${file.name} lasts ${Math.round(seconds)} s; at most ${most} s are taken.`, HOW);
      let looked = Promise.resolve();
      if (film) {
        for await (const { step, at, picture } of film.pictures(stepS, signal)) {
          await looked; // the next picture is wound to while this one is looked at
          looked = this.ask("look", { step, at, picture }, [picture]);
          onProgress(at);
        }
      }
      await looked;
      signal.throwIfAborted(); // another clip may have been begun
      const asked = { count: stepCount(seconds, stepS), voice: heard ?? new Int16Array(0) };
      return { path: file.name, ...(await this.ask("recognise", asked)) };
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error;
      throw new Refused(`${file.name}: ${/** @type {Error} */ (error).message}.`, HOW);
    } finally {
      film?.close();
      URL.revokeObjectURL(url);
    }
  }

  /** @param {string} why */
  #broken(why) {
    for (const { fail } of this.waiting.values()) fail(new Error(why));
    this.waiting.clear();
    this.stream?.on.trouble({ type: "error", message: `The recogniser stopped: ${why}`, hint: "Load the page anew" });
  }

  close() {
    this.worker.terminate();
    this.#broken("it was turned off");
  }
}

/** A live session, used like stream.js's. */
export class DeviceStream {
  /** What `sendPicture` takes. */
  takes = /** @type {const} */ ("bitmap");

  /**
   * @param {Device} device
   * @param {{video: boolean, audio: boolean}} what
   * @param {import("../stream.js").StreamEvents} on
   */
  constructor(device, what, on) {
    this.device = device;
    this.on = on;
    this.origin = performance.now();
    this.waiting = 0;
    this.dropped = 0;
    device.stream = this;
    this.#ask("open", { for: { video: what.video, audio: what.audio } }).then(() => {
      if (device.stream === this) on.ready({ step_s: device.info.input.step_s });
    });
  }

  /** @param {string} what @param {object} [asked] @param {Transferable[]} [given] */
  async #ask(what, asked, given) {
    try {
      await this.device.ask(what, asked, given);
    } catch (error) {
      if (this.device.stream === this) {
        this.on.trouble({ type: "error", message: /** @type {Error} */ (error).message, hint: "Close it and start again" });
      }
    }
  }

  /** @param {number} now by `performance.now` @returns {number} seconds since the start, in whole milliseconds */
  #time(now) {
    return Math.max(0, Math.round(now - this.origin)) / 1000;
  }

  /** @param {ImageBitmap} picture @param {number} taken */
  async sendPicture(picture, taken) {
    if (this.waiting >= WAITING) {
      this.dropped += 1;
      picture.close();
      return;
    }
    this.waiting += 1;
    await this.#ask("see", { picture, t: this.#time(taken) }, [picture]);
    this.waiting -= 1;
  }

  /** @param {ArrayBuffer} pcm @param {number} begun */
  sendVoice(pcm, begun) {
    if (begun >= this.origin) this.#ask("hear", { pcm, t: this.#time(begun) }, [pcm]);
  }

  cameraOff() {
    this.#ask("see", { picture: null, t: this.#time(performance.now()) });
  }

  microphoneOff() {
    this.#ask("hear", { pcm: null, t: this.#time(performance.now()) });
  }

  close() {
    if (this.device.stream !== this) return;
    this.device.stream = null;
    this.#ask("close");
  }
}
