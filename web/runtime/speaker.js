// mmer/runtime/speaker.py: who of several people is followed, the one who speaks, where lips and voice tell; else the
// largest.
import { SILENCE_S, SIZE_LEAD, TALK_LEAD, TALK_LEAST, TALK_S, TALK_TAU_S } from "./constants.js";

/** @typedef {import("./people.js").Sighting} Sighting */

export class Speaker {
  /** Of each person: how much lips moved while a voice was heard, and for how long. @type {Map<number, {mean: number, heardS: number}>} */
  lips = new Map();
  /** @type {number|null} */
  speaking = null;
  sinceVoice = 0;
  unseen = 0;
  /** The person of the last step; null before anybody was seen. @type {number|null} */
  followed = null;

  /** @param {number} stepS @param {number} holdS so long one who is not seen is still followed though others are seen */
  constructor(stepS, holdS) {
    this.stepS = stepS;
    this.holdS = holdS;
  }

  /** The next step. @param {Sighting[]} people who is seen @param {boolean} heard whether there is a voice @returns {number|null} whom to follow */
  push(people, heard) {
    this.#listen(people, heard);
    const sides = new Map(people.map(({ id, side }) => [id, side]));
    const own = this.followed === null ? undefined : sides.get(this.followed);
    this.unseen = own === undefined ? this.unseen + this.stepS : 0;
    const largest = people.reduce((/** @type {Sighting|null} */ best, one) => (best && best.side >= one.side ? best : one), null);
    if (this.speaking !== null && sides.has(this.speaking)) this.followed = this.speaking;
    else if (largest && own === undefined) {
      if (this.followed === null || this.unseen > this.holdS + 1e-6) this.followed = largest.id;
    } else if (largest && own !== undefined && largest.side > SIZE_LEAD * own) this.followed = largest.id;
    return this.followed;
  }

  /** Let so many steps pass unheard. @param {number} steps */
  skip(steps) {
    this.sinceVoice += steps * this.stepS;
  }

  /** Who speaks, as far as can be told. @param {Sighting[]} people @param {boolean} heard */
  #listen(people, heard) {
    this.sinceVoice = heard ? 0 : this.sinceVoice + this.stepS;
    if (this.sinceVoice > SILENCE_S) this.speaking = null;
    for (const id of this.lips.keys()) {
      if (id !== this.speaking && !people.some((one) => one.id === id)) this.lips.delete(id);
    }
    if (!heard) return;
    for (const { id, lips } of people) {
      if (lips === null) continue;
      const moved = this.lips.get(id) ?? { mean: 0, heardS: 0 };
      this.lips.set(id, moved);
      moved.heardS += this.stepS;
      moved.mean += Math.max(1 - Math.exp(-this.stepS / TALK_TAU_S), this.stepS / moved.heardS) * (lips - moved.mean);
    }
    const told = people.flatMap(({ id }) => {
      const moved = this.lips.get(id);
      return moved && moved.heardS > TALK_S - 1e-6 ? [{ id, mean: moved.mean }] : [];
    });
    if (told.length < people.length || people.length < 2) return;
    const [first, second] = told.sort((a, b) => b.mean - a.mean);
    if (first.mean >= Math.max(TALK_LEAST, TALK_LEAD * second.mean)) this.speaking = first.id;
  }
}
