// A live session: devices in, steps out, everything measured on the way.
import { Camera } from "./camera.js";
import { openDevices } from "./devices.js";
import { Microphone } from "./microphone.js";
import { Stream } from "./stream.js";

const MEASURED = 25; // steps that the figures are of

export class Live {
  /**
   * @param {HTMLVideoElement} video
   * @param {object} on
   * @param {(step: import("./emotions.js").Step) => void} on.step
   * @param {(ready: any) => void} on.ready a session has begun
   * @param {(text: string, bad?: boolean) => void} on.say
   * @param {(figures: {late: number|null, last: number|null, rate: number}) => void} on.figures milliseconds from capture to
   *   paint, the median of the last steps and the last; steps a second
   */
  constructor(video, on) {
    this.video = video;
    this.on = on;
    this.late = [];
    this.times = [];
  }

  /** @param {{camera?: string, microphone?: string}} chosen @param {string} [key] @returns {Promise<boolean>} */
  async start(chosen, key) {
    const { video, audio, problems } = await openDevices(chosen);
    if (problems.length) this.on.say(problems.join(" "), true);
    if (!video && !audio) return false;
    this.tracks = { video, audio };
    for (const [name, track] of [["camera", video], ["microphone", audio]]) {
      track?.addEventListener("ended", () => this.#lost(name));
    }
    this.stream = new Stream(
      { video: Boolean(video), audio: Boolean(audio), ...(key && { key }) },
      {
        ready: (ready) => {
          this.on.ready(ready);
          this.on.say("Live.");
        },
        step: (step) => this.#step(step),
        trouble: (message) => this.#trouble(message),
        lost: (seconds) => this.on.say(
          seconds === null ? "The service does not take this session." :
            `The service cannot be reached; trying again in ${seconds} s.`, true),
      },
    );
    if (video) this.camera = new Camera(video, this.video, (jpeg, taken) => this.stream.sendPicture(jpeg, taken));
    if (audio) {
      try {
        this.microphone = await Microphone.open(audio, (pcm, begun) => this.stream.sendVoice(pcm, begun));
      } catch (error) {
        this.on.say(`The microphone cannot be heard here: ${error.message}`, true);
        this.stream.microphoneOff();
      }
    }
    return true;
  }

  #step(step) {
    if (this.paused) return;
    this.on.step(step);
    const session = this.stream.origin;
    requestAnimationFrame(() => {
      const now = performance.now();
      this.times.push(now);
      if (step.frame_ms !== null && session === this.stream.origin) this.late.push(now - session - step.frame_ms);
      for (const list of [this.times, this.late]) if (list.length > MEASURED) list.shift();
      const [first, last] = [this.times[0], this.times.at(-1)];
      const sorted = [...this.late].sort((a, b) => a - b);
      this.on.figures({
        late: sorted.length ? sorted[Math.floor(sorted.length / 2)] : null,
        last: this.late.at(-1) ?? null,
        rate: last > first ? (1000 * (this.times.length - 1)) / (last - first) : 0,
      });
    });
  }

  #trouble(message) {
    if (message.type === "dropped") this.on.say("The service is behind: some moments are left out.");
    else if (message.type === "error") this.on.say(`${message.message}. ${message.hint}`, true);
    else if (message.code !== "done") this.on.say(`${message.message}. ${message.hint}`, true);
  }

  #lost(name) {
    if (name === "camera") this.stream.cameraOff();
    else this.stream.microphoneOff();
    this.on.say(`The ${name} is gone; going on without it.`, true);
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    for (const device of [this.camera, this.microphone]) if (device) device.paused = paused;
    this.times = [];
    if (paused) {
      this.video.pause();
      if (this.camera) this.stream.cameraOff();
      if (this.microphone) this.stream.microphoneOff();
    } else this.video.play().catch(() => {});
  }

  stop() {
    this.stream?.close();
    this.camera?.stop();
    this.microphone?.stop();
    for (const track of Object.values(this.tracks ?? {})) track?.stop();
  }
}
