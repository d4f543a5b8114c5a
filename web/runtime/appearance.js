// mmer/runtime/appearance.py: what tells people in one picture apart, and whose lips move, both from a small portrait.
import { AROUND, CELL, CHEST, COLOUR, MOUTH, PALE, PORTRAIT, SIDES, STEADY } from "./constants.js";
import { crop } from "./resize.js";

/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {import("./means.js").Picture} Picture */

const ACROSS = PORTRAIT / CELL;

/** A face small and with its hair. @param {Picture} picture @param {Box} box @param {number} roll @returns {Uint8Array} RGB */
export const portrait = (picture, box, roll) => crop(picture, box, PORTRAIT, AROUND, roll);

/** How somebody looks. @param {Picture} picture @param {Box} box @param {Uint8Array} small the portrait @returns {Float32Array} */
export function look(picture, [x1, y1, x2, y2], small) {
  const below = CHEST * Math.max(x2 - x1, y2 - y1);
  const chest = crop(picture, [x1, y1 + below, x2, y2 + below], ACROSS, 0);
  const cells = [];
  for (let row = 0; row < ACROSS; row += 1) {
    for (let column = SIDES; column < ACROSS - SIDES; column += 1) {
      cells.push(mean(small, PORTRAIT, column * CELL, row * CELL, CELL, CELL));
    }
    for (let column = 0; column < ACROSS; column += 2) cells.push(mean(chest, ACROSS, column, row, 2, 1));
  }
  return Float32Array.from(cells.flatMap((rgb) => {
    const light = (rgb[0] + rgb[1] + rgb[2]) / 3;
    return [light, ...rgb.map((v) => COLOUR * (v - light))];
  }));
}

/** How far apart two looks are. @param {Float32Array} one @param {Float32Array} other */
export const unlike = (one, other) =>
  Math.sqrt(one.reduce((sum, v, k) => sum + (v - other[k]) ** 2, 0) / one.length);

/** How much the mouth moved from one portrait to the next. @param {Uint8Array} before @param {Uint8Array} now */
export function lips(before, now) {
  const [left, top, right, bottom] = MOUTH;
  const mouth = part(now, left, top, right, bottom);
  let least = Infinity;
  for (let y = -STEADY; y <= STEADY; y += 1) {
    for (let x = -STEADY; x <= STEADY; x += 1) {
      const earlier = part(before, left + x, top + y, right + x, bottom + y);
      least = Math.min(least, average(earlier.map((v, k) => Math.abs(v - mouth[k]))));
    }
  }
  const middle = average(mouth);
  return least / (Math.sqrt(average(mouth.map((v) => (v - middle) ** 2))) + PALE);
}

/** Red, green and blue of a rectangle, 0..1. @param {Uint8Array} rgb @param {number} width @param {number} left @param {number} top @param {number} wide @param {number} high */
function mean(rgb, width, left, top, wide, high) {
  const sums = [0, 0, 0];
  for (let y = top; y < top + high; y += 1) {
    for (let x = left; x < left + wide; x += 1) for (let c = 0; c < 3; c += 1) sums[c] += rgb[3 * (y * width + x) + c];
  }
  return sums.map((sum) => sum / (255 * wide * high));
}

/** Grey levels of a rectangle of a portrait. @param {Uint8Array} rgb @param {number} left @param {number} top @param {number} right @param {number} bottom */
function part(rgb, left, top, right, bottom) {
  const grey = [];
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      const at = 3 * (y * PORTRAIT + x);
      grey.push((rgb[at] + rgb[at + 1] + rgb[at + 2]) / 3);
    }
  }
  return grey;
}

/** @param {number[]} values */
const average = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
