// mmer/runtime/resize.py: crops and small pictures, as OpenCV makes them there (`INTER_AREA` where it gets smaller, else
// `INTER_LINEAR`).
import { READ_APART } from "./constants.js";

const f = Math.fround;

/** @typedef {import("./means.js").Picture} Picture */

/**
 * The square around a box.
 * @param {Picture} picture
 * @param {import("./boxes.js").Box} box it may reach beyond the picture, whose edge is then repeated outwards
 * @param {number} size side of the crop, pixels
 * @param {number} margin added on each side, as a share of the box's longer side, which becomes the square's
 * @param {number} [roll] of the face, degrees, clockwise where positive; the square is turned by it about its centre
 * @returns {Uint8Array} RGB [size, size, 3]
 */
export function crop(picture, [x1, y1, x2, y2], size, margin, roll = 0) {
  const side = Math.max(1, Math.max(x2 - x1, y2 - y1) * (1 + 2 * margin));
  const found = read(picture, (x1 + x2) / 2, (y1 + y2) / 2, side, size, roll);
  const made = new Uint8Array(found.length);
  for (let at = 0; at < found.length; at += 1) made[at] = roundEven(found[at]);
  return made;
}

/**
 * A square of the picture wherever it lies, read between pixels at points of which each pixel made is the mean; beyond
 * the picture its edge is repeated. Nothing is rounded.
 * @param {Picture} picture @param {number} x of the square's centre; 0 is the left edge of the first pixel @param {number} y
 * @param {number} side pixels of the picture @param {number} size pixels of what is made
 * @param {number} [roll] degrees
 * @returns {Float32Array} RGB [size, size, 3] in 0..255
 */
export function read({ data, width, height }, x, y, side, size, roll = 0) {
  const each = Math.max(1, Math.ceil(side / size / READ_APART)); // points across a pixel made
  const points = size * each;
  const [cos, sin] = [Math.cos((roll * Math.PI) / 180), Math.sin((roll * Math.PI) / 180)].map((v) => (v * side) / points);
  const half = (points - 1) / 2;
  const share = 1 / (each * each);
  const [lastX, lastY] = [width - 1, height - 1];
  const made = new Float32Array(3 * size * size);
  let at = 0;
  for (let top = -half; top < half + 0.5; top += each) {
    for (let left = -half; left < half + 0.5; left += each, at += 3) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let row = top; row < top + each; row += 1) {
        for (let column = left; column < left + each; column += 1) {
          const across = Math.min(Math.max(x - 0.5 + cos * column - sin * row, 0), lastX);
          const down = Math.min(Math.max(y - 0.5 + sin * column + cos * row, 0), lastY);
          const x0 = across | 0; // far faster than Math.floor, and the same, since nothing is negative
          const y0 = down | 0;
          const right = across - x0;
          const below = down - y0;
          const here = 4 * (y0 * width + x0);
          const beside = x0 < lastX ? here + 4 : here;
          const under = y0 < lastY ? here + 4 * width : here;
          const aslant = under + beside - here;
          // Written out for the three: a loop over them takes a quarter more time.
          let upper = data[here] + right * (data[beside] - data[here]);
          let lower = data[under] + right * (data[aslant] - data[under]);
          red = f(red + share * (upper + below * (lower - upper)));
          upper = data[here + 1] + right * (data[beside + 1] - data[here + 1]);
          lower = data[under + 1] + right * (data[aslant + 1] - data[under + 1]);
          green = f(green + share * (upper + below * (lower - upper)));
          upper = data[here + 2] + right * (data[beside + 2] - data[here + 2]);
          lower = data[under + 2] + right * (data[aslant + 2] - data[under + 2]);
          blue = f(blue + share * (upper + below * (lower - upper)));
        }
      }
      made[at] = red;
      made[at + 1] = green;
      made[at + 2] = blue;
    }
  }
  return made;
}

/** The whole picture, its aspect not kept. @param {Picture} picture @param {number} size @returns {Uint8Array} RGB [size, size, 3] */
export function shrink(picture, size) {
  return resize(picture, size, size, 3);
}

/** A picture no larger than the recogniser takes. @param {Picture} picture @param {number} longest pixels @returns {Picture} */
export function bound(picture, longest) {
  const scale = longest / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, roundEven(side * scale)));
  return { data: resize(picture, width, height, 4), width, height };
}

/**
 * @param {Picture} picture
 * @param {number} width of the result
 * @param {number} height
 * @param {3|4} channels of the result; the fourth is left empty
 * @returns {Uint8Array} [height, width, channels]
 */
function resize({ data, width: wide, height: high }, width, height, channels) {
  const taps = Math.min(wide / width, high / height) >= 1 ? areaTaps : linearTaps;
  const [sideways, downwards] = [taps(wide, width), taps(high, height)];
  const flat = new Float32Array(4 * wide); // rows of the picture that make one row
  const out = new Uint8Array(height * width * channels);
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    flat.fill(0);
    for (let tap = downwards.first[y]; tap < downwards.first[y + 1]; tap += 1) {
      const weight = downwards.weights[tap];
      const from = downwards.pixels[tap] * flat.length;
      for (let k = 0; k < flat.length; k += 1) flat[k] += weight * data[from + k];
    }
    for (let x = 0; x < width; x += 1, at += channels) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let tap = sideways.first[x]; tap < sideways.first[x + 1]; tap += 1) {
        const weight = sideways.weights[tap];
        const from = 4 * sideways.pixels[tap];
        red += weight * flat[from];
        green += weight * flat[from + 1];
        blue += weight * flat[from + 2];
      }
      out[at] = (red + 0.5) | 0;
      out[at + 1] = (green + 0.5) | 0;
      out[at + 2] = (blue + 0.5) | 0;
    }
  }
  return out;
}

/** @typedef {{first: Int32Array, pixels: Int32Array, weights: Float64Array}} Taps of pixel k from the first[k]-th on: which pixels it is the sum of, and by which weights */

/** @param {[number, number][][]} all of each pixel @returns {Taps} */
function flat(all) {
  const first = new Int32Array(all.length + 1);
  for (const [k, taps] of all.entries()) first[k + 1] = first[k] + taps.length;
  const one = all.flat();
  return { first, pixels: Int32Array.from(one, ([pixel]) => pixel), weights: Float64Array.from(one, ([, weight]) => weight) };
}

/** Each pixel is the mean of what it covers. @param {number} from @param {number} to @returns {Taps} */
function areaTaps(from, to) {
  const scale = from / to;
  return flat(Array.from({ length: to }, (_, k) => {
    const [begin, end] = [k * scale, Math.min((k + 1) * scale, from)];
    const taps = /** @type {[number, number][]} */ ([]);
    for (let at = Math.floor(begin); at < end - 1e-3; at += 1) {
      const covered = Math.min(at + 1, end) - Math.max(at, begin);
      if (covered > 1e-3) taps.push([at, covered / (end - begin)]);
    }
    return taps;
  }));
}

/** Between the two nearest. @param {number} from @param {number} to @returns {Taps} */
function linearTaps(from, to) {
  return flat(Array.from({ length: to }, (_, k) => {
    const at = Math.min(Math.max(((k + 0.5) * from) / to - 0.5, 0), from - 1);
    const low = Math.floor(at);
    return /** @type {[number, number][]} */ ([[low, 1 - (at - low)], [Math.min(low + 1, from - 1), at - low]]);
  }));
}

/** As Python rounds: a half goes to the even side. @param {number} value */
export function roundEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest === 0.5) return down + (down & 1);
  return rest > 0.5 ? down + 1 : down;
}
