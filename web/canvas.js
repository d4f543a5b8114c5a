// Whether what is drawn can be read back: some browsers answer with noise, so that they are not recognised by it.

const SIDE = 16;
const READ_NOISE = 4; // grey levels, on average: a few pixels that are off by one change nothing

/** A canvas that is not shown. @param {number} width @param {number} height */
export function hiddenCanvas(width, height) {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Draw a known pattern and read it. @returns {string} why pictures cannot be read here; "" where they can */
export function unreadable() {
  const context = /** @type {CanvasRenderingContext2D} */ (hiddenCanvas(SIDE, SIDE).getContext("2d"));
  const level = (/** @type {number} */ x, /** @type {number} */ y) => [16 * x, 16 * y, 16 * (x ^ y)];
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      context.fillStyle = `rgb(${level(x, y)})`;
      context.fillRect(x, y, 1, 1);
    }
  }
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  let off = 0;
  for (let at = 0; at < SIDE * SIDE; at += 1) {
    level(at % SIDE, Math.floor(at / SIDE)).forEach((drawn, k) => (off += Math.abs(data[4 * at + k] - drawn)));
  }
  return off / (3 * SIDE * SIDE) > READ_NOISE
    ? "This browser gives noise instead of pictures (a privacy setting), so no face can be found: let this page read canvases, or use another browser."
    : "";
}
