// mmer/runtime/means.py: means over windows of a picture, each four look-ups in a table of sums, as the networks of the
// cascade want them.

const f = Math.fround;

/** @typedef {{data: Uint8Array|Uint8ClampedArray, width: number, height: number}} Picture RGBA, as ImageData has it */

export class Means {
  /**
   * @param {Picture} picture
   * @param {number[]} [part] left, top, right, bottom in whole pixels, if not all of it is wanted
   */
  constructor(picture, [left, top, right, bottom] = [0, 0, picture.width, picture.height]) {
    this.width = right - left;
    this.height = bottom - top;
    const across = this.width + 1;
    // Sums over all rectangles from the corner. In a very large picture they wrap around; their differences are right.
    this.sums = [0, 1, 2].map((channel) => {
      const table = new Int32Array(across * (this.height + 1));
      for (let y = 0; y < this.height; y += 1) {
        let row = 0;
        let from = 4 * ((top + y) * picture.width + left) + channel;
        let at = (y + 1) * across + 1;
        for (let x = 0; x < this.width; x += 1, from += 4, at += 1) {
          row += picture.data[from];
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
      for (const [y0, y1] of rows) {
        const [above, below, high] = [y0 * across, y1 * across, y1 - y0];
        for (const [x0, x1] of columns) {
          const total = (table[below + x1] - table[above + x1] - table[below + x0] + table[above + x0]) | 0;
          out[at] = f(f(f(f(total) / high) / (x1 - x0)) - 127.5) * 0.0078125;
          at += 1;
        }
      }
    }
  }
}

/** Where each of `parts` windows begins and ends. @param {number} from @param {number} to @param {number} parts */
function edges(from, to, parts) {
  const length = to - from;
  return Array.from({ length: parts }, (_, k) => [
    from + Math.floor((k * length) / parts),
    from + Math.ceil(((k + 1) * length) / parts),
  ]);
}
