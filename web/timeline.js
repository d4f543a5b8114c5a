// Steps over time, on a canvas: the probabilities, and below them where a face was seen and a voice heard.
import { SIGNS } from "./emotions.js";
import { EMOTIONS } from "./runtime/constants.js";

const LEFT = 46;
const RIGHT = 16;
const STRIP = 9;
const GAP = 5;
const FOOT = 20;
const LINE = 11;
const SIGNED = 0.1; // a line that ends above it bears its emotion's sign: lines are not told apart by colour alone

/** @typedef {import("./runtime/results.js").Step} Step */

export class Timeline {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {Step[]} */
    this.steps = [];
    this.span = { from: 0, to: 60 };
    /** @type {number|null} */
    this.head = null;
    this.stepS = 0.2;
    /** From the first session's start to the present one's, seconds. */
    this.after = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** @param {number} stepS seconds between two steps */
  begin(stepS) {
    this.steps = [];
    this.head = null;
    this.goOn(stepS, 0);
  }

  /** Another session has begun, so many seconds after the first: what there is stays. @param {number} stepS @param {number} after */
  goOn(stepS, after) {
    this.stepS = stepS;
    this.after = after;
  }

  /** The next step of a stream: the last 60 seconds are shown, and kept. @param {Step} step */
  push(step) {
    const t = Number((this.after + step.t).toFixed(3));
    this.steps.push({ ...step, t });
    while (this.steps[0].t < t - 60) this.steps.shift();
    this.span = { from: Math.max(0, t - 60), to: Math.max(60, t) };
    this.draw();
  }

  /** A whole clip. @param {Step[]} steps */
  show(steps) {
    this.steps = steps;
    this.span = { from: 0, to: Math.max(1, steps.at(-1)?.t ?? 1) };
    this.moveTo(0);
  }

  /** @param {number} seconds where the clip plays */
  moveTo(seconds) {
    this.head = seconds;
    this.draw();
  }

  draw() {
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#paint(context, width, height, getComputedStyle(this.canvas));
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {CSSStyleDeclaration} style */
  #paint(context, width, height, style) {
    const ink = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`);
    const plot = height - FOOT - 2 * (STRIP + GAP) - GAP;
    const x = (/** @type {number} */ t) => LEFT + ((t - this.span.from) / (this.span.to - this.span.from)) * (width - LEFT - RIGHT);
    const y = (/** @type {number} */ probability) => 4 + (plot - 4) * (1 - probability);
    context.fillStyle = ink("card");
    context.fillRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = ink("soft");
    context.strokeStyle = ink("line");
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      context.beginPath();
      context.moveTo(LEFT, y(share));
      context.lineTo(width - RIGHT, y(share));
      context.stroke();
      context.fillText(`${100 * share}%`, LEFT - 6, y(share) + 4);
    }
    /** @type {const} */ (["face", "voice"]).forEach((modality, row) => {
      const top = plot + 2 * GAP + row * (STRIP + GAP);
      context.fillStyle = ink("soft");
      context.fillText(modality, LEFT - 6, top + STRIP);
      for (const step of this.steps) {
        context.fillStyle = step.present[modality] ? ink("soft") : ink("line");
        const from = x(Math.max(this.span.from, step.t - this.stepS));
        const thin = step.present[modality] ? 0 : STRIP / 2 - 1; // absent is a thin line: not told by colour alone
        context.fillRect(from, top + thin, Math.max(1, x(step.t) - from + 0.5), STRIP - 2 * thin);
      }
    });
    const last = this.steps.at(-1);
    for (const emotion of EMOTIONS) {
      context.strokeStyle = ink(emotion);
      context.lineWidth = last?.label === emotion ? 3 : 1.5;
      context.beginPath();
      let before = null;
      for (const step of this.steps) {
        if (step.label === null || (before !== null && step.t - before > 2.5 * this.stepS)) before = null;
        if (step.label === null) continue;
        if (before === null) context.moveTo(x(step.t), y(step.probabilities[emotion]));
        else context.lineTo(x(step.t), y(step.probabilities[emotion]));
        before = step.t;
      }
      context.stroke();
    }
    if (last?.label) this.#sign(context, last, x(last.t) + 4, y, ink);
    context.fillStyle = ink("soft");
    const { from, to } = this.span;
    for (const [t, align] of /** @type {const} */ ([[from, "left"], [(from + to) / 2, "center"], [to, "right"]])) {
      context.textAlign = align;
      context.fillText(`${t.toFixed(to - from > 10 ? 0 : 1)} s`, x(t), height - 5);
    }
    if (this.head !== null) {
      context.fillStyle = ink("ink");
      context.fillRect(x(Math.min(this.head, to)) - 0.5, 0, 1, plot);
    }
  }

  /**
   * Beside the ends of the lines their emotions' signs, none above another.
   * @param {CanvasRenderingContext2D} context @param {Step} last @param {number} left
   * @param {(probability: number) => number} y @param {(name: string) => string} ink
   */
  #sign(context, { probabilities }, left, y, ink) {
    context.textAlign = "left";
    const signed = EMOTIONS.filter((emotion) => probabilities[emotion] >= SIGNED);
    let free = -Infinity;
    for (const emotion of signed.sort((a, b) => probabilities[b] - probabilities[a])) {
      const at = Math.max(y(probabilities[emotion]) + 4, free);
      context.fillStyle = ink(emotion);
      context.fillText(SIGNS[emotion], left, at);
      free = at + LINE;
    }
  }

  /** The steps as a table. @returns {Blob} */
  toCsv() {
    const names = ["t", "label", ...EMOTIONS, "face", "voice", "voice_dbfs"];
    const rows = this.steps.map((step) =>
      [step.t, step.label ?? "", ...EMOTIONS.map((e) => step.probabilities[e]), Number(step.present.face),
        Number(step.present.voice), step.voice_dbfs].join(","));
    return new Blob([[names.join(","), ...rows].join("\n"), "\n"], { type: "text/csv" });
  }

  /** @returns {Promise<Blob>} */
  toPng() {
    return new Promise((done, fail) =>
      this.canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no picture"))), "image/png"));
  }

  /** In words, for those who do not see it: the emotions that follow each other. */
  describe() {
    const runs = this.steps.filter((step, k) => step.label !== this.steps[k - 1]?.label);
    const labels = runs.slice(-8).map((step) => `${step.label ?? "nothing"} from ${step.t.toFixed(1)} s`);
    return labels.length ? `Label over time: ${labels.join(", ")}.` : "Nothing yet.";
  }
}
