// mmer/runtime/detector.py: the cascade of MTCNN, which finds the same boxes in the same picture.
import { area, rotate, shift, square, suppress, suppressNested } from "./boxes.js";
import { BATCH, FACTOR, FOLLOWED_REACH, FOLLOWED_SCALES, STRIDE, WINDOW } from "./constants.js";
import { Means } from "./means.js";
import { roundEven, turn } from "./resize.js";

/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {import("./boxes.js").Found} Found */
/** @typedef {import("./graph.js").Graph} Graph */
/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {import("./align.js").Landmarks} Landmarks */
/** @typedef {{box: Box, score: number, landmarks: Landmarks}} Face */
/** @typedef {Found & {landmarks: Landmarks}} Judged no landmarks, [], of the R-Net or where faces are not aligned */
/**
 * @typedef {object} FaceRules of the model's metadata (mmer/runtime/config.py, `Faces`)
 * @property {number} min_face
 * @property {[number, number, number]} thresholds
 * @property {number} margin
 * @property {number} max_gap_s
 * @property {number} detect_every_s
 * @property {number} max_people
 * @property {boolean} align
 */

const f = Math.fround;

export class Detector {
  /**
   * @param {Record<"pnet"|"rnet"|"onet", Graph>} nets
   * @param {FaceRules} rules
   */
  constructor(nets, rules) {
    if (rules.align && !nets.onet.session.outputNames.includes("landmarks")) {
      throw new Error("this model aligns faces, but its O-Net gives no landmarks");
    }
    this.nets = nets;
    this.rules = rules;
  }

  /** All faces. @param {Picture} picture @returns {Promise<Face[]>} the largest first */
  async detect(picture) {
    const means = new Means(picture);
    const boxes = await this.#refine(means, await this.#propose(means));
    const judged = await this.#judge("onet", 48, means, boxes, this.rules.thresholds[2]);
    const found = suppressNested(judged.map((one) => ({ ...one, box: shift(one, 1) })), 0.7);
    const faces = found.map(({ box, score, landmarks }) => ({ box, score, landmarks }));
    return faces.sort((a, b) => area(a.box) - area(b.box)).reverse();
  }

  /**
   * A face again near where it was a moment ago, by the R- and the O-Net alone.
   * @param {Picture} picture @param {Box} last
   * @param {number} [roll] degrees by which the picture is turned back before the networks see it
   * @returns {Promise<Face|null>} of the picture as it is
   */
  async follow(picture, last, roll = 0) {
    const box = square(/** @type {Box} */ (last.map(f)));
    const reach = f(FOLLOWED_REACH * f(box[2] - box[0]));
    const inside = box.map((side, k) => {
      const moved = f(k < 2 ? side - reach : side + reach);
      return Math.trunc(Math.min(Math.max(moved, 0), k % 2 ? picture.height : picture.width));
    });
    let [x, y] = inside;
    if (x >= inside[2] || y >= inside[3]) return null;
    const side = roundEven(box[2] - box[0] + 2 * reach);
    if (roll) [x, y] = [roundEven(box[0] - reach), roundEven(box[1] - reach)];
    const means = roll ? new Means(turn(picture, x, y, side, roll)) : new Means(picture, inside);
    const found = await this.#look(means, [f(box[0] - x), f(box[1] - y), f(box[2] - x), f(box[3] - y)]);
    if (!found) return null;
    let { box: at, landmarks } = found;
    if (roll) {
      const middle = [f(f(at[0] + at[2]) / 2), f(f(at[1] + at[3]) / 2)];
      const moved = rotate(middle, side / 2, roll).map((v, axis) => f(v - middle[axis]));
      at = /** @type {Box} */ (at.map((v, k) => f(v + moved[k % 2])));
      landmarks = landmarks.map((point) => rotate(point, side / 2, roll));
    }
    return {
      box: [f(at[0] + x), f(at[1] + y), f(at[2] + x), f(at[3] + y)],
      score: found.score,
      landmarks: landmarks.map((point) => [f(point[0] + x), f(point[1] + y)]),
    };
  }

  /** The face near a square box. @param {Means} means @param {Box} box @returns {Promise<Face|null>} */
  async #look(means, box) {
    const [near] = await this.#refine(means, [box]);
    if (!near) return null;
    const middle = [f(f(near[0] + near[2]) / 2), f(f(near[1] + near[3]) / 2)];
    const half = [f(f(near[2] - near[0]) / 2), f(f(near[3] - near[1]) / 2)];
    const shown = FOLLOWED_SCALES.map((scale) => {
      const [w, h] = [f(half[0] * scale), f(half[1] * scale)];
      return /** @type {Box} */ ([f(middle[0] - w), f(middle[1] - h), f(middle[0] + w), f(middle[1] + h)]);
    });
    const judged = await this.#judge("onet", 48, means, shown, -1);
    const score = mean(judged.map((one) => one.score));
    if (!judged.length || score <= f(this.rules.thresholds[2])) return null;
    const moved = judged.map((one) => shift(one, 1));
    const found = [0, 1, 2, 3].map((k) => mean(moved.map((one) => one[k])));
    if (Math.max(f(found[2] - found[0]), f(found[3] - found[1])) < this.rules.min_face) return null;
    const landmarks = judged[0].landmarks.map((_, k) =>
      [0, 1].map((axis) => mean(judged.map((one) => one.landmarks[k][axis]))));
    return { box: /** @type {Box} */ (found), score, landmarks: /** @type {Landmarks} */ (landmarks) };
  }

  /** First stage: the P-Net slides over the pyramid of shrunk pictures. @param {Means} means @returns {Promise<Box[]>} */
  async #propose(means) {
    const { width, height } = means;
    let scale = WINDOW / this.rules.min_face;
    let shortest = Math.min(height, width) * scale;
    const found = [];
    while (shortest >= WINDOW) {
      const [high, wide] = [Math.trunc(height * scale + 1), Math.trunc(width * scale + 1)];
      const level = new Float32Array(3 * high * wide);
      means.average([0, 0, width, height], wide, high, level);
      found.push(...suppress(await this.#slide(level, high, wide, f(scale)), 0.5));
      scale *= FACTOR;
      shortest *= FACTOR;
    }
    return suppress(found, 0.7).map((one) => square(shift(one, 0)));
  }

  /** @param {Float32Array} level @param {number} high @param {number} wide @param {number} scale @returns {Promise<Found[]>} */
  async #slide(level, high, wide, scale) {
    const { offsets, scores } = await this.nets.pnet.forward({ images: { data: level, dims: [1, 3, high, wide] } });
    const [, , rows, columns] = scores.dims;
    const size = rows * columns;
    const least = f(this.rules.thresholds[0]);
    const found = [];
    for (let at = 0; at < size; at += 1) {
      const score = scores.data[size + at];
      if (score < least) continue;
      const corner = [STRIDE * (at % columns), STRIDE * Math.floor(at / columns)];
      const [x1, y1] = corner.map((v) => Math.floor(f((v + 1) / scale)));
      const [x2, y2] = corner.map((v) => Math.floor(f((v + WINDOW) / scale)));
      const moved = [0, 1, 2, 3].map((k) => offsets.data[k * size + at]);
      found.push({ box: /** @type {Box} */ ([x1, y1, x2, y2]), offsets: /** @type {Box} */ (moved), score });
    }
    return found;
  }

  /** Second stage: the R-Net rejects most and moves the others. @param {Means} means @param {Box[]} boxes @returns {Promise<Box[]>} */
  async #refine(means, boxes) {
    const judged = await this.#judge("rnet", 24, means, boxes, this.rules.thresholds[1]);
    return suppress(judged, 0.7).map((one) => square(shift(one, 1)));
  }

  /**
   * Cut the boxes out, shrink them to `side` and ask the network.
   * @param {"rnet"|"onet"} name @param {number} side @param {Means} means @param {Box[]} boxes @param {number} threshold
   * @returns {Promise<Judged[]>} those that score above the threshold
   */
  async #judge(name, side, means, boxes, threshold) {
    const parts = boxes
      .map((box) => {
        const [left, top, right, bottom] = box.map(Math.trunc);
        const low = [Math.max(left, 1) - 1, Math.max(top, 1) - 1];
        return { box, part: [...low, Math.min(right, means.width), Math.min(bottom, means.height)] };
      })
      .filter(({ part: [left, top, right, bottom] }) => right > left && bottom > top);
    const found = [];
    for (let start = 0; start < parts.length; start += BATCH) {
      const batch = parts.slice(start, start + BATCH);
      const size = 3 * side * side;
      const data = new Float32Array(batch.length * size);
      batch.forEach(({ part }, k) => means.average(part, side, side, data, k * size));
      const { offsets, scores, landmarks } =
        await this.nets[name].forward({ images: { data, dims: [batch.length, 3, side, side] } });
      for (const [k, { box }] of batch.entries()) {
        const score = scores.data[2 * k + 1];
        const moved = /** @type {Box} */ ([...offsets.data.slice(4 * k, 4 * k + 4)]);
        const points = this.rules.align && landmarks ? place(landmarks.data.slice(10 * k, 10 * k + 10), box) : [];
        if (score > f(threshold)) found.push({ box, offsets: moved, score, landmarks: /** @type {Landmarks} */ (points) });
      }
    }
    return found;
  }
}

/** @param {Float32Array} shares of the box's sides: five x, then five y @param {Box} box @returns {Landmarks} */
function place(shares, [x1, y1, x2, y2]) {
  const [width, height] = [f(f(x2 - x1) + 1), f(f(y2 - y1) + 1)];
  return Array.from({ length: 5 }, (_, k) => [f(x1 - 1 + f(width * shares[k])), f(y1 - 1 + f(height * shares[5 + k]))]);
}

/** @param {number[]} values */
const mean = (values) => f(values.reduce((sum, value) => f(sum + value), 0) / values.length);
