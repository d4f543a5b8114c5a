// The clips that were chosen: recognised one after the other, listed with their answers, each can be opened again.
import { inWords, percent } from "./emotions.js";

/** @typedef {import("./runtime/results.js").Prediction} Prediction */
/** @typedef {import("./moments.js").Moment} Moment */
/**
 * @typedef {object} Item
 * @property {File} file
 * @property {"waiting"|"working"|"done"|"failed"} state
 * @property {AbortController} abort
 * @property {Prediction|null} answer
 * @property {Moment[]} moments of it
 * @property {string} why it failed
 * @property {{line: HTMLLIElement, open: HTMLButtonElement, told: HTMLElement}} row
 */

export class Clips {
  /**
   * @param {HTMLElement} list where they are listed, once there are two
   * @param {object} on
   * @param {(file: File, signal: AbortSignal) => Promise<Prediction>} on.recognise
   * @param {(prediction: Prediction) => Moment[]} on.shown
   * @param {(item: Item) => void} on.begun
   * @param {(item: Item) => void} on.done it is `done`, or `failed`
   * @param {(item: Item, error: unknown) => string} on.failed what to tell of it
   * @param {(item: Item) => void} on.open
   * @param {(item: Item, neighbour: Item|null) => void} on.removed
   */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    /** @type {Item[]} */
    this.items = [];
    /** @type {Item|null} */
    this.current = null;
    this.working = false;
  }

  /** @param {Iterable<File>} files @returns {Item[]} */
  add(files) {
    const added = [...files].map((file) => {
      /** @type {Item} */
      const item = { file, state: "waiting", abort: new AbortController(), answer: null, moments: [], why: "", row: makeRow(file.name) };
      item.row.open.addEventListener("click", () => item.state === "done" && this.on.open(item));
      item.row.line.querySelector(".remove")?.addEventListener("click", () => this.#remove(item));
      this.list.append(item.row.line);
      return item;
    });
    this.items.push(...added);
    this.#tell();
    this.#work();
    return added;
  }

  /** How many are still to be recognised. */
  get pending() {
    return this.items.filter(({ state }) => state === "waiting" || state === "working").length;
  }

  /** @param {Item} item that is shown from now on */
  show(item) {
    this.current = item;
    this.#tell();
  }

  clear() {
    for (const { abort, row } of this.items) {
      abort.abort();
      row.line.remove();
    }
    this.items = [];
    this.current = null;
    this.#tell();
  }

  /** @param {Item} item */
  #remove(item) {
    item.abort.abort();
    const place = this.items.indexOf(item);
    this.items.splice(place, 1);
    const neighbour = this.items[place] ?? this.items.at(-1) ?? null;
    item.row.line.remove();
    neighbour?.row.open.focus();
    this.#tell();
    this.on.removed(item, neighbour);
  }

  /** One at a time: a device has one recogniser, and a service others to serve. */
  async #work() {
    if (this.working) return;
    this.working = true;
    for (let item; (item = this.items.find(({ state }) => state === "waiting")); ) await this.#recognise(item);
    this.working = false;
  }

  /** @param {Item} item */
  async #recognise(item) {
    item.state = "working";
    this.#tell();
    this.on.begun(item);
    try {
      item.answer = await this.on.recognise(item.file, item.abort.signal);
      item.moments = this.on.shown(item.answer);
      item.state = "done";
    } catch (error) {
      item.state = "failed";
      if (!item.abort.signal.aborted) item.why = this.on.failed(item, error);
    }
    if (item.abort.signal.aborted) return;
    this.#tell();
    this.on.done(item);
  }

  #tell() {
    this.list.hidden = this.items.length < 2;
    for (const item of this.items) {
      const { line, open, told } = item.row;
      line.dataset.state = item.state;
      open.setAttribute("aria-current", String(item === this.current));
      open.ariaDisabled = item.state === "done" ? null : "true";
      const words = { waiting: "waits", working: "looked at …", failed: item.why, done: "" }[item.state] || inShort(item.answer);
      if (told.textContent !== words) told.textContent = words;
      if (item.answer?.label) line.style.setProperty("--own", `var(--${item.answer.label})`);
    }
  }
}

/** @param {Prediction|null} answer */
export function inShort(answer) {
  return answer?.label ? `${inWords(answer.label)} ${percent(answer.probabilities[answer.label])}` : inWords("nothing");
}

/** @param {string} name */
function makeRow(name) {
  const line = document.createElement("li");
  const open = line.appendChild(document.createElement("button"));
  open.type = "button";
  open.className = "open";
  open.appendChild(document.createElement("span")).textContent = name;
  const told = open.appendChild(document.createElement("b"));
  const remove = line.appendChild(document.createElement("button"));
  Object.assign(remove, { type: "button", className: "remove", textContent: "×", ariaLabel: `Remove ${name}` });
  return { line, open, told };
}
