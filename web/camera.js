// A camera's pictures, about ten a second: never more than one on its way. For this device a picture is only taken here;
// its pixels are read in the worker, and only of those that a step sees.
import { hiddenCanvas } from "./canvas.js";
import { stillOf } from "./runtime/media.js";

const EVERY_MS = 95;
const SIDE = 640;
const QUALITY = 0.8;
const CREDIBLE_MS = 1000; // between a picture's capture and its showing

export class Camera {
  /**
   * @param {MediaStreamTrack} track
   * @param {HTMLVideoElement} video shows it
   * @param {"jpeg"|"still"} kind for the network, or for this device
   * @param {(picture: any, taken: number) => void} onPicture a Blob or a Still; `taken` by `performance.now`
   */
  constructor(track, video, kind, onPicture) {
    this.track = track;
    this.video = video;
    this.kind = kind;
    this.onPicture = onPicture;
    this.paused = false;
    this.stopped = false;
    this.busy = false;
    this.last = -Infinity;
    this.canvas = hiddenCanvas(1, 1);
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => {}); // a browser that wants a gesture first has had one
    this.#next();
  }

  #next() {
    if (this.stopped) return;
    const again = (/** @type {number} */ _, /** @type {{captureTime?: number}} */ frame = {}) => {
      this.#capture(frame.captureTime);
      this.#next();
    };
    // A frame callback tells of new pictures only; a hidden page gets none, and so sends none.
    if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(again);
    else requestAnimationFrame(again);
  }

  /** @param {number} [captured] when the camera took it, where the browser knows */
  async #capture(captured) {
    const now = performance.now();
    if (this.paused || this.busy || now - this.last < EVERY_MS || !this.video.videoWidth) return;
    this.busy = true;
    this.last = now;
    try {
      const picture = await (this.kind === "still" ? stillOf(this.video) : this.#jpeg());
      const taken = captured !== undefined && Math.abs(now - captured) < CREDIBLE_MS ? captured : now;
      if (picture && !this.stopped) this.onPicture(picture, taken);
      else if (picture && "close" in picture) picture.close();
    } finally {
      this.busy = false;
    }
  }

  /** @returns {Promise<Blob|null>} */
  #jpeg() {
    const { canvas, video } = this;
    const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    if ("convertToBlob" in canvas) return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  }

  stop() {
    this.stopped = true;
    this.track.stop();
    this.video.srcObject = null;
  }
}
