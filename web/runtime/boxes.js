// mmer/runtime/boxes.py: boxes of the cascade, moved, made square, thinned out. The arithmetic is float32 at each
// operation, as numpy's is there: a difference in the last bit is enough for another box to win a tie.

const f = Math.fround;

/** @typedef {[number, number, number, number]} Box left, top, right, bottom in pixels; it may reach beyond the picture */
/**
 * What a network says of a box.
 * @typedef {object} Found
 * @property {Box} box
 * @property {Box} offsets of its sides, shares of its size
 * @property {number} score
 */

/** Move each side by its offset. @param {Found} found @param {number} extra pixels that the size counts more @returns {Box} */
export function shift({ box: [x1, y1, x2, y2], offsets: [left, top, right, bottom] }, extra) {
  const width = f(f(x2 - x1) + extra);
  const height = f(f(y2 - y1) + extra);
  return [f(x1 + f(left * width)), f(y1 + f(top * height)), f(x2 + f(right * width)), f(y2 + f(bottom * height))];
}

/** The same centre, and the longer side for both. @param {Box} box @returns {Box} */
export function square([x1, y1, x2, y2]) {
  const width = f(x2 - x1);
  const height = f(y2 - y1);
  const side = Math.max(width, height);
  const left = f(f(x1 + f(width * 0.5)) - f(side * 0.5));
  const top = f(f(y1 + f(height * 0.5)) - f(side * 0.5));
  return [left, top, f(left + side), f(top + side)];
}

/** The longer side, pixels. @param {Box} box */
export const longer = ([x1, y1, x2, y2]) => Math.max(x2 - x1, y2 - y1);

/**
 * Where to say that a box is which goes on: at the new place, or only a part of the way, so that what trembles rests.
 * @param {Box} last @param {Box} fresh @param {number} play a share of the side
 * @returns {Box}
 */
export function steadied(last, fresh, play) {
  const way = Math.max(...fresh.map((there, k) => Math.abs(there - last[k])));
  const share = Math.min(1, way / Math.max(play * longer(fresh), 1e-6));
  return /** @type {Box} */ (last.map((here, k) => here + share * (fresh[k] - here)));
}

/** A point turned clockwise about (0, 0). @param {number[]} point @param {number} degrees @returns {[number, number]} */
export function rotate([x, y], degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [cos * x - sin * y, sin * x + cos * y];
}

/**
 * Those that overlap no better one by more than `threshold` (intersection over union).
 * @template {Found} T @param {T[]} found @param {number} threshold @returns {T[]} the best first
 */
export function suppress(found, threshold) {
  return best([...found].sort((a, b) => b.score - a.score), threshold, false);
}

/**
 * The same for the last stage, where the intersection counts against the smaller box: a face within a face goes.
 * @template {Found} T @param {T[]} found @param {number} threshold @returns {T[]}
 */
export function suppressNested(found, threshold) {
  return best([...found].sort((a, b) => a.score - b.score).reverse(), threshold, true); // of two equal ones, the later
}

/** @template {Found} T @param {T[]} order @param {number} threshold @param {boolean} nested @returns {T[]} */
function best(order, threshold, nested) {
  const extra = nested ? 1 : 0;
  const kept = [];
  while (order.length) {
    const [first, ...others] = order;
    kept.push(first);
    order = others.filter((other) => {
      const shared = overlap(first.box, other.box, extra);
      const [a, b] = [area(first.box, extra), area(other.box, extra)];
      return f(shared / (nested ? Math.min(a, b) : f(f(b + a) - shared))) <= f(threshold);
    });
  }
  return kept;
}

/** @param {Box} box @param {number} [extra] */
export function area([x1, y1, x2, y2], extra = 0) {
  return f(f(f(x2 - x1) + extra) * f(f(y2 - y1) + extra));
}

/** Intersection over union. @param {Box} a @param {Box} b */
export function iou(a, b) {
  const shared = overlap(a, b);
  return shared / (area(a) + area(b) - shared);
}

/** Of two boxes, the area that both cover. @param {Box} a @param {Box} b @param {number} [extra] */
export function overlap(a, b, extra = 0) {
  const width = Math.max(f(f(Math.min(a[2], b[2]) - Math.max(a[0], b[0])) + extra), 0);
  const height = Math.max(f(f(Math.min(a[3], b[3]) - Math.max(a[1], b[1])) + extra), 0);
  return f(width * height);
}
