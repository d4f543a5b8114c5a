// The chart on the page: how much of the course it shows, where one points, and where a click leads.
import { Scale, paint } from "./chart.js";
import { clock, inWords, percent, ranked } from "./emotions.js";

/** @typedef {import("./course.js").Course} Course */

const LATEST_S = 60; // of a stream, shown
const LEAST_S = 5;
const PAGE = 10; // steps

export class Timeline {
  /**
   * @param {(id: string) => any} at
   * @param {(seconds: number) => void} seek
   */
  constructor(at, seek) {
    /** @type {HTMLCanvasElement} */
    this.canvas = at("timeline");
    /** @type {HTMLElement} */
    this.track = at("track");
    /** @type {HTMLElement} */
    this.tip = at("tip");
    this.seek = seek;
    /** @type {Course|null} */
    this.course = null;
    this.live = false;
    /** Whether of a stream all is shown, not the latest alone. */
    this.all = false;
    this.lines = false;
    /** Where the clip plays, seconds. @type {number|null} */
    this.head = null;
    /** Where one points, and where one clicked in a stream. @type {number|null} */
    this.cursor = null;
    /** @type {number|null} */
    this.pinned = null;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.track.addEventListener("pointermove", (event) => this.#point(this.#at(event)));
    this.track.addEventListener("pointerleave", () => this.#point(this.pinned));
    this.track.addEventListener("click", (event) => this.#choose(this.#at(event)));
    this.track.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Course} course @param {boolean} live */
  show(course, live) {
    this.course = course;
    this.live = live;
    this.head = live ? null : 0;
    this.all = false;
    this.pinned = null;
    this.#point(null);
    this.draw();
  }

  /** What is shown of the course, seconds. */
  get span() {
    const end = Math.max(this.live ? LEAST_S : 0.2, this.course?.end ?? 0);
    return { from: this.live && !this.all ? Math.max(0, end - LATEST_S) : 0, to: end };
  }

  /** How much larger than usual text is: the chart is as much. */
  get zoom() {
    return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  }

  /** @param {number} seconds where the clip plays */
  moveTo(seconds) {
    this.head = seconds;
    this.draw();
  }

  draw() {
    const scale = devicePixelRatio || 1;
    this.canvas.style.setProperty("--rows", String(this.course?.crowd.length ?? 0));
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { course } = this;
    if (!width || !course) return;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const { lines, head, cursor, zoom } = this;
    context.setTransform(zoom * scale, 0, 0, zoom * scale, 0, 0);
    paint(context, { width: width / zoom, height: height / zoom }, course, { ...this.span, lines, head, cursor }, inkOf(this.canvas));
    this.#tell();
  }

  /** @param {PointerEvent|MouseEvent} event @returns {number} seconds */
  #at(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    const { from, to } = this.span;
    return new Scale(width / this.zoom, from, to).t((event.clientX - left) / this.zoom);
  }

  /** @param {number|null} seconds */
  #point(seconds) {
    this.cursor = seconds;
    this.draw();
  }

  /** In a clip the player goes there, in a stream what was said then stays shown. @param {number} seconds */
  #choose(seconds) {
    if (this.live) {
      this.pinned = seconds;
      this.#point(seconds);
    } else this.seek(seconds);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { course } = this;
    if (!course?.length) return;
    const here = course.find((this.live ? this.pinned : this.head) ?? course.end);
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: here - 1, ArrowRight: here + 1, ArrowDown: here - 1, ArrowUp: here + 1, PageDown: here - PAGE, PageUp: here + PAGE, Home: 0, End: course.length - 1 };
    if (event.key === "Escape" && this.live) {
      this.pinned = null;
      this.#point(null);
    } else if (event.key in ways) {
      event.preventDefault();
      this.#choose(course.t(Math.max(0, Math.min(course.length - 1, ways[event.key]))));
    }
  }

  /** What is pointed at, in words: beside it, and to a screen reader. */
  #tell() {
    const { course, track, tip } = this;
    const { from, to } = this.span;
    const seconds = (this.live ? this.pinned : this.head) ?? to;
    track.setAttribute("aria-valuemin", from.toFixed(1));
    track.setAttribute("aria-valuemax", to.toFixed(1));
    track.setAttribute("aria-valuenow", seconds.toFixed(1));
    const k = course?.length ? course.find(seconds) : -1;
    const words = course && k >= 0 ? wordsOf(course, k) : "nothing yet";
    if (track.getAttribute("aria-valuetext") !== words) track.setAttribute("aria-valuetext", words);
    tip.hidden = this.cursor === null || k < 0;
    if (this.cursor === null || !course || k < 0) return;
    tip.textContent = wordsOf(course, course.find(this.cursor));
    const x = this.zoom * new Scale(this.canvas.clientWidth / this.zoom, from, to).x(this.cursor);
    const most = this.canvas.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(most, x - tip.offsetWidth / 2))}px`;
  }
}

/** @param {Course} course @param {number} k */
function wordsOf(course, k) {
  const shares = course.shares(k);
  const said = course.said(k);
  const when = clock(course.t(k), 1);
  if (said === "nothing" || said === "listening") return `${when}: ${inWords(said)}`;
  const spoken = course.utterances.find(({ start, end }) => course.t(k) >= start && course.t(k) <= (end ?? Infinity));
  const next = ranked(shares).filter((emotion) => emotion !== said)[0];
  return `${when}: ${inWords(said)} ${percent(shares[said])}, then ${next} ${percent(shares[next])}${spoken?.label ? `; what is said here: ${spoken.label}` : ""}`;
}

/** The page's colours, of its scheme at present. @param {Element} element @returns {import("./chart.js").Ink} */
export function inkOf(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(`--${name}`);
}
