// mmer/runtime/align.py: where a face's crop lies, a square laid on its eyes and mouth and steadied from frame to frame.
import { ALIGN_PLAY, ALIGN_TAU_S, MOVE_LIMIT, ROLL_LIMIT, TEMPLATE } from "./constants.js";

/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {[number, number][]} Landmarks x and y of both eyes, the nose and both corners of the mouth, pixels */
/** @typedef {[number, number, number, number]} Square x and y of the centre, side (pixels), roll (degrees, clockwise) */

const MIDDLE = TEMPLATE.reduce((sum, [, y]) => sum + y, 0) / TEMPLATE.length;

/** The square of a face. @param {Landmarks} landmarks @returns {Square} */
export function square([left, right, , mouthLeft, mouthRight]) {
  const seen = [left, right, mouthLeft, mouthRight];
  const [x, y] = [0, 1].map((k) => seen.reduce((sum, point) => sum + point[k], 0) / seen.length);
  let [along, across, size] = [0, 0, 0];
  TEMPLATE.forEach(([toX, toY], k) => {
    const [u, v, aside, down] = [toX - 0.5, toY - MIDDLE, seen[k][0] - x, seen[k][1] - y];
    along += u * aside + v * down;
    across += u * down - v * aside;
    size += u * u + v * v;
  });
  [along, across] = [along / size, across / size];
  const roll = within((Math.atan2(across, along) * 180) / Math.PI, ROLL_LIMIT);
  const [cos, sin] = [Math.cos((roll * Math.PI) / 180), Math.sin((roll * Math.PI) / 180)];
  const side = Math.hypot(along, across);
  const below = (MIDDLE - 0.5) * side;
  return [x + sin * below, y - cos * below, side, roll];
}

/** One face's square from frame to frame, kept relative to its box. */
export class Alignment {
  constructor() {
    this.at = -Infinity;
    this.mean = ALIGN_PLAY.map(() => 0);
    this.held = ALIGN_PLAY.map(() => 0);
  }

  /** By which the crop is turned, degrees. */
  get roll() {
    return this.held[ALIGN_PLAY.length - 1];
  }

  /** Take in what one frame shows. @param {Landmarks} landmarks @param {Box} box @param {number} t seconds */
  see(landmarks, box, t) {
    const fresh = 1 - Math.exp((this.at - t) / ALIGN_TAU_S);
    this.at = t;
    relative(landmarks, box).forEach((value, k) => {
      this.mean[k] += (value - this.mean[k]) * fresh;
      this.held[k] = towards(this.held[k], this.mean[k], ALIGN_PLAY[k]);
    });
  }

  /** The roll if these landmarks were all there is to see. @param {Landmarks} landmarks @returns {number} degrees */
  rollTowards(landmarks) {
    return towards(this.roll, square(landmarks)[3], ALIGN_PLAY[3]);
  }

  /** The square about its centre as if it were not turned. @param {Box} box the face's @returns {Box} */
  box(box) {
    const [right, down, larger] = this.held;
    const [x, y, side] = of(box);
    const [middle, level, half] = [x + right * side, y + down * side, (side * Math.exp(larger)) / 2];
    return [middle - half, level - half, middle + half, level + half];
  }
}

/** The square relative to the box, as `ALIGN_PLAY` has it. @param {Landmarks} landmarks @param {Box} box @returns {number[]} */
function relative(landmarks, box) {
  const [x, y, side, roll] = square(landmarks);
  const [boxX, boxY, boxSide] = of(box);
  const moved = [(x - boxX) / boxSide, (y - boxY) / boxSide, Math.log(Math.max(side, 1e-3) / boxSide)];
  return [...moved.map((value) => within(value, MOVE_LIMIT)), roll];
}

/** Centre and longer side. @param {Box} box @returns {[number, number, number]} */
function of([x1, y1, x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2, Math.max(x2 - x1, y2 - y1, 1e-3)];
}

/** Moved only as far as it must be. @param {number} held @param {number} mean @param {number} play */
const towards = (held, mean, play) => Math.min(Math.max(held, mean - play), mean + play);

/** @param {number} value @param {number} limit */
const within = (value, limit) => Math.min(Math.max(value, -limit), limit);
