// mmer/runtime/vacancy.py: pictures without a face: when the whole of the next one need not be searched.
import { GRID, GRID_CELL, NOISE, VACANT_EVERY_S, VACANT_S } from "./constants.js";

/** @typedef {import("./means.js").Picture} Picture */
/** @typedef {{data: Uint8Array, width: number, height: number}} Few */

export class Vacancy {
  /** @type {Few|null} */
  #empty = null;
  #since = -Infinity;
  #searched = -Infinity;

  /** A search of this picture saw so many faces. @param {Picture} picture @param {number} now seconds @param {number} faces */
  searched(picture, now, faces) {
    if (faces) {
      this.#empty = null;
      return;
    }
    if (!this.#empty) this.#since = now;
    this.#empty = few(picture);
    this.#searched = now;
  }

  /** Whether a search of this picture would see as little as the last one. @param {Picture} picture @param {number} now seconds */
  lasts(picture, now) {
    if (!this.#empty) return false;
    if (now - this.#since > VACANT_S && now - this.#searched < VACANT_EVERY_S - 1e-6) return true;
    const some = few(picture);
    return some.width === this.#empty.width && some.height === this.#empty.height && still(this.#empty, some);
  }
}

/** The green of the pixels that are compared: whole cells of them. @param {Picture} picture @returns {Few} */
function few({ data, width, height }) {
  const [across, down] = [width, height].map((side) => {
    const pixels = Math.ceil(Math.max(side - GRID / 2, 0) / GRID);
    return pixels - (pixels % GRID_CELL);
  });
  const found = new Uint8Array(across * down);
  let at = 0;
  for (let y = 0; y < down; y += 1) {
    let from = 4 * ((y * GRID + GRID / 2) * width + GRID / 2) + 1;
    for (let x = 0; x < across; x += 1, at += 1, from += 4 * GRID) found[at] = data[from];
  }
  return { data: found, width: across, height: down };
}

/** Whether the pixels of each cell differ by no more than noise. @param {Few} one @param {Few} other */
function still(one, other) {
  const { width, height } = one;
  for (let top = 0; top < height; top += GRID_CELL) {
    for (let left = 0; left < width; left += GRID_CELL) {
      let off = 0;
      for (let y = top; y < top + GRID_CELL; y += 1) {
        for (let at = y * width + left; at < y * width + left + GRID_CELL; at += 1) off += Math.abs(one.data[at] - other.data[at]);
      }
      if (off > NOISE * GRID_CELL * GRID_CELL) return false;
    }
  }
  return true;
}
