// mmer/runtime/roll.py: how far a face is tilted towards a shoulder, and that angle steadied from frame to frame.
import { ROLL_LIMIT, ROLL_PLAY, ROLL_TAU_S } from "./constants.js";

/** @typedef {[number, number][]} Landmarks x and y of both eyes, the nose and both corners of the mouth, pixels */

/** The angle of a face in its picture. @param {Landmarks} landmarks @returns {number} degrees, clockwise where positive */
export function roll([[x1, y1], [x2, y2], , [x3, y3], [x4, y4]]) {
  const [downX, downY] = [(x3 + x4 - x1 - x2) / 2, (y3 + y4 - y1 - y2) / 2];
  const angle = (Math.atan2(y2 - y1 - downX, x2 - x1 + downY) * 180) / Math.PI;
  return Math.min(Math.max(angle, -ROLL_LIMIT), ROLL_LIMIT);
}

/** One face's roll from frame to frame. */
export class Roll {
  constructor() {
    this.angle = 0; // degrees by which the crop is turned
    this.mean = 0;
    this.at = -Infinity;
  }

  /** Take in what was measured. @param {number} measured degrees @param {number} t seconds */
  see(measured, t) {
    this.mean += (measured - this.mean) * (1 - Math.exp((this.at - t) / ROLL_TAU_S));
    this.at = t;
    this.angle = this.towards(this.mean);
  }

  /** The crop's angle turned only as far as it must be. @param {number} measured degrees @returns {number} */
  towards(measured) {
    return Math.min(Math.max(this.angle, measured - ROLL_PLAY), measured + ROLL_PLAY);
  }
}
