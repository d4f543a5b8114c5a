// The chart, painted: a ribbon as high as the leading emotion is sure, above it the emotion's name, below it where a face
// was seen and a voice heard.
import { SIGNS, clock, inWords, personal } from "./emotions.js";
import { EMOTIONS } from "./runtime/constants.js";

const LEFT = 44;
const RIGHT = 14;
const LANE = 20; // of the names
const STRIP = 8;
const GAP = 5;
const UNDER = 12; // the floor, so that its 0% stands free
const FOOT = 20;
const SIGN = 14; // pixels that a sign needs
const TICK = 76; // pixels from one time to the next, at least
const TICKS = [0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const FONT = "system-ui, sans-serif";

/** @typedef {import("./course.js").Course} Course */
/** @typedef {(name: string) => string} Ink a colour of style.css by its name */
/**
 * @typedef {object} Shown
 * @property {number} from seconds
 * @property {number} to
 * @property {boolean} lines whether all seven lines are drawn too
 * @property {number|null} head where the clip plays
 * @property {number|null} cursor where the reader points
 */

export class Scale {
  /** @param {number} width @param {number} from @param {number} to */
  constructor(width, from, to) {
    this.width = width;
    this.from = from;
    this.to = to;
  }

  /** @param {number} t seconds @returns {number} pixels */
  x(t) {
    return LEFT + ((t - this.from) / (this.to - this.from)) * (this.width - LEFT - RIGHT);
  }

  /** @param {number} x pixels @returns {number} seconds */
  t(x) {
    const t = this.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.to - this.from);
    return Math.max(this.from, Math.min(this.to, t));
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{width: number, height: number}} size
 * @param {Course} course
 * @param {Shown} shown
 * @param {Ink} ink
 */
export function paint(context, { width, height }, course, shown, ink) {
  const scale = new Scale(width, shown.from, shown.to);
  const rows = 2 + course.crowd.length;
  const floor = height - FOOT - UNDER - rows * (STRIP + GAP) + GAP;
  const y = (/** @type {number} */ share) => floor - share * (floor - LANE - 4);
  context.fillStyle = ink("card");
  context.fillRect(0, 0, width, height);
  context.font = `11px ${FONT}`;
  context.textAlign = "right";
  context.lineWidth = 1;
  context.strokeStyle = ink("line");
  for (const share of [0, 0.5, 1]) {
    stroke(context, [[LEFT, y(share)], [width - RIGHT, y(share)]]);
    context.fillStyle = ink("soft");
    context.fillText(`${100 * share}%`, LEFT - 6, y(share) + 4);
  }
  paintTimes(context, scale, height, ink);
  if (!course.length) return;
  const first = Math.max(0, course.find(shown.from) - 1);
  const last = course.find(shown.to);
  const stride = Math.max(1, Math.floor((last - first) / width)); // no more steps than pixels
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, width - LEFT - RIGHT, height);
  context.clip();
  for (const run of runsOf(course, first, last, stride)) paintRun(context, course, run, scale, y, ink, shown.lines);
  if (shown.lines) paintLines(context, course, first, last, stride, scale, y, ink);
  context.restore();
  paintPresence(context, course, first, last, stride, scale, floor, ink);
  paintUtterances(context, course, shown, scale, floor, ink);
  paintPeople(context, course, first, last, stride, scale, floor, ink);
  for (const [t, name] of /** @type {const} */ ([[shown.head, "ink"], [shown.cursor, "accent"]])) {
    if (t === null) continue;
    context.fillStyle = ink(name);
    context.fillRect(scale.x(Math.min(t, shown.to)) - 0.75, LANE, 1.5, height - FOOT - LANE);
  }
}

/** @typedef {{said: import("./emotions.js").Said, steps: number[]}} Run moments of which the same was said, one after the other */

/** @param {Course} course @param {number} first @param {number} last @param {number} stride @returns {Run[]} */
function runsOf(course, first, last, stride) {
  /** @type {Run[]} */
  const runs = [];
  for (let k = first; k <= last; k += stride) {
    const said = course.said(k);
    const run = runs.at(-1);
    if (run && run.said === said && !course.gap(k - stride, stride)) run.steps.push(k);
    else runs.push({ said, steps: [k] });
  }
  return runs;
}

/**
 * @param {CanvasRenderingContext2D} context @param {Course} course @param {Run} run @param {Scale} scale
 * @param {(share: number) => number} y @param {Ink} ink @param {boolean} pale
 */
function paintRun(context, course, { said, steps }, scale, y, ink, pale) {
  const begin = scale.x(course.t(steps[0]) - course.stepS);
  const end = scale.x(course.t(steps[steps.length - 1]));
  const left = Math.max(begin, LEFT);
  const isEmotion = said !== "nothing" && said !== "listening";
  if (isEmotion) {
    const tops = steps.map((k) => [scale.x(course.t(k)), y(course.share(k, said))]);
    context.beginPath();
    context.moveTo(begin, y(0));
    for (const [x, top] of [[begin, tops[0][1]], ...tops, [end, y(0)]]) context.lineTo(x, top);
    context.fillStyle = ink(said);
    context.globalAlpha = pale ? 0.3 : 0.85;
    context.fill();
    context.globalAlpha = 1;
    context.fillRect(left, LANE - 3, Math.max(1, end - left - 0.5), 3);
  } else {
    context.strokeStyle = ink(said === "listening" ? "soft" : "line");
    context.setLineDash(said === "listening" ? [3, 4] : []);
    context.lineWidth = 2;
    stroke(context, [[left, LANE - 2], [end, LANE - 2]]);
    context.setLineDash([]);
  }
  context.textAlign = "left";
  context.fillStyle = ink(isEmotion ? "ink" : "soft");
  const words = inWords(said);
  const room = end - left;
  if (context.measureText(words).width + 4 <= room) context.fillText(words, left + 1, LANE - 7);
  else if (isEmotion && room >= SIGN) context.fillText(SIGNS[said], left + 1, LANE - 7);
}

/**
 * @param {CanvasRenderingContext2D} context @param {Course} course @param {number} first @param {number} last @param {number} stride
 * @param {Scale} scale @param {(share: number) => number} y @param {Ink} ink
 */
function paintLines(context, course, first, last, stride, scale, y, ink) {
  for (const emotion of EMOTIONS) {
    context.strokeStyle = ink(emotion);
    context.lineWidth = 1.75;
    context.beginPath();
    let drawn = false;
    for (let k = first; k <= last; k += stride) {
      const before = drawn;
      drawn = !["nothing", "listening"].includes(course.said(k));
      if (!drawn) continue;
      const [x, height] = [scale.x(course.t(k)), y(course.share(k, emotion))];
      if (before && !course.gap(k - stride, stride)) context.lineTo(x, height);
      else context.moveTo(x, height);
    }
    context.stroke();
  }
  const strong = EMOTIONS.filter((emotion) => course.share(last, emotion) >= 0.1);
  context.textAlign = "right";
  let free = -Infinity;
  for (const emotion of strong.sort((a, b) => course.share(last, b) - course.share(last, a))) {
    const at = Math.max(y(course.share(last, emotion)) - 3, free);
    context.fillStyle = ink("ink");
    context.fillText(SIGNS[emotion], Math.max(LEFT + SIGN, scale.x(course.t(last)) - 2), at);
    free = at + 11;
  }
}

/**
 * A bar where a modality was there, a thin line where not: not told by colour alone.
 * @param {CanvasRenderingContext2D} context @param {Course} course @param {number} first @param {number} last @param {number} stride
 * @param {Scale} scale @param {number} floor @param {Ink} ink
 */
function paintPresence(context, course, first, last, stride, scale, floor, ink) {
  /** @type {const} */ (["face", "voice"]).forEach((name, row) => {
    const top = floor + UNDER + row * (STRIP + GAP);
    context.textAlign = "right";
    context.fillStyle = ink("soft");
    context.fillText(name, LEFT - 6, top + STRIP);
    for (let k = first; k <= last; k += stride) {
      const there = course.present(k, name);
      const begin = course.t(k) - stride * course.stepS;
      while (k + stride <= last && course.present(k + stride, name) === there && !course.gap(k, stride)) k += stride;
      const from = Math.max(LEFT, scale.x(begin));
      const thin = there ? 0 : STRIP / 2 - 1;
      context.fillStyle = ink(there ? "soft" : "line");
      context.fillRect(from, top + thin, Math.max(0, scale.x(course.t(k)) - from), STRIP - 2 * thin);
    }
  });
}

/**
 * In the row of the voice, each from its beginning to its end, in the colour of what it was recognised as.
 * @param {CanvasRenderingContext2D} context @param {Course} course @param {Shown} shown @param {Scale} scale @param {number} floor @param {Ink} ink
 */
function paintUtterances(context, course, { from, to }, scale, floor, ink) {
  const top = floor + UNDER + STRIP + GAP;
  for (const { start, end, label } of course.utterances) {
    const until = end ?? course.end;
    if (until <= from || start >= to) continue;
    const [left, right] = [scale.x(Math.max(from, start)), scale.x(Math.min(to, until))];
    context.fillStyle = ink(label ?? "soft");
    context.fillRect(left, top, right - left, STRIP);
    context.fillStyle = ink("ink");
    if (start > from) context.fillRect(left, top - 2, 1.5, STRIP + 4);
    if (end !== null && end < to) context.fillRect(right - 1.5, top - 2, 1.5, STRIP + 4);
  }
}

/**
 * A row for each of several people: what they show; thick while the ribbon speaks of them.
 * @param {CanvasRenderingContext2D} context @param {Course} course @param {number} first @param {number} last @param {number} stride
 * @param {Scale} scale @param {number} floor @param {Ink} ink
 */
function paintPeople(context, course, first, last, stride, scale, floor, ink) {
  course.crowd.forEach((id, row) => {
    const top = floor + UNDER + (row + 2) * (STRIP + GAP);
    context.fillStyle = ink(personal(id));
    context.fillRect(LEFT - 18, top - 2, 13, STRIP + 4);
    context.fillStyle = ink("card");
    context.textAlign = "center";
    context.fillText(String(id), LEFT - 11.5, top + STRIP);
    for (let k = first; k <= last; k += stride) {
      const said = course.people(k).get(id);
      if (!said) continue;
      const thin = course.followed(k) === id ? 0 : 2.5;
      const left = Math.max(LEFT, scale.x(course.t(k) - stride * course.stepS));
      context.fillStyle = ink(said === "nothing" ? "line" : said);
      context.fillRect(left, top + thin, Math.max(0, scale.x(course.t(k)) - left) + 0.6, STRIP - 2 * thin);
    }
  });
}

/** @param {CanvasRenderingContext2D} context @param {Scale} scale @param {number} height @param {Ink} ink */
function paintTimes(context, scale, height, ink) {
  const most = Math.max(1, Math.floor((scale.width - LEFT - RIGHT) / TICK));
  const every = TICKS.find((one) => (scale.to - scale.from) / one <= most) ?? 3600;
  context.fillStyle = ink("soft");
  context.textAlign = "center";
  for (let k = Math.ceil(scale.from / every - 1e-6); k * every <= scale.to + 1e-6; k += 1) {
    const x = scale.x(k * every);
    context.fillRect(x - 0.5, height - FOOT, 1, 4);
    context.fillText(clock(k * every, every < 1 ? 1 : 0), Math.min(x, scale.width - 16), height - 5);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number[][]} points */
function stroke(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
