// The switch “On this device”: the recogniser is fetched once, and from then on it shows that the network is silent.
import { Device, listParts, missingForDevice } from "./device/client.js";
import { Silence } from "./silence.js";

const { searchParams } = new URL(location.href);
const WEIGHTS = searchParams.get("weights") ?? undefined; // “float32”: the larger graph
const ADD = "This server does not offer it: whoever runs it adds it with “make page”, which needs Node.";

export class OnDevice {
  /**
   * @param {(id: string) => any} at
   * @param {import("./runtime/pipeline.js").ModelInfo} info
   * @param {object} on
   * @param {() => void} on.change what runs must stop
   * @param {() => Promise<unknown>} on.fetch what else must be at hand
   * @param {(text: string, busy?: boolean) => void} on.say
   * @param {(what: string, hint: string) => void} on.complain
   */
  constructor(at, info, on) {
    this.button = at("device");
    this.note = at("devicenote");
    this.info = info;
    this.on = on;
    this.silence = new Silence(at("network"));
    /** The recogniser, while the switch is on. @type {Device|null} */
    this.device = null;
    /** @type {import("./device/client.js").Part[]} */
    this.parts = [];
    this.button.checked = false; // some browsers bring back what it was
    this.button.addEventListener("click", (/** @type {Event} */ event) => {
      if (this.button.ariaDisabled === "true") event.preventDefault();
    });
    this.button.addEventListener("change", () => (this.button.checked ? this.#turnOn() : this.#turnOff()));
    this.#offer();
  }

  async #offer() {
    this.parts = await listParts(WEIGHTS).catch(() => []);
    const missing = missingForDevice() ?? (this.parts.length ? null : ADD);
    this.button.disabled = missing !== null;
    this.note.textContent = missing ??
      `Model (${this.parts[0].weights} weights) and runtime, ${megabytes(this.#sum("sent"))}, are fetched once; then nothing is sent: pictures and voice stay in this browser.`;
  }

  /** @param {"bytes"|"sent"} which */
  #sum(which) {
    return this.parts.reduce((sum, part) => sum + part[which], 0);
  }

  async #turnOn() {
    this.on.change();
    this.button.ariaDisabled = "true"; // not disabled: it would lose the focus
    let fetched = 0;
    const tell = () => this.on.say(`Fetching model and runtime: ${Math.floor((100 * fetched) / this.#sum("bytes"))}% …`, true);
    tell();
    try {
      await this.on.fetch();
      const device = await Device.open(this.info, this.parts, (bytes) => {
        fetched += bytes;
        tell();
      });
      this.on.change(); // what was begun meanwhile still goes to the server
      this.device = device;
      device.onRequests = (urls) => this.silence.add(urls);
      this.silence.begin();
      this.on.say("Ready: from now on nothing is sent.");
    } catch (error) {
      this.button.checked = false;
      this.on.say("");
      this.on.complain("It cannot run on this device.", `${/** @type {Error} */ (error).message}. The server still can.`);
    }
    this.button.ariaDisabled = null;
    document.body.dataset.device = this.device ? "on" : "off";
  }

  #turnOff() {
    this.on.change();
    this.device?.close();
    this.device = null;
    this.silence.end();
    document.body.dataset.device = "off";
    this.on.say("Pictures and voice go to the server again.");
  }
}

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
