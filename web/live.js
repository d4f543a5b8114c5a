// A live session: devices in, steps out, everything measured on the way.
import { Camera } from "./camera.js";
import { openDevices } from "./devices.js";
import { Microphone } from "./microphone.js";

const MEASURED = 25; // steps that the figures are of
const AGAIN_MS = 10_000; // well within what the service waits for one who says nothing
const RESUMED_MS = 3000; // so soon after a pause the service tells of the moments left out in it
const CALM_MS = 3000;

/** @typedef {import("./connection.js").Connection | import("./device/client.js").DeviceSession} Session */
/** @typedef {(media: {video: boolean, audio: boolean}, on: import("./connection.js").SessionEvents) => Session} Connect */

export class Live {
  /**
   * @param {HTMLVideoElement} video
   * @param {Connect} connect to whom it is sent
   * @param {object} on
   * @param {(step: import("./runtime/results.js").Step) => void} on.step
   * @param {(ready: {step_s: number}) => void} on.ready a session has begun
   * @param {(text: string) => void} on.say how it goes
   * @param {(text: string) => void} on.wrong what is wrong at present; "" where nothing is any more
   * @param {(why: import("./connection.js").Trouble|null) => void} on.refused the service does not take this session
   * @param {(figures: {latency: number|null, last: number|null, rate: number}) => void} on.figures milliseconds from capture to
   *   paint, the median of the last steps and the last; steps a second
   */
  constructor(video, connect, on) {
    this.video = video;
    this.connect = connect;
    this.on = on;
    this.paused = this.behind = false;
    this.resumed = -Infinity;
    /** What is wrong, by what it is about. @type {Map<string, string>} */
    this.wrong = new Map();
    this.over = new AbortController();
    /** @type {number[]} */
    this.latencies = [];
    /** @type {number[]} */
    this.times = [];
    /** @type {{video: MediaStreamTrack|null, audio: MediaStreamTrack|null}} */
    this.tracks = { video: null, audio: null };
    /** @type {Session|null} */
    this.session = null;
    /** Why the service ended the session. @type {import("./connection.js").Trouble|null} */
    this.closing = null;
  }

  /** @param {{camera?: string, microphone?: string}} [chosen] @returns {Promise<boolean>} */
  async start(chosen) {
    const { video, audio, problems } = await openDevices(chosen);
    this.#wrong("devices", problems.join(" "));
    if (!video && !audio) return false;
    this.tracks = { video, audio };
    video?.addEventListener("ended", () => this.#lost("camera"));
    audio?.addEventListener("ended", () => this.#lost("microphone"));
    const session = (this.session = this.connect(
      { video: Boolean(video), audio: Boolean(audio) },
      {
        ready: (ready) => {
          this.closing = null;
          this.#wrong("line", "");
          this.on.ready(ready);
          this.#tell();
        },
        step: (step) => this.#step(step),
        trouble: (message) => this.#trouble(message),
        lost: (seconds) => this.#lostLine(seconds),
      },
    ));
    if (video) this.camera = new Camera(video, this.video, session.takes, (picture, taken) => session.sendPicture(picture, taken));
    if (audio) {
      try {
        this.microphone = await Microphone.open(audio, (pcm, begun) => session.sendVoice(pcm, begun));
      } catch (error) {
        this.#wrong("microphone", `The microphone cannot be heard here: ${/** @type {Error} */ (error).message}`);
        session.microphoneOff();
      }
    }
    document.addEventListener("visibilitychange", () => {
      this.resumed = performance.now();
      this.#tellOff();
    }, { signal: this.over.signal });
    this.timer = setInterval(() => this.#tellOff(), AGAIN_MS);
    return true;
  }

  /** @param {import("./runtime/results.js").Step} step */
  #step(step) {
    if (this.paused || !this.session) return;
    this.on.step(step);
    const { origin } = this.session;
    requestAnimationFrame(() => setTimeout(() => this.#measure(step, origin))); // the frame callback comes before the paint
  }

  /** Once a step was painted. @param {import("./runtime/results.js").Step} step @param {number} origin when its session began */
  #measure(step, origin) {
    const now = performance.now();
    this.times.push(now);
    if (typeof step.frame_ms === "number" && origin === this.session?.origin) this.latencies.push(now - origin - step.frame_ms);
    for (const list of [this.times, this.latencies]) if (list.length > MEASURED) list.shift();
    const [first, last] = [this.times[0], this.times.at(-1) ?? 0];
    const sorted = [...this.latencies].sort((a, b) => a - b);
    this.on.figures({
      latency: sorted.length ? sorted[Math.floor(sorted.length / 2)] : null,
      last: this.latencies.at(-1) ?? null,
      rate: last > first ? (1000 * (this.times.length - 1)) / (last - first) : 0,
    });
  }

  /** @param {import("./connection.js").Trouble} message */
  #trouble(message) {
    if (message.type === "dropped") {
      if (performance.now() - this.resumed < RESUMED_MS) return;
      this.behind = true;
      clearTimeout(this.calm);
      this.calm = setTimeout(() => {
        this.behind = false;
        this.#tell();
      }, CALM_MS);
      this.#tell();
    } else if (message.code !== "done") {
      if (message.type === "closing") this.closing = message;
      this.#wrong("line", `${message.message}. ${message.hint}`);
    }
  }

  /** @param {number|null} seconds until it is tried again */
  #lostLine(seconds) {
    const { closing } = this;
    if (seconds === null) return this.on.refused(closing);
    const why = closing ? `${closing.message};` : "The service cannot be reached;";
    this.#wrong("line", `${why} trying again in ${seconds} s.`);
  }

  /** @param {"camera"|"microphone"} name */
  #lost(name) {
    this.#tellOff();
    this.#wrong(name, `The ${name} is gone; going on without it.`);
  }

  /** @param {string} about @param {string} what "" where it is well again */
  #wrong(about, what) {
    if (what) this.wrong.set(about, what);
    else this.wrong.delete(about);
    this.on.wrong([...this.wrong.values()].join(" "));
  }

  #tell() {
    if (this.paused) this.on.say("Paused: nothing is looked at.");
    else this.on.say(this.behind ? "Recognition is behind: some moments are left out." : "Live.");
  }

  /** Tell the service what gives nothing at present: now and then again, since it ends a session that says nothing. */
  #tellOff() {
    const { video, audio } = this.tracks;
    if (this.camera && (this.paused || document.hidden || video?.readyState === "ended")) this.session?.cameraOff();
    if (this.microphone && (this.paused || audio?.readyState === "ended")) this.session?.microphoneOff();
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    for (const device of [this.camera, this.microphone]) if (device) device.paused = paused;
    this.times = [];
    if (paused) this.video.pause();
    else {
      this.resumed = performance.now();
      this.video.play().catch(() => {});
    }
    this.#tellOff();
    this.#tell();
  }

  stop() {
    this.over.abort();
    clearInterval(this.timer);
    clearTimeout(this.calm);
    this.session?.close();
    this.camera?.stop();
    this.microphone?.stop();
    for (const track of Object.values(this.tracks)) track?.stop();
  }
}
