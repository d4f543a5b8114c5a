// The connection to the service by the stream protocol (docs/protocol.md): one session after another, until it is closed
// for good.
import { CAMERA_OFF, FRAME, MICROPHONE_OFF, SAMPLE_RATE, VERSION, VOICE } from "./runtime/constants.js";

const FULL = 64 * 1024; // bytes that wait to be sent: a slow line, on which pictures are left out, not queued
const BEHIND_MS = 800; // so old an answer tells of a slow line too: what waits below the browser cannot be seen …
const ANYWAY_MS = 1000; // … but a picture a second is sent, or one who only shows a face would never hear again
const OPENS_MS = 10_000; // in which a session begins, or it is tried again
const SILENT_MS = 20_000; // without an answer to what is sent: a line that was cut without a word
const REST_MS = 2000; // so long after what was sent last, no answer is waited for any more
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const FINAL = new Set(["key", "origin", "protocol", "bad_hello"]); // trying again would change nothing

/**
 * @typedef {object} SessionEvents
 * @property {(ready: {step_s: number}) => void} ready a session has begun
 * @property {(step: import("./runtime/results.js").Step) => void} step
 * @property {(message: import("./runtime/results.js").Spoken) => void} utterance one has begun, or ended
 * @property {(summary: import("./runtime/results.js").Utterance) => void} [summary] instead of steps, where it was asked for
 * @property {(calibration: Calibration) => void} calibration what was found, to be kept and used another time
 * @property {(message: Trouble) => void} trouble
 * @property {(seconds: number|null) => void} lost the connection is gone; tried again in so many seconds, or not
 */
/** @typedef {import("./runtime/calibration.js").Calibration} Calibration */
/** Somebody is at rest for so many seconds; or a calibration that was kept is used, or none. @typedef {{seconds: number} | {calibration: Calibration|null}} Calibrate */
/** @typedef {{type: string, code?: string, message: string, hint: string}} Trouble `error`, `dropped` or `closing` */

let sockets = 0;

/** How many connections are open. */
export const openSockets = () => sockets;

export class Connection {
  /** What `sendPicture` takes. */
  takes = /** @type {const} */ ("jpeg");

  /**
   * @param {{video: boolean, audio: boolean, key?: string, interval_s?: number}} hello what will come; the API key, where the service
   *   asks for one; where a summary each so many seconds is wanted instead of steps, how many
   * @param {Partial<SessionEvents>} on
   */
  constructor(hello, on) {
    this.hello = hello;
    /** @type {Required<SessionEvents>} */
    this.on = { ready() {}, step() {}, utterance() {}, summary() {}, calibration() {}, trouble() {}, lost() {}, ...on };
    this.attempt = 0;
    this.dropped = 0;
    this.closed = false;
    this.open = false;
    this.origin = this.answered = this.sent = 0; // by `performance.now`: the session's start, the last answer's step, the last picture
    /** Of what was sent since the last answer, when it began, by `performance.now`. @type {number|null} */
    this.unanswered = null;
    this.spoke = -Infinity;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    this.giveUp = () => {};
    this.socket = this.#connect();
  }

  /** @returns {WebSocket} */
  #connect() {
    const url = new URL("stream", import.meta.url);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    sockets += 1;
    socket.binaryType = "arraybuffer";
    /** @type {Trouble|null} */
    let last = null;
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", protocol: VERSION, rate: SAMPLE_RATE, ...this.hello }));
    this.timer = setTimeout(() => this.giveUp(), OPENS_MS);
    socket.onmessage = ({ data }) => {
      this.unanswered = null;
      const message = JSON.parse(data);
      if (message.type === "ready") {
        clearTimeout(this.timer);
        this.attempt = 0;
        this.origin = this.answered = this.sent = performance.now();
        this.open = true;
        this.on.ready(message);
      } else if (message.type === "step") {
        this.answered = this.origin + 1000 * message.t;
        this.on.step(message);
      } else if (message.type.startsWith("utterance")) this.on.utterance(message);
      else if (message.type === "summary") {
        this.answered = this.origin + 1000 * message.end;
        this.on.summary(message);
      } else if (message.type === "calibration") this.on.calibration(message);
      else {
        last = message;
        this.on.trouble(message);
      }
    };
    let lost = false;
    const lose = () => {
      if (lost || this.closed) return;
      lost = true;
      this.open = false;
      this.unanswered = null;
      clearTimeout(this.timer);
      const final = last?.type === "closing" && FINAL.has(last.code ?? "");
      const wait = final ? null : WAITS_MS[Math.min(this.attempt, WAITS_MS.length - 1)];
      this.attempt += 1;
      this.on.lost(wait === null ? null : wait / 1000);
      if (wait !== null) this.timer = setTimeout(() => (this.socket = this.#connect()), wait);
    };
    socket.onclose = () => {
      sockets -= 1;
      lose();
    };
    this.giveUp = () => {
      socket.onmessage = null;
      socket.close();
      lose(); // a line that was cut without a word may take minutes to tell that it is closed
    };
    return socket;
  }

  /** @param {number} now by `performance.now` @returns {number} milliseconds since the start of the session */
  time(now) {
    return Math.max(0, Math.round(now - this.origin));
  }

  /** @param {number} kind @param {number} now @param {ArrayBuffer} [payload] */
  #send(kind, now, payload = new ArrayBuffer(0)) {
    if (!this.open || this.socket.readyState !== WebSocket.OPEN) return;
    if (kind === FRAME || kind === VOICE) {
      const present = performance.now();
      if (this.unanswered === null || present - this.spoke > REST_MS) this.unanswered = present;
      this.spoke = present;
      if (present - this.unanswered > SILENT_MS) return this.giveUp();
    }
    const message = new Uint8Array(5 + payload.byteLength);
    const head = new DataView(message.buffer);
    head.setUint8(0, kind);
    head.setUint32(1, this.time(now), true);
    message.set(new Uint8Array(payload), 5);
    this.socket.send(message);
  }

  /** @param {Blob} jpeg @param {number} taken */
  async sendPicture(jpeg, taken) {
    const slow = taken - this.answered > BEHIND_MS && taken - this.sent < ANYWAY_MS;
    if (!this.open || slow || this.socket.bufferedAmount > FULL) {
      this.dropped += 1;
      return;
    }
    this.sent = taken;
    this.#send(FRAME, taken, await jpeg.arrayBuffer());
  }

  /** @param {ArrayBuffer} pcm @param {number} begun */
  sendVoice(pcm, begun) {
    if (begun >= this.origin) this.#send(VOICE, begun, pcm);
  }

  cameraOff() {
    this.#send(CAMERA_OFF, performance.now());
  }

  microphoneOff() {
    this.#send(MICROPHONE_OFF, performance.now());
  }

  /** @param {Calibrate} message */
  calibrate(message) {
    if (this.open) this.socket.send(JSON.stringify({ type: "calibrate", ...message }));
  }

  close() {
    this.closed = true;
    this.open = false;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
