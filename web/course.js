// What was shown, step by step, from the beginning: as numbers, so that an hour takes 3 MB.
import { SAYINGS } from "./emotions.js";
import { DIMENSIONS, EMOTIONS, MODALITIES } from "./runtime/constants.js";

/** @typedef {import("./moments.js").Moment} Moment */
/** @typedef {import("./emotions.js").Said} Said */
/** What somebody said without a pause; `end` is null while it goes on. @typedef {{start: number, end: number|null, label: import("./emotions.js").Emotion|null}} Utterance */

const CHUNK = 1024; // steps
const [SAID, SHARES, ALONE] = [0, 1, 1 + EMOTIONS.length];
const PRESENT = ALONE + MODALITIES.length * EMOTIONS.length;
const LEVEL = PRESENT + MODALITIES.length;
const FOLLOWED = LEVEL + 1;
const PEOPLE = FOLLOWED + 1;
const MOST = 4; // people of a step, kept
const AFFECT = PEOPLE + 2 * MOST;
const WIDTH = AFFECT + DIMENSIONS.length;

export class Course {
  /** @param {number} stepS seconds between two steps */
  constructor(stepS) {
    this.stepS = stepS;
    this.length = 0;
    /** @type {Float32Array[]} */
    this.chunks = [];
    /** @type {Float64Array[]} */
    this.times = [];
    /** Steps of each kind. @type {Map<Said, number>} */
    this.counts = new Map();
    /** In how many steps each person was seen, by id. @type {Map<number, number>} */
    this.seen = new Map();
    /** @type {Utterance[]} in order */
    this.utterances = [];
  }

  /** @param {Moment} moment @param {number} [t] seconds since the beginning */
  push(moment, t = moment.t) {
    const row = this.length % CHUNK;
    if (row === 0) {
      this.chunks.push(new Float32Array(CHUNK * WIDTH));
      this.times.push(new Float64Array(CHUNK));
    }
    this.length += 1;
    this.times[this.times.length - 1][row] = Number(t.toFixed(3));
    const { probabilities, alone, present, said } = moment;
    const people = moment.people.slice(0, MOST);
    for (const { id } of people) this.seen.set(id, (this.seen.get(id) ?? 0) + 1);
    const values = [
      SAYINGS.indexOf(said),
      ...EMOTIONS.map((emotion) => probabilities[emotion]),
      ...MODALITIES.flatMap((name) => EMOTIONS.map((emotion) => alone[name]?.[emotion] ?? NaN)),
      ...MODALITIES.map((name) => Number(present[name])),
      moment.voice_dbfs,
      moment.followed ?? NaN,
      ...Array.from({ length: MOST }, (_, n) => [people[n]?.id ?? NaN, SAYINGS.indexOf(people[n]?.label ?? "nothing")]).flat(),
      ...DIMENSIONS.map((name) => moment.affect[name] ?? NaN),
    ];
    this.chunks[this.chunks.length - 1].set(values, row * WIDTH);
    this.counts.set(said, (this.counts.get(said) ?? 0) + 1);
  }

  /** @param {number} k of a step @param {number} column */
  #value(k, column) {
    return this.chunks[Math.floor(k / CHUNK)][(k % CHUNK) * WIDTH + column];
  }

  /** @param {number} k @returns {number} seconds */
  t(k) {
    return this.times[Math.floor(k / CHUNK)][k % CHUNK];
  }

  /** @param {number} k @returns {Said} */
  said(k) {
    return SAYINGS[this.#value(k, SAID)];
  }

  /** @param {number} k @param {Said} of @returns {number} its probability; 0 of what is no emotion */
  share(k, of) {
    const place = EMOTIONS.findIndex((emotion) => emotion === of);
    return place < 0 ? 0 : this.#value(k, SHARES + place);
  }

  /** @param {number} k @returns {import("./runtime/results.js").Probabilities} */
  shares(k) {
    return /** @type {any} */ (Object.fromEntries(EMOTIONS.map((emotion) => [emotion, this.share(k, emotion)])));
  }

  /** @param {number} k @param {import("./runtime/results.js").Modality} name @returns {boolean} */
  present(k, name) {
    return this.#value(k, PRESENT + MODALITIES.indexOf(name)) === 1;
  }

  /** What is said without a pause begins, or has ended. @param {{start: number, end?: number|null, label?: Utterance["label"]}} told @param {number} [after] seconds that its times are late */
  hear({ start, end = null, label = null }, after = 0) {
    if (this.utterances.at(-1)?.end === null) this.utterances.pop();
    this.utterances.push({ start: after + start, end: end === null ? null : after + end, label });
  }

  /** Whom the step speaks of. @param {number} k @returns {number} an id; NaN: nobody */
  followed(k) {
    return this.#value(k, FOLLOWED);
  }

  /** What each who is seen shows, by id. @param {number} k @returns {Map<number, Said>} */
  people(k) {
    const slots = Array.from({ length: MOST }, (_, n) => PEOPLE + 2 * n).filter((at) => !Number.isNaN(this.#value(k, at)));
    return new Map(slots.map((at) => [this.#value(k, at), SAYINGS[this.#value(k, at + 1)]]));
  }

  /** Ids of those who were seen most, where there were several. @returns {number[]} */
  get crowd() {
    if (this.seen.size < 2) return [];
    return [...this.seen].sort((a, b) => b[1] - a[1]).slice(0, MOST).map(([id]) => id).sort((a, b) => a - b);
  }

  /** Whether nothing was recognised for a while between a step and a later one. @param {number} k @param {number} steps */
  gap(k, steps) {
    return this.t(k + steps) - this.t(k) > (steps + 1.5) * this.stepS;
  }

  /** The end, seconds. */
  get end() {
    return this.length ? this.t(this.length - 1) : 0;
  }

  /** The first step at or after a time, else the last. @param {number} seconds @returns {number} -1 without any */
  find(seconds) {
    let [low, high] = [0, this.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.t(middle) >= seconds - 1e-3) high = middle;
      else low = middle + 1;
    }
    return high;
  }

  /** Share of the time that each was said, most of the time first. @returns {[Said, number][]} */
  spent() {
    return [...this.counts].map(([said, steps]) => /** @type {[Said, number]} */ ([said, steps / this.length]))
      .sort((a, b) => b[1] - a[1]);
  }

  /** In words: what followed what. @param {number} most of it, the last */
  describe(most) {
    /** @type {string[]} */
    const runs = [];
    for (let k = this.length - 1; k >= 0 && runs.length < most; k -= 1) {
      if (k === 0 || this.said(k) !== this.said(k - 1)) runs.unshift(`${this.said(k)} from ${this.t(k).toFixed(1)} s`);
    }
    return runs.length ? `Over time: ${runs.join(", ")}.` : "Nothing yet.";
  }

  /** All of it as a table. @param {import("./runtime/results.js").ModelInfo} info @returns {Blob} */
  toCsv({ modalities, affect }) {
    const felt = affect?.length ? [...DIMENSIONS] : [];
    const alone = MODALITIES.flatMap((name, m) =>
      modalities.includes(name) ? EMOTIONS.map((emotion, k) => ({ name: `${name}_${emotion}`, column: ALONE + m * EMOTIONS.length + k })) : []);
    const head = ["t", "label", ...EMOTIONS, ...MODALITIES, "voice_dbfs", ...alone.map(({ name }) => name), "followed", "people", ...felt];
    const rows = Array.from({ length: this.length }, (_, k) => {
      const said = this.said(k);
      const label = said === "nothing" || said === "listening" ? "" : said;
      const numbers = [...EMOTIONS.keys()].map((e) => told(this.#value(k, SHARES + e), 5));
      const there = MODALITIES.map((name) => Number(this.present(k, name)));
      return [this.t(k), label, ...numbers, ...there, told(this.#value(k, LEVEL), 1), ...alone.map(({ column }) => told(this.#value(k, column), 5)),
        told(this.followed(k), 0), [...this.people(k)].map(([id, shown]) => `${id}:${shown}`).join(" "),
        ...felt.map((_, d) => told(this.#value(k, AFFECT + d), 4))].join(",");
    });
    return new Blob([[head.join(","), ...rows].join("\n"), "\n"], { type: "text/csv" });
  }
}

/** @param {number} value @param {number} digits @returns {string} "" for nothing */
const told = (value, digits) => (Number.isNaN(value) ? "" : String(Number(value.toFixed(digits))));
