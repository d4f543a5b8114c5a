// mmer/runtime/media/: a clip's pictures on the time grid and its voice at 16 kHz, here by the browser's own decoders.
// It works on the page's own thread, which alone has a video element.
import { SAMPLE_RATE } from "./constants.js";
import { stepCount, stepTime } from "./grid.js";

const PATIENCE_MS = 15_000; // for one picture
const SETTLED_MS = 500; // after which a picture that is not the one asked for is taken all the same: there is no other
const POLL_MS = 10;
const CLOSE_S = 1e-4; // times of pictures are only so exact
const FAR_S = 1e7; // a recording that does not know its length tells it when it is wound there

/** @typedef {VideoFrame|ImageBitmap} Still a picture that a worker can be given; whoever has it closes it */
/** @typedef {{step: number, t: number, still: Still}} Frame `t`: when it is due, seconds */

/** What a video shows now, or a frame of it: not read, only kept. @param {VideoFrame|HTMLVideoElement} shown @returns {Promise<Still>} */
export async function stillOf(shown) {
  if (typeof VideoFrame !== "function") return createImageBitmap(shown);
  return shown instanceof HTMLVideoElement ? new VideoFrame(shown) : shown.clone();
}

/** The sound, one channel. @param {File} file @returns {Promise<Int16Array|null>} null where this browser finds none */
export async function decodeVoice(file) {
  try {
    const heard = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(await file.arrayBuffer());
    const channels = Array.from({ length: heard.numberOfChannels }, (_, k) => heard.getChannelData(k));
    return Int16Array.from({ length: heard.length }, (_, at) => {
      const mean = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
      return Math.max(-32768, Math.min(32767, Math.round(mean * 32768)));
    });
  } catch {
    return null;
  }
}

/** A video, wound from picture to picture. It is never shown, and makes no sound. */
export class VideoReader {
  /** @param {string} url @returns {Promise<VideoReader|null>} null where there is nothing to be seen in it */
  static async open(url) {
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.preload = "auto";
    video.src = url;
    try {
      await happened(video, "loadeddata");
    } catch {
      return null;
    }
    if (!video.videoWidth) return null;
    const reader = new VideoReader(video);
    await reader.#measure();
    return reader;
  }

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.end = video.duration; // of the last picture, seconds
    this.shown = -1; // when the last picture that was taken was due, seconds
  }

  /** When the last picture ends: where a frame does not tell how long it stands, it is as long as the one before. */
  async #measure() {
    if (!Number.isFinite(this.video.duration)) await this.#seek(FAR_S);
    this.end = this.video.duration;
    const last = await this.#wind(this.end);
    if (last.at === null) return;
    const lasts = last.lasts || last.at - ((await this.#wind(last.at - 1e-3)).at ?? last.at);
    if (lasts > 0) this.end = last.at + lasts;
  }

  /**
   * Go to a moment.
   * @template Taken
   * @param {number} seconds
   * @param {(shown: VideoFrame|HTMLVideoElement) => Promise<Taken>|null} [take] what is wanted of the picture shown there
   * @returns {Promise<{at: number|null, lasts: number, taken: Taken|null}>} when it was due and how long it stands, if that
   *   can be known
   */
  async #wind(seconds, take = () => null) {
    const moment = Math.max(0, Math.min(seconds, this.end - CLOSE_S));
    await this.#seek(moment);
    if (typeof VideoFrame !== "function") return { at: null, lasts: 0, taken: await take(this.video) };
    const frame = await this.#due(moment);
    const [at, lasts] = [frame.timestamp / 1e6, (frame.duration ?? 0) / 1e6];
    const taken = await take(frame); // of this very frame: what the element shows may be another one by now
    frame.close();
    this.shown = at;
    return { at, lasts, taken };
  }

  /** @param {number} seconds */
  async #seek(seconds) {
    const wound = happened(this.video, "seeked");
    this.video.currentTime = seconds;
    await wound;
  }

  /**
   * The picture that is due at a moment. A browser that is busy says that it has wound there while it still shows the
   * picture from before.
   * @param {number} moment
   */
  async #due(moment) {
    const until = performance.now() + SETTLED_MS;
    for (;;) {
      const frame = new VideoFrame(this.video);
      const [at, lasts] = [frame.timestamp / 1e6, (frame.duration ?? 0) / 1e6];
      const due = at <= moment + CLOSE_S && (lasts ? moment < at + lasts : at !== this.shown);
      if (due || performance.now() > until) return frame;
      frame.close();
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  /** The picture of each step. @param {number} stepS @param {AbortSignal} signal @returns {AsyncGenerator<Frame>} */
  async *frames(stepS, signal) {
    let any = false;
    for (let step = 0; stepTime(step, stepS) <= this.end + CLOSE_S; step += 1) {
      signal.throwIfAborted();
      const now = stepTime(step, stepS);
      const { at, taken } = await this.#wind(now + CLOSE_S, stillOf);
      const early = at !== null && at > now + 2 * CLOSE_S; // the first picture is still to come
      if (early || !taken) taken?.close();
      else {
        any = true;
        yield { step, t: at ?? now, still: taken };
      }
    }
    if (any) return;
    const { at, taken } = await this.#wind(0, stillOf); // over before it met a step
    if (taken) yield { step: stepCount(this.end, stepS) - 1, t: at ?? 0, still: taken };
  }

  close() {
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/** @param {HTMLVideoElement} video @param {string} event @returns {Promise<void>} */
function happened(video, event) {
  return new Promise((done, fail) => {
    const over = new AbortController();
    const finish = (/** @type {() => void} */ then) => {
      over.abort();
      clearTimeout(timer);
      then();
    };
    const timer = setTimeout(() => finish(() => fail(new Error("the video does not go on"))), PATIENCE_MS);
    video.addEventListener(event, () => finish(done), { signal: over.signal });
    video.addEventListener("error", () => finish(() => fail(new Error(video.error?.message ?? "it cannot be decoded"))),
      { signal: over.signal });
  });
}
