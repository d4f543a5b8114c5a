// What is recognised at one moment: the box on the picture, the face, the label, the bars, each modality by itself.
import { SIGNS, colour, inWords, percent, personal, ranked } from "./emotions.js";
import { DIMENSIONS, EMOTIONS } from "./runtime/constants.js";

const QUIETEST = -60; // dB of full scale, the left end of the voice's level
/** @type {Record<string, string>} */
const ABSENT = { face: "not seen", scene: "not seen", voice: "silent" };
/** @type {Record<string, string>} */
const NAMES = { face: "Face", scene: "Surroundings", voice: "Voice" };
/** @type {Record<string, string>} */
const MISSED = { face: "no face is seen", voice: "no voice is heard" };

/** What is at the two ends, from -1 to 1. */
const ENDS = { valence: ["unpleasant", "pleasant"], arousal: ["calm", "excited"] };

/** @typedef {import("./moments.js").Moment} Moment */
/** @typedef {{width: number, height: number}} Size */

export class View {
  /**
   * @param {(id: string) => any} at
   * @param {import("./runtime/pipeline.js").ModelInfo} info
   */
  constructor(at, info) {
    this.at = at;
    this.margin = info.faces.margin;
    /** @type {Map<import("./runtime/results.js").Emotion, {name: HTMLElement, bar: HTMLMeterElement, fill: HTMLElement, share: HTMLElement}>} */
    this.rows = new Map();
    for (const emotion of EMOTIONS) this.#row(emotion);
    this.alone = info.modalities.map((name) => this.#alone(name));
    this.dimensions = info.affect?.length ? DIMENSIONS.map((name) => this.#dimension(name)) : [];
    at("affect").hidden = !this.dimensions.length;
    /** What gives nothing at present, whatever a step says, by modality. @type {Record<string, string>} */
    this.without = {};
    /** What is shown. @type {Moment|null} */
    this.moment = null;
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

  /** @param {string} name of a modality */
  #alone(name) {
    const line = this.at("unimodal").appendChild(document.createElement("li"));
    line.append(`${NAMES[name]}: `);
    const said = line.appendChild(document.createElement("span"));
    const bar = line.appendChild(document.createElement("div"));
    bar.className = "stack";
    bar.ariaHidden = "true";
    const parts = EMOTIONS.map((emotion) => {
      const part = bar.appendChild(document.createElement("div"));
      part.style.background = colour(emotion);
      return { emotion, part };
    });
    return { name, line, said, parts };
  }

  /** @param {(typeof DIMENSIONS)[number]} name */
  #dimension(name) {
    const line = this.at("dimensions").appendChild(document.createElement("li"));
    line.append(`${name[0].toUpperCase()}${name.slice(1)}: `);
    const said = line.appendChild(document.createElement("span"));
    const scale = line.appendChild(document.createElement("div"));
    scale.className = "scale";
    scale.ariaHidden = "true";
    const mark = document.createElement("i");
    scale.append(ENDS[name][0], mark, ENDS[name][1]);
    return { name, said, mark: mark.appendChild(document.createElement("b")) };
  }

  /**
   * @param {Moment|null} moment null clears the view
   * @param {CanvasImageSource|null} picture of which `moment.box` tells
   * @param {Size} size of the picture
   */
  show(moment, picture, size) {
    this.moment = moment;
    const label = moment?.label ?? null;
    this.at("label").textContent = inWords(moment?.said ?? "nothing");
    this.at("label").style.borderColor = label ? colour(label) : "";
    for (const [emotion, { name, bar, fill, share }] of this.rows) {
      const probability = label && moment ? moment.probabilities[emotion] : 0;
      bar.value = probability;
      fill.style.transform = `scaleX(${probability})`;
      share.textContent = label ? percent(probability) : "–";
      name.classList.toggle("leads", emotion === label);
    }
    this.#tellParts();
    for (const { name, said, mark } of this.dimensions) {
      const value = moment?.affect[name] ?? null;
      said.textContent = value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
      mark.hidden = value === null;
      mark.style.left = `${50 + 50 * (value ?? 0)}%`;
    }
    const level = moment && !this.without.voice ? Math.max(0, Math.min(1, 1 - moment.voice_dbfs / QUIETEST)) : 0;
    this.at("level").value = level;
    this.#tellPeople(moment);
    this.#box(moment, size);
    this.#face(moment, picture, size);
  }

  /** What is shown is of before: nothing new comes in. @param {boolean} old */
  mark(old) {
    this.at("old").hidden = !old;
    this.at("view").classList.toggle("old", old);
  }

  /** Devices that give nothing: told at once, before the next step. @param {Record<string, string>} without by modality; none: "" */
  lack(without) {
    this.without = without;
    this.#tellParts();
    if (without.voice) this.at("level").value = 0;
  }

  /** What each modality says by itself, and why there is no label. */
  #tellParts() {
    const { moment } = this;
    const missed = [];
    for (const { name, line, said, parts } of this.alone) {
      const without = this.without[name];
      const shares = (!without && moment?.alone[name]) || null;
      const best = shares && ranked(shares)[0];
      const there = moment?.present[/** @type {import("./runtime/results.js").Modality} */ (name)];
      const absent = without || (name === "voice" && there ? inWords("listening") : ABSENT[name]);
      said.textContent = best && shares ? `${inWords(best)} ${percent(shares[best])}` : absent;
      line.classList.toggle("gone", !best);
      line.classList.toggle("before", Boolean(best && !there));
      for (const { emotion, part } of parts) part.style.flexGrow = String(shares ? shares[emotion] : 0);
      if (name in MISSED) missed.push(without || MISSED[name]);
    }
    const why = missed.join(" and ");
    const hints = { nothing: `${why.slice(0, 1).toUpperCase()}${why.slice(1)}.`, listening: "After a second of voice it says what it hears." };
    const hint = moment && !moment.label ? hints[/** @type {keyof typeof hints} */ (moment.said)] : "";
    if (this.at("hint").textContent !== hint) this.at("hint").textContent = hint;
  }

  /** Who is seen, where it is more than one, and whom the rest speaks of. @param {Moment|null} moment */
  #tellPeople(moment) {
    const list = this.at("people");
    const people = moment && (moment.people.length > 1 || moment.more_people) ? moment.people : [];
    const words = people.map(({ id, label, probabilities }) => {
      const shows = label ? `${inWords(label)} ${percent(probabilities[label])}` : inWords("nothing");
      return { id, text: `${shows}${id === moment?.followed ? ", followed" : ""}` };
    });
    const more = people.length && moment?.more_people ? `and ${moment.more_people} more, who are not looked at` : "";
    while (list.children.length > words.length + Number(Boolean(more))) list.lastChild.remove();
    for (const [k, { id, text }] of [...words, ...(more ? [{ id: 0, text: more }] : [])].entries()) {
      const line = list.children[k] ?? list.appendChild(document.createElement("li"));
      line.classList.toggle("followed", id > 0 && id === moment?.followed);
      if (line.dataset.told === `${id} ${text}`) continue;
      line.dataset.told = `${id} ${text}`;
      line.style.setProperty("--own", `var(--${personal(id || 1)})`);
      const mark = Object.assign(document.createElement("span"), { className: "id", textContent: id });
      line.replaceChildren(...(id ? [mark] : []), text);
    }
  }

  /** The faces: one alone in the colour of its label, several each in their own, with their number. @param {Moment|null} moment @param {Size} size */
  #box(moment, { width, height }) {
    const canvas = this.overlay;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.clearRect(0, 0, width, height);
    if (!moment) return;
    const thick = Math.max(2, width / 200);
    const ink = (/** @type {string} */ name) => getComputedStyle(canvas).getPropertyValue(`--${name}`);
    const several = moment.people.length > 1;
    const faces = several ? moment.people : moment.box ? [{ id: 0, box: moment.box, label: moment.label }] : [];
    for (const { id, box, label } of faces) {
      const [left, top, right, bottom] = box.map((v, k) => v * (k % 2 ? height : width));
      const own = several ? ink(personal(id)) : label ? ink(label) : "#ffffff";
      const line = several && id !== moment.followed ? thick / 2 : thick;
      for (const [stroke, colour] of /** @type {const} */ ([[line + thick, "rgba(0, 0, 0, 0.55)"], [line, own]])) {
        context.lineWidth = stroke;
        context.strokeStyle = colour;
        context.strokeRect(left, top, right - left, bottom - top);
      }
      if (several) this.#tag(context, `${id}${label ? ` ${inWords(label)}` : ""}`, own, ink("card"), { left, top, right, thick });
    }
  }

  /**
   * Above a face; to be read also where the picture is mirrored.
   * @param {CanvasRenderingContext2D} context @param {string} words @param {string} ground @param {string} ink
   * @param {{left: number, top: number, right: number, thick: number}} place
   */
  #tag(context, words, ground, ink, { left, top, right, thick }) {
    const high = 7 * thick;
    context.font = `600 ${5 * thick}px system-ui, sans-serif`;
    const wide = context.measureText(words).width + 3 * thick;
    const mirrored = this.overlay.parentElement?.classList.contains("mirrored");
    context.save();
    context.translate(mirrored ? right : left, Math.max(0, top - high));
    if (mirrored) context.scale(-1, 1);
    context.fillStyle = ground;
    context.fillRect(0, 0, wide, high);
    context.fillStyle = ink;
    context.fillText(words, 1.5 * thick, high - 2 * thick);
    context.restore();
  }

  /** The square that the model sees. @param {Moment|null} moment @param {CanvasImageSource|null} picture @param {Size} size */
  #face(moment, picture, { width, height }) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.crop.getContext("2d"));
    const side = this.crop.width;
    context.clearRect(0, 0, side, side);
    this.crop.classList.toggle("gone", !moment?.box);
    if (!moment?.box || !picture) return;
    const [left, top, right, bottom] = moment.box.map((v, k) => v * (k % 2 ? height : width));
    const square = Math.max(right - left, bottom - top) * (1 + 2 * this.margin);
    const x = (left + right - square) / 2;
    const y = (top + bottom - square) / 2;
    context.drawImage(picture, x, y, square, square, 0, 0, side, side);
  }
}
