// mmer/runtime/resize.py: crops and small pictures, as OpenCV makes them there (`INTER_AREA` where it gets smaller, else
// `INTER_LINEAR`).
import { READ_APART } from "./constants.js";

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
  return Uint8Array.from(read(picture, (x1 + x2) / 2, (y1 + y2) / 2, side, size, roll), roundEven);
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
  const made = new Float32Array(3 * size * size);
  for (let row = 0; row < points; row += 1) {
    for (let column = 0; column < points; column += 1) {
      const across = Math.min(Math.max(x - 0.5 + cos * (column - half) - sin * (row - half), 0), width - 1);
      const down = Math.min(Math.max(y - 0.5 + sin * (column - half) + cos * (row - half), 0), height - 1);
      const x0 = across | 0; // far faster than Math.floor, and the same, since nothing is negative
      const y0 = down | 0;
      const right = across - x0;
      const below = down - y0;
      const upper = 4 * (y0 * width + x0);
      const lower = y0 + 1 < height ? upper + 4 * width : upper;
      const next = x0 + 1 < width ? 4 : 0;
      const at = 3 * (((row / each) | 0) * size + ((column / each) | 0));
      for (let c = 0; c < 3; c += 1) {
        const above = data[upper + c] + right * (data[upper + next + c] - data[upper + c]);
        const under = data[lower + c] + right * (data[lower + next + c] - data[lower + c]);
        made[at + c] += share * (above + below * (under - above));
      }
    }
  }
  return made;
}

/** The whole picture, its aspect not kept. @param {Picture} picture @param {number} size @returns {Uint8Array} RGB [size, size, 3] */
export function shrink(picture, size) {
  return resize(picture, line(0, picture.width, picture.width), line(0, picture.height, picture.height), size, size, 3);
}

/** A picture no larger than the recogniser takes. @param {Picture} picture @param {number} longest pixels @returns {Picture} */
export function bound(picture, longest) {
  const scale = longest / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, roundEven(side * scale)));
  const [columns, rows] = [line(0, picture.width, picture.width), line(0, picture.height, picture.height)];
  return { data: resize(picture, columns, rows, width, height, 4), width, height };
}

/** @param {number} from @param {number} count @param {number} length @returns {Int32Array} pixels, those outside at the edge */
function line(from, count, length) {
  return Int32Array.from({ length: count }, (_, k) => Math.min(Math.max(from + k, 0), length - 1));
}

/**
 * @param {Picture} picture
 * @param {Int32Array} columns that are read, in this order
 * @param {Int32Array} rows
 * @param {number} width of the result
 * @param {number} height
 * @param {3|4} channels
 * @returns {Uint8Array} [height, width, channels]
 */
function resize({ data, width: across }, columns, rows, width, height, channels) {
  const smaller = Math.min(columns.length / width, rows.length / height) >= 1;
  const taps = smaller ? areaTaps : linearTaps;
  const sideways = taps(columns.length, width);
  const from = sideways.pixels.map((k) => 4 * columns[k]);
  const narrow = new Float32Array(rows.length * width * channels);
  let at = 0;
  for (let y = 0; y < rows.length; y += 1) {
    const row = 4 * rows[y] * across;
    for (let x = 0; x < width; x += 1, at += channels) {
      for (let c = 0; c < channels; c += 1) {
        let sum = 0;
        for (let tap = sideways.first[x]; tap < sideways.first[x + 1]; tap += 1) {
          sum += sideways.weights[tap] * data[row + from[tap] + c];
        }
        narrow[at + c] = sum;
      }
    }
  }
  const downwards = taps(rows.length, height);
  const length = width * channels;
  const out = new Uint8Array(height * length);
  at = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < length; x += 1, at += 1) {
      let sum = 0;
      for (let tap = downwards.first[y]; tap < downwards.first[y + 1]; tap += 1) {
        sum += downwards.weights[tap] * narrow[downwards.pixels[tap] * length + x];
      }
      out[at] = Math.min(255, Math.round(sum));
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
