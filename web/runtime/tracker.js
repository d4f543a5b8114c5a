// mmer/runtime/tracker.py: follows one person's face through a clip or a stream; several are followed by people.js.
import { Alignment } from "./align.js";
import { iou } from "./boxes.js";
import { SAME_FACE_GROWTH, SAME_FACE_IOU, SAME_FACE_STEP } from "./constants.js";
import { Vacancy } from "./vacancy.js";

/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {import("./detector.js").Face} Face */
/** @typedef {import("./means.js").Picture} Picture */

export class Tracker {
  /** @param {import("./detector.js").Detector} detector */
  constructor(detector) {
    this.detector = detector;
    this.rules = detector.rules;
    /** @type {Box|null} */
    this.box = null;
    this.score = 0; // how sure the detector was of it
    this.alignment = new Alignment();
    this.vacancy = new Vacancy();
    this.seen = this.searched = this.now = -Infinity;
    this.frame = "";
  }

  /** See the next picture. @param {Picture} picture @param {number} t seconds @returns {Promise<Box|null>} where the face is */
  async track(picture, t) {
    this.now = Math.max(t, this.now);
    const frame = `${picture.width}x${picture.height}`;
    if (frame !== this.frame || this.now - this.seen > this.rules.max_gap_s + 1e-6) {
      this.box = null;
      this.alignment = new Alignment();
    }
    this.frame = frame;
    const found = (await this.#follow(picture)) ?? (await this.#search(picture));
    if (found) {
      this.box = found.box;
      this.score = found.score;
      this.seen = this.now;
      if (this.rules.align) this.alignment.see(found.landmarks, found.box, this.now);
    }
    return this.box;
  }

  /** Where the crop lies, as if it were not turned. @param {Box} box @returns {Box} */
  laid(box) {
    return this.rules.align ? this.alignment.box(box) : box;
  }

  /** Without a search; null where it is not there, or a search is due. @param {Picture} picture @returns {Promise<Face|null>} */
  async #follow(picture) {
    if (!this.box || this.#due) return null;
    return this.detector.follow(picture, this.box, this.alignment.roll);
  }

  get #due() {
    return this.now - this.searched > this.rules.detect_every_s - 1e-6;
  }

  /** @param {Picture} picture @returns {Promise<Face|null>} */
  async #search(picture) {
    if (!this.#due && this.vacancy.lasts(picture, this.now)) return null;
    const faces = await this.detector.detect(picture);
    this.searched = this.now;
    this.vacancy.searched(picture, this.now, faces.length);
    const found = this.#choose(faces);
    if (!found) return null;
    // A search's box and a followed one differ a little: without this a still face would twitch at every search.
    if (!this.rules.detect_every_s) return found;
    const angle = this.rules.align ? this.alignment.rollTowards(found.landmarks) : 0;
    return (await this.detector.follow(picture, found.box, angle)) ?? found;
  }

  /** Which of them (the largest first) is the face that is followed. @param {Face[]} faces @returns {Face|null} */
  #choose(faces) {
    const last = this.box;
    if (!faces.length || !last) return faces[0] ?? null;
    const overlaps = faces.map(({ box }) => iou(box, last));
    const best = Math.max(...overlaps);
    if (best >= SAME_FACE_IOU) return faces[overlaps.indexOf(best)];
    const steps = faces.map(({ box }) => {
      const [side, before] = [longest(box), longest(last)];
      if (Math.max(side, before) / Math.min(side, before) > SAME_FACE_GROWTH) return Infinity;
      const [x, y] = [0, 1].map((k) => (box[k] + box[k + 2] - last[k] - last[k + 2]) / 2);
      return Math.hypot(x, y) / Math.min(side, before);
    });
    const nearest = Math.min(...steps);
    return nearest <= SAME_FACE_STEP ? faces[steps.indexOf(nearest)] : null;
  }
}

/** @param {Box} box */
const longest = ([x1, y1, x2, y2]) => Math.max(x2 - x1, y2 - y1);
