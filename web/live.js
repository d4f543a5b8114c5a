// A live session: devices in, steps out, everything measured on the way.
import { Camera } from "./camera.js";
import { unreadable } from "./canvas.js";
import { idOf, openDevices } from "./devices.js";
import { Microphone } from "./microphone.js";

const MEASURED = 25; // steps that the figures are of
const AGAIN_MS = 10_000; // well within what the service waits for one who says nothing
const RESUMED_MS = 3000; // so soon after a pause the service tells of the moments left out in it
const CALM_MS = 3000;
const OLD_MS = 3000; // without a step: what is shown is of before
const LOOK_MS = 500;

/** @typedef {import("./connection.js").Connection | import("./device/client.js").DeviceSession} Session */
/** @typedef {import("./devices.js").DeviceName} DeviceName */
/** @typedef {(media: {video: boolean, audio: boolean}, on: import("./connection.js").SessionEvents) => Session} Connect */

export class Live {
  /**
   * @param {HTMLVideoElement} video
   * @param {Connect} connect to whom it is sent
   * @param {object} on
   * @param {(step: import("./runtime/results.js").Step) => void} on.step
   * @param {(message: import("./runtime/results.js").Spoken) => void} on.utterance
   * @param {(found: import("./connection.js").Calibration|null, why: string) => void} on.calibrated null: it came to nothing, and why
   * @param {(ready: {step_s: number}) => void} on.ready a session has begun
   * @param {(text: string, busy?: boolean) => void} on.say how it goes
   * @param {(text: string) => void} on.wrong what is wrong at present; "" where nothing is any more
   * @param {(old: boolean) => void} on.age whether what is shown is of before, since nothing new comes in
   * @param {(without: Record<string, string>) => void} on.lack what gives nothing at present, by modality
   * @param {(why: import("./connection.js").Trouble|null) => void} on.refused the service does not take this session
   * @param {(figures: {latency: number|null, last: number|null, rate: number}) => void} on.figures milliseconds from capture to
   *   paint, the median of the last steps and the last; steps a second
   */
  constructor(video, connect, on) {
    this.video = video;
    this.connect = connect;
    this.on = on;
    this.paused = this.behind = this.resting = false;
    /** Whether the service has begun a session; null before it was asked. @type {boolean|null} */
    this.connected = null;
    /** When the last step came, by `performance.now`. @type {number|null} */
    this.stepped = null;
    /** @type {boolean|null} */
    this.old = null;
    /** Devices that went, and whether the list of devices was without them since. @type {Map<DeviceName, {id: string, label: string, missed: boolean}>} */
    this.gone = new Map();
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

  /** @param {import("./devices.js").Chosen} chosen @param {boolean} processed the voice, as for calls @returns {Promise<boolean>} */
  async start(chosen, processed) {
    const { video, audio, problems } = await openDevices(chosen, processed);
    this.#wrong("devices", problems.join(" "));
    if (!video && !audio) return false;
    this.tracks = { video, audio };
    const { signal } = this.over;
    video?.addEventListener("ended", () => this.#lose("camera", video), { signal });
    audio?.addEventListener("ended", () => this.#lose("microphone", audio), { signal });
    for (const event of ["mute", "unmute"]) video?.addEventListener(event, () => this.#look(video), { signal });
    const session = (this.session = this.connect(
      { video: Boolean(video), audio: Boolean(audio) },
      {
        ready: (ready) => {
          this.connected = true;
          this.closing = null;
          this.#wrong("line", "");
          this.on.ready(ready);
          this.#tellOff();
          this.#tell();
        },
        step: (step) => this.#step(step),
        utterance: (message) => this.on.utterance(message),
        calibration: (found) => this.#rested(found, ""),
        trouble: (message) => this.#trouble(message),
        lost: (seconds) => this.#lostLine(seconds),
      },
    ));
    if (video) {
      this.camera = new Camera(video, this.video, session.takes, (picture, taken) => session.sendPicture(picture, taken));
      this.#wrong("canvas", unreadable());
      this.#look(video);
    }
    if (audio) {
      this.microphone = new Microphone(audio, (pcm, begun) => session.sendVoice(pcm, begun), (why) => {
        this.#wrong("microphone", why);
        this.#lack();
      });
    }
    document.addEventListener("visibilitychange", () => {
      this.resumed = performance.now();
      this.#tellOff();
    }, { signal });
    this.timers = [setInterval(() => this.#tellOff(), AGAIN_MS), setInterval(() => this.#age(), LOOK_MS)];
    this.#lack();
    this.#tell();
    return true;
  }

  /** @param {import("./runtime/results.js").Step} step */
  #step(step) {
    if (this.paused || !this.session) return;
    this.stepped = performance.now();
    this.on.step(step);
    this.#age();
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
    } else if (message.code === "bad_calibration") this.#rested(null, message.message);
    else if (message.code !== "done") {
      if (message.type === "closing") this.closing = message;
      this.#wrong("line", `${message.message}. ${message.hint}`);
    }
  }

  /** @param {number|null} seconds until it is tried again */
  #lostLine(seconds) {
    const { closing } = this;
    this.connected = this.resting = false;
    if (this.stepped !== null) this.stepped = -Infinity;
    this.#age();
    if (seconds === null) return this.on.refused(closing);
    this.#tell();
    const why = closing ? `${closing.message};` : "The service cannot be reached;";
    this.#wrong("line", `${why} trying again in ${seconds} s.`);
  }

  #age() {
    if (this.stepped === null) return;
    const old = !this.paused && performance.now() - this.stepped > OLD_MS;
    if (old !== this.old) this.on.age(old);
    this.old = old;
  }

  /** @param {DeviceName} name @param {MediaStreamTrack} track */
  #lose(name, track) {
    if (name === "microphone") this.microphone?.stop();
    this.gone.set(name, { id: track.getSettings().deviceId ?? "", label: track.label, missed: false });
    this.#wrong(name, `The ${name} is gone; going on without it. It is taken again once it is back.`);
    this.#lack();
  }

  /** Whether a camera gives pictures. @param {MediaStreamTrack} video */
  #look(video) {
    this.#wrong("camera", video.muted ? "The camera gives no pictures at present: it may be covered or used elsewhere." : "");
    this.#lack();
  }

  /** What gives nothing, and why, in two words. */
  #lack() {
    const { video, audio } = this.tracks;
    const blind = video?.readyState !== "live" ? "no camera" : video.muted ? "no pictures" : "";
    const deaf = audio?.readyState !== "live" ? "no microphone" : this.microphone?.trouble ? "not heard" : "";
    this.on.lack({ face: blind, scene: blind, voice: deaf });
    this.#tellOff();
  }

  /** Which devices are in use. @returns {Record<DeviceName, string>} */
  get using() {
    return { camera: idOf(this.tracks.video), microphone: idOf(this.tracks.audio) };
  }

  /**
   * Which devices that went are back.
   * @param {MediaDeviceInfo[]} devices what there is
   * @returns {import("./devices.js").Chosen|null} null: none
   */
  back(devices) {
    /** @type {import("./devices.js").Chosen} */
    const back = {};
    for (const [name, gone] of this.gone) {
      const there = devices.some(({ deviceId, label }) => deviceId === gone.id && label === gone.label);
      if (there && gone.missed) back[name] = gone.id; // one that was there all the time was taken away from this page
      gone.missed ||= !there;
    }
    return Object.keys(back).length ? back : null;
  }

  /** @param {string} about @param {string} what "" where it is well again */
  #wrong(about, what) {
    if (what) this.wrong.set(about, what);
    else this.wrong.delete(about);
    this.on.wrong([...this.wrong.values()].join(" "));
  }

  #tell() {
    if (this.connected === null) this.on.say("Connecting …", true);
    else if (!this.connected) this.on.say("Not connected: nothing is recognised at present.");
    else if (this.paused) this.on.say("Paused: nothing is looked at.");
    else if (!this.resting) this.on.say(this.behind ? "Recognition is behind: some moments are left out." : "Live.");
  }

  /** Tell the service what gives nothing at present: now and then again, since it ends a session that says nothing. */
  #tellOff() {
    const { video, audio } = this.tracks;
    if (video && (this.paused || document.hidden || video.muted || video.readyState === "ended")) this.session?.cameraOff();
    if (audio && (this.paused || this.microphone?.trouble || audio.readyState === "ended")) this.session?.microphoneOff();
  }

  /** @param {import("./connection.js").Calibrate} message */
  calibrate(message) {
    this.resting = "seconds" in message;
    this.session?.calibrate(message);
  }

  /** What came of it. @param {import("./connection.js").Calibration|null} found @param {string} why null */
  #rested(found, why) {
    this.resting = false;
    this.on.calibrated(found, why);
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    for (const device of [this.camera, this.microphone]) if (device) device.paused = paused;
    this.times = [];
    if (paused) this.video.pause();
    else {
      this.resumed = performance.now();
      if (this.stepped !== null) this.stepped = this.resumed;
      this.video.play().catch(() => {});
    }
    this.#tellOff();
    this.#tell();
  }

  stop() {
    this.over.abort();
    this.timers?.forEach(clearInterval);
    clearTimeout(this.calm);
    this.session?.close();
    this.camera?.stop();
    this.microphone?.stop();
    for (const track of Object.values(this.tracks)) track?.stop();
  }
}
