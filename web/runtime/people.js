// mmer/runtime/people.py: several people in the pictures of one clip or stream, each with an id that stays.
import { Alignment, square } from "./align.js";
import { lips, look, portrait, unlike } from "./appearance.js";
import { area, iou, longer, overlap } from "./boxes.js";
import {
  APART, FADE_S, FAMILIAR, GONE_EVERY_S, HIDDEN_SHARE, LARGER, LOOK_EVERY_S, LOOK_TAU_S, LOST_EVERY_S, ONE_FACE_IOU, PACE,
  REMEMBERED, REMEMBER_S, SAME_FACE_STEP, STRANGER, SURE_FACE, WHOLE,
} from "./constants.js";
import { Tracker } from "./tracker.js";
import { Vacancy } from "./vacancy.js";

/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {import("./detector.js").Face} Face */
/** @typedef {import("./means.js").Picture} Picture */
/**
 * A person in one picture.
 * @typedef {object} Sighting
 * @property {number} id
 * @property {Box} box
 * @property {Box} laid where the crop lies, as if it were not turned
 * @property {number} score how sure the detector was of it when it was last found
 * @property {number} roll degrees by which it is turned
 * @property {number} side of the box, the longer one, pixels
 * @property {number|null} lips how much the mouth moved since the picture before
 */
/** @typedef {{people: Sighting[], more: number}} Crowd by id; and faces beyond the limit, at the last search */

/** A face that was found, and how it looks, which is worked out where it is asked for: of one alone hardly ever. */
class Found {
  /** @type {Uint8Array|undefined} */
  #portrait;
  /** @type {Float32Array|undefined} */
  #look;

  /** @param {Picture} picture @param {Face} face @param {number} roll */
  constructor(picture, face, roll) {
    this.picture = picture;
    this.face = face;
    this.roll = roll;
  }

  get portrait() {
    return (this.#portrait ??= portrait(this.picture, this.face.box, this.roll));
  }

  get look() {
    return (this.#look ??= look(this.picture, this.face.box, this.portrait));
  }

  /** Whether it is wholly in the picture, and so shows how somebody looks. */
  get clear() {
    const { width, height } = this.picture;
    return overlap(this.face.box, [0, 0, width, height]) >= WHOLE * area(this.face.box);
  }
}

/** What is known of a person. */
class Known {
  here = false; // whether the box still holds
  score = 0;
  alignment = new Alignment();
  speed = [0, 0]; // of the box, pixels a second
  /** @type {Uint8Array|null} */
  portrait = null;

  /** @param {number} id @param {Found} found @param {number} seen seconds */
  constructor(id, found, seen) {
    this.id = id;
    this.box = found.face.box;
    this.look = found.look;
    this.seen = seen;
    this.looked = seen; // when last at how they look
  }

  /** Where the box would be now if it went on as it did. @param {number} now @returns {Box} */
  expected(now) {
    return /** @type {Box} */ (this.box.map((v, k) => v + this.speed[k % 2] * (now - this.seen)));
  }

  /** They are out of sight. */
  leave() {
    this.here = false;
    this.alignment = new Alignment();
    this.speed = [0, 0];
    this.portrait = null;
  }
}

export class People {
  /** @type {Known[]} */
  known = [];
  ids = 0;
  more = 0;
  now = -Infinity;
  searched = -Infinity;
  frame = "";
  vacancy = new Vacancy();

  /** @param {import("./detector.js").Detector} detector */
  constructor(detector) {
    this.detector = detector;
    this.rules = detector.rules;
    this.one = this.rules.max_people === 1 ? new Tracker(detector) : null;
  }

  /** See the next picture. @param {Picture} picture @param {number} t seconds @returns {Promise<Crowd>} */
  async track(picture, t) {
    if (this.one) return alone(this.one, await this.one.track(picture, t));
    const later = t > this.now;
    this.now = Math.max(t, this.now);
    this.#letGo(`${picture.width}x${picture.height}`);
    const due = this.now - this.searched > this.rules.detect_every_s - 1e-6;
    const found = due ? new Map() : await this.#follow(picture);
    if (due || this.now - this.searched > this.#patience(picture, found) - 1e-6) await this.#search(picture, found);
    const here = this.known.filter((one) => one.here).sort((a, b) => a.id - b.id);
    const everybody = [...found.values()];
    const shown = here.filter((one) => found.has(one) || !behind(one.box, everybody));
    const moved = new Map();
    for (const one of here) if (found.has(one)) moved.set(one, this.#see(one, found.get(one), everybody, later));
    return { people: shown.map((one) => this.#sighting(one, moved.get(one) ?? null)), more: this.more };
  }

  /** Of boxes that are too old or of another kind of picture, and of who was not seen for long. @param {string} frame */
  #letGo(frame) {
    for (const one of this.known) {
      if (frame !== this.frame || this.now - one.seen > this.rules.max_gap_s + 1e-6) one.leave();
    }
    this.frame = frame;
    this.known = this.known.filter((one) => this.now - one.seen <= REMEMBER_S);
  }

  /** Seconds from the last search to the next. @param {Picture} picture @param {Map<Known, Found>} found */
  #patience(picture, found) {
    if (!found.size) return this.vacancy.lasts(picture, this.now) ? Infinity : 0;
    const lost = this.known.filter((one) => !found.has(one));
    if (lost.some((one) => one.here)) return LOST_EVERY_S;
    return lost.length ? GONE_EVERY_S : Infinity;
  }

  /** Who is found near their last boxes, without a search. @param {Picture} picture @returns {Promise<Map<Known, Found>>} */
  async #follow(picture) {
    const here = this.known.filter((one) => one.here);
    /** @type {Face[]} */
    const faces = [];
    for (const one of here) {
      const face = await this.detector.follow(picture, one.box, one.alignment.roll);
      if (face && apart(face.box, faces)) faces.push(face);
    }
    const found = faces.map((face) => this.#lookedAt(picture, face));
    return here.length === 1 && found.length === 1 ? new Map([[here[0], found[0]]]) : this.#match(here, found);
  }

  /** Who of the others is among all faces, and who is new: added to those found. @param {Picture} picture @param {Map<Known, Found>} found */
  async #search(picture, found) {
    const everybody = await this.detector.detect(picture);
    const lookedAt = 2 * this.rules.max_people;
    this.searched = this.now;
    this.vacancy.searched(picture, this.now, everybody.length);
    const taken = [...found.values()].map((one) => one.face);
    const faces = everybody.slice(0, lookedAt).filter((face) => apart(face.box, taken)).map((face) => this.#lookedAt(picture, face));
    this.more = everybody.slice(lookedAt).filter(({ score }) => score >= SURE_FACE).length;
    const back = this.#match(this.known.filter((one) => !found.has(one)), faces);
    const known = new Set(back.values());
    for (const [one, face] of back) await this.#admit(picture, one, face, found);
    for (const face of faces) {
      if (known.has(face) || !this.#isNew(face, found, [...faces, ...found.values()])) continue;
      const one = new Known(this.ids + 1, face, this.now);
      if (await this.#admit(picture, one, face, found)) {
        this.ids += 1;
        this.known.push(one);
      }
    }
    this.known = this.known.sort((a, b) => b.seen - a.seen).slice(0, REMEMBERED);
  }

  /** Whether nobody is known whose face it is. @param {Found} face @param {Map<Known, Found>} found @param {Found[]} everybody */
  #isNew(face, found, everybody) {
    if (this.known.some((one) => !found.has(one)) && !clear(face, everybody)) return false;
    return face.face.score >= SURE_FACE || !this.known.some((one) => one.here);
  }

  /** Follow somebody from now on, unless there are enough, none much smaller. @param {Picture} picture @param {Known} one @param {Found} face @param {Map<Known, Found>} found @returns {Promise<boolean>} */
  async #admit(picture, one, face, found) {
    const here = this.known.filter((other) => other.here && other !== one);
    if (here.length >= this.rules.max_people) {
      this.more += 1;
      const smallest = here.reduce((a, b) => (longer(b.box) < longer(a.box) ? b : a));
      if (longer(face.face.box) <= LARGER * longer(smallest.box)) return false;
      smallest.leave();
      found.delete(smallest);
    }
    one.here = true;
    if (this.rules.detect_every_s) {
      const angle = this.rules.align ? one.alignment.rollTowards(face.face.landmarks) : 0;
      const settled = await this.detector.follow(picture, face.face.box, angle);
      const others = [...found.values()].map((other) => other.face);
      if (settled && apart(settled.box, others)) face = this.#lookedAt(picture, settled);
    }
    found.set(one, face);
    return true;
  }

  /** @param {Picture} picture @param {Face} face @returns {Found} */
  #lookedAt(picture, face) {
    return new Found(picture, face, this.rules.align ? square(face.landmarks)[3] : 0);
  }

  /** Whose face is whose: the likeliest pair first. @param {Known[]} people @param {Found[]} faces @returns {Map<Known, Found>} */
  #match(people, faces) {
    const pairs = people.flatMap((one) => faces.map((face) => ({ one, face, cost: this.#cost(one, face) })));
    const found = new Map();
    const taken = new Set();
    for (const { one, face, cost } of pairs.sort((a, b) => a.cost - b.cost)) {
      if (cost === Infinity || found.has(one) || taken.has(face)) continue;
      found.set(one, face);
      taken.add(face);
    }
    return found;
  }

  /** How unlikely it is that a face is somebody's. @param {Known} one @param {Found} found */
  #cost(one, found) {
    const unlikeness = unlike(one.look, found.look);
    const gone = this.now - one.seen;
    const far = Math.min(...[one.box, one.expected(this.now)].map((place) => way(place, found.face.box)));
    const reach = SAME_FACE_STEP + PACE * gone;
    const faded = far <= reach || (!found.clear && this.known.length === 1) ? Math.min(gone / FADE_S, 1) : 1;
    if (unlikeness > STRANGER + faded * (FAMILIAR - STRANGER)) return Infinity;
    return Math.min(far / reach, 1) + unlikeness / FAMILIAR;
  }

  /** Learn of somebody who is found. @param {Known} one @param {Found} found @param {Found[]} everybody @param {boolean} later @returns {number|null} how much the mouth moved */
  #see(one, found, everybody, later) {
    const { face } = found;
    const past = this.now - one.seen;
    if (past > 0 && past <= this.rules.max_gap_s) {
      const [at, before] = [centre(face.box), centre(one.box)];
      one.speed = one.speed.map((v, k) => (v + (at[k] - before[k]) / past) / 2);
    }
    const single = this.known.length === 1;
    const unlooked = this.now - one.looked;
    if ((!single || unlooked > LOOK_EVERY_S - 1e-6) && clear(found, everybody)) {
      const weight = 1 - Math.exp(-unlooked / LOOK_TAU_S);
      one.look = one.look.map((v, k) => v + weight * (found.look[k] - v));
      one.looked = this.now;
    }
    const small = single ? null : found.portrait;
    const moved = later && one.portrait && small ? lips(one.portrait, small) : null;
    one.box = face.box;
    one.score = face.score;
    one.seen = this.now;
    one.portrait = small;
    if (this.rules.align) one.alignment.see(face.landmarks, face.box, this.now);
    return moved;
  }

  /** @param {Known} one @param {number|null} moved @returns {Sighting} */
  #sighting({ id, box, score, alignment }, moved) {
    return { id, box, score, laid: this.rules.align ? alignment.box(box) : box, roll: alignment.roll, side: longer(box), lips: moved };
  }
}

/** The one person of a tracker, who is called 1, whoever it is. @param {Tracker} tracker @param {Box|null} box @returns {Crowd} */
function alone(tracker, box) {
  if (!box) return { people: [], more: 0 };
  return { people: [{ id: 1, box, score: tracker.score, laid: tracker.laid(box), roll: tracker.alignment.roll, side: longer(box), lips: null }], more: 0 };
}

/** @param {Box} box */
const centre = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2];

/** From centre to centre, in sides of the smaller box. @param {Box} one @param {Box} other */
function way(one, other) {
  const [[x, y], [x0, y0]] = [centre(one), centre(other)];
  return Math.hypot(x - x0, y - y0) / Math.min(longer(one), longer(other));
}

/** Whether it shows how somebody looks. @param {Found} face @param {Found[]} everybody */
const clear = (face, everybody) =>
  face.clear && everybody.every((one) => one === face || way(face.face.box, one.face.box) > APART);

/** Whether it is the box of none of these. @param {Box} box @param {Face[]} faces */
const apart = (box, faces) => faces.every((other) => iou(box, other.box) <= ONE_FACE_IOU);

/** Whether another face covers it. @param {Box} box @param {Found[]} faces */
const behind = (box, faces) => faces.some((other) => overlap(box, other.face.box) > HIDDEN_SHARE * area(box));
