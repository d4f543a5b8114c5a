// mmer/runtime/means.py: means over windows of a picture, each four look-ups in a table of sums, as the networks of the
// cascade want them.

const f = Math.fround;

/** @typedef {{data: Uint8Array|Uint8ClampedArray, width: number, height: number}} Picture RGBA, as ImageData has it */

export class Means {
  /** @param {Picture} picture */
  constructor(picture) {
    this.width = picture.width;
    this.height = picture.height;
    const { data, width } = picture;
    const across = width + 1;
    // Sums over all rectangles from the corner. In a very large picture they wrap around; their differences are right.
    this.sums = [0, 1, 2].map((channel) => {
      const table = new Int32Array(across * (this.height + 1));
      for (let y = 0; y < this.height; y += 1) {
        let row = 0;
        let from = 4 * y * width + channel;
        let at = (y + 1) * across + 1;
        for (let x = 0; x < width; x += 1, from += 4, at += 1) {
          row += data[from];
          table[at] = table[at - across] + row;
        }
      }
      return table;
    });
  }

  /**
   * A part of the picture, adaptively averaged: windows may share a pixel, as torch's `interpolate(mode="area")` has it.
   * @param {number[]} part left, top, right, bottom, whole pixels inside the picture
   * @param {number} width of the result
   * @param {number} height
   * @param {Float32Array} out gets [3, height, width] in -1..1
   * @param {number} [at] from here on
   */
  average([left, top, right, bottom], width, height, out, at = 0) {
    const across = this.width + 1;
    const columns = edges(left, right, width);
    const rows = edges(top, bottom, height);
    for (const table of this.sums) {
      for (let y = 0; y < rows.length; y += 2) {
        const above = rows[y] * across;
        const below = rows[y + 1] * across;
        const high = rows[y + 1] - rows[y];
        for (let x = 0; x < columns.length; x += 2) {
          const x0 = columns[x];
          const x1 = columns[x + 1];
          const total = (table[below + x1] - table[above + x1] - table[below + x0] + table[above + x0]) | 0;
          out[at] = f(f(f(f(total) / high) / (x1 - x0)) - 127.5) * 0.0078125;
          at += 1;
        }
      }
    }
  }
}

/** A picture of the networks' own size as they take it: [3, side, side] in -1..1. @param {Float32Array} rgb [side, side, 3] in 0..255 */
export function normalised(rgb) {
  const size = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  for (let channel = 0; channel < 3; channel += 1) {
    for (let at = 0; at < size; at += 1) out[channel * size + at] = (rgb[3 * at + channel] - 127.5) * 0.0078125;
  }
  return out;
}

/** Where each of `parts` windows begins and ends, in turns. @param {number} from @param {number} to @param {number} parts */
function edges(from, to, parts) {
  const length = to - from;
  const found = new Int32Array(2 * parts);
  for (let k = 0; k < parts; k += 1) {
    found[2 * k] = from + Math.floor((k * length) / parts);
    found[2 * k + 1] = from + Math.ceil(((k + 1) * length) / parts);
  }
  return found;
}
