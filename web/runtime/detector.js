// mmer/runtime/detector.py: the cascade of MTCNN, which finds the same boxes in the same picture.
import { area, longer, rotate, shift, square, steadied, suppress, suppressNested } from "./boxes.js";
import { BATCH, FACTOR, STRIDE, TREMBLE, WINDOW } from "./constants.js";
import { Means, normalised } from "./means.js";
import { read, roundEven } from "./resize.js";

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
    const near = await this.#ask("rnet", 24, picture, last, roll);
    if (!near || near.score <= f(this.rules.thresholds[1])) return null;
    const found = await this.#ask("onet", 48, picture, near.box, roll);
    if (!found || found.score <= f(this.rules.thresholds[2])) return null;
    const box = steadied(last, found.box, TREMBLE);
    return longer(box) >= this.rules.min_face ? { ...found, box } : null;
  }

  /**
   * What a network sees in the square about a box; null where its middle lies outside the picture.
   * @param {"rnet"|"onet"} name @param {number} size @param {Picture} picture @param {Box} box @param {number} roll
   * @returns {Promise<Face|null>}
   */
  async #ask(name, size, picture, box, roll) {
    const middle = [roundEven(box[0] + box[2]) / 2, roundEven(box[1] + box[3]) / 2];
    const side = roundEven(longer(box));
    if (!(middle[0] >= 0 && middle[0] <= picture.width && middle[1] >= 0 && middle[1] <= picture.height)) return null;
    const images = normalised(read(picture, middle[0] - 1, middle[1] - 1, side + 1, size, roll)); // pixels counted from 1
    const { offsets, scores, landmarks } = await this.nets[name].forward({ images: { data: images, dims: [1, 3, size, size] } });
    // All about the middle of the square, which is upright there; then turned as it lies in the picture.
    const edges = [...offsets.data].map((offset, k) => (k < 2 ? -side : side) / 2 + offset * (side + 1));
    const moved = rotate([(edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2], roll);
    const reach = [(edges[2] - edges[0]) / 2, (edges[3] - edges[1]) / 2];
    const found = [-1, -1, 1, 1].map((sign, k) => middle[k % 2] + moved[k % 2] + sign * reach[k % 2]);
    const points = this.rules.align && landmarks ? Array.from({ length: 5 }, (_, k) => {
      const point = [landmarks.data[k], landmarks.data[5 + k]].map((share) => share * (side + 1) - side / 2 - 1);
      return rotate(point, roll).map((v, axis) => f(middle[axis] + v));
    }) : [];
    return { box: /** @type {Box} */ (found), score: scores.data[1], landmarks: /** @type {Landmarks} */ (points) };
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
