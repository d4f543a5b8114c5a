// What is recognised at one moment: the box on the picture, the face, the label, the bars, each modality by itself.
import { SIGNS, colour, likeliest } from "./emotions.js";
import { EMOTIONS } from "./runtime/constants.js";

const QUIETEST = -60; // dB of full scale, the left end of the voice's level
const LISTENING = "listening…"; // to a voice of which not enough was heard yet
/** @type {Record<string, string>} */
const ABSENT = { face: "not seen", scene: "not seen", voice: "silent" };
/** @type {Record<string, string>} */
const NAMES = { face: "Face", scene: "Surroundings", voice: "Voice" };

/** @typedef {import("./runtime/results.js").Step} Step */
/** @typedef {{width: number, height: number}} Size */

export class View {
  /**
   * @param {(id: string) => any} at
   * @param {number} margin how much more than the box the model sees of a face, as a share of its side
   */
  constructor(at, margin) {
    this.at = at;
    this.margin = margin;
    /** @type {Map<import("./runtime/results.js").Emotion, {name: HTMLElement, bar: HTMLMeterElement, fill: HTMLElement, share: HTMLElement}>} */
    this.rows = new Map();
    for (const emotion of EMOTIONS) this.#row(emotion);
    /** What gives nothing at present, whatever a step says, by modality. @type {Record<string, string>} */
    this.without = {};
    /** What is shown. @type {Step|null} */
    this.step = null;
    /** @type {HTMLCanvasElement} */
    this.overlay = at("overlay");
    /** @type {HTMLCanvasElement} */
    this.crop = at("crop");
  }

  /** @param {import("./runtime/results.js").Emotion} emotion */
  #row(emotion) {
    const name = document.createElement("dt");
    name.textContent = `${SIGNS[emotion]} ${emotion}`;
    const value = document.createElement("dd");
    const bar = value.appendChild(document.createElement("meter"));
    bar.min = 0;
    bar.max = 1;
    bar.setAttribute("aria-label", emotion);
    const track = value.appendChild(document.createElement("div"));
    track.className = "track";
    const fill = track.appendChild(document.createElement("div"));
    fill.style.background = colour(emotion);
    const share = value.appendChild(document.createElement("span"));
    share.className = "share";
    this.at("bars").append(name, value);
    this.rows.set(emotion, { name, bar, fill, share });
  }

  /**
   * @param {Step|null} step null clears the view
   * @param {CanvasImageSource|null} picture of which `step.box` tells
   * @param {Size} size of the picture
   */
  show(step, picture, size) {
    this.step = step;
    const label = step?.label ?? null;
    const nothing = step?.present.voice ? LISTENING : "nothing to go by";
    this.at("label").textContent = label ? `${SIGNS[label]} ${label}` : nothing;
    this.at("label").style.borderColor = label ? colour(label) : "";
    for (const [emotion, { name, bar, fill, share }] of this.rows) {
      const probability = label && step ? step.probabilities[emotion] : 0;
      bar.value = probability;
      fill.style.transform = `scaleX(${probability})`;
      share.textContent = label ? `${Math.round(100 * probability)}%` : "–";
      name.classList.toggle("leads", emotion === label);
    }
    this.#unimodal(step);
    const level = step ? Math.max(0, Math.min(1, 1 - step.voice_dbfs / QUIETEST)) : 0;
    this.at("level").value = level;
    this.#box(step, size);
    this.#face(step, picture, size);
  }

  /** What is shown is of before: nothing new comes in. @param {boolean} old */
  mark(old) {
    this.at("old").hidden = !old;
    this.at("view").classList.toggle("old", old);
  }

  /** Devices that give nothing: told at once, before the next step. @param {Record<string, string>} without by modality; none: "" */
  lack(without) {
    this.without = without;
    this.#unimodal(this.step);
    if (without.voice) this.at("level").value = 0;
  }

  /** What each modality says by itself. @param {Step|null} step */
  #unimodal(step) {
    const rows = Object.entries(step?.alone ?? {}).map(([name, probabilities]) => {
      const row = document.createElement("li");
      const without = this.without[name];
      const best = probabilities && !without ? likeliest(probabilities) : null;
      row.classList.toggle("gone", !best);
      const mark = row.appendChild(document.createElement("span"));
      mark.className = "dot";
      mark.style.background = best ? colour(best) : "";
      const absent = without || (name === "voice" && step?.present.voice ? LISTENING : ABSENT[name]);
      const said = best && probabilities ? `${SIGNS[best]} ${best} ${Math.round(100 * probabilities[best])}%` : absent;
      row.append(`${NAMES[name]}: ${said}`);
      return row;
    });
    this.at("unimodal").replaceChildren(...rows);
  }

  /** @param {Step|null} step @param {Size} size */
  #box(step, { width, height }) {
    const canvas = this.overlay;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.clearRect(0, 0, width, height);
    if (!step?.box) return;
    const [left, top, right, bottom] = step.box.map((v, k) => v * (k % 2 ? height : width));
    const thick = Math.max(2, width / 200);
    context.lineWidth = 2 * thick;
    context.strokeStyle = "rgba(0, 0, 0, 0.55)";
    context.strokeRect(left, top, right - left, bottom - top);
    context.lineWidth = thick;
    context.strokeStyle = step.label ? getComputedStyle(canvas).getPropertyValue(`--${step.label}`) : "#ffffff";
    context.strokeRect(left, top, right - left, bottom - top);
  }

  /** The square that the model sees. @param {Step|null} step @param {CanvasImageSource|null} picture @param {Size} size */
  #face(step, picture, { width, height }) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.crop.getContext("2d"));
    const side = this.crop.width;
    context.clearRect(0, 0, side, side);
    this.crop.classList.toggle("gone", !step?.box);
    if (!step?.box || !picture) return;
    const [left, top, right, bottom] = step.box.map((v, k) => v * (k % 2 ? height : width));
    const square = Math.max(right - left, bottom - top) * (1 + 2 * this.margin);
    const x = (left + right - square) / 2;
    const y = (top + bottom - square) / 2;
    context.drawImage(picture, x, y, square, square, 0, 0, side, side);
  }
}
