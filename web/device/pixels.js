// The pixels of a picture that the page handed over. A video's frame is read without a canvas where the browser can: that
// takes a tenth of the time, and the pixels are the same.

/** @typedef {import("../runtime/means.js").Picture} Picture */
/** @typedef {import("../runtime/media.js").Still} Still */

const RGBA = /** @type {const} */ ({ format: "RGBA" });

/** @type {OffscreenCanvasRenderingContext2D|null} */
let context = null;

/**
 * A picture's pixels; it is used up.
 * @param {Still} still
 * @param {number} [longest] its longer side at most, pixels: it is drawn as small as that
 * @returns {Promise<Picture>}
 */
export async function readPixels(still, longest = Infinity) {
  try {
    return (still instanceof ImageBitmap ? null : await copy(still, longest)) ?? draw(still, longest);
  } finally {
    still.close();
  }
}

/** @param {VideoFrame & {rotation?: number, flip?: boolean}} frame @param {number} longest @returns {Promise<Picture|null>} null: not as it is to be shown, or not in this browser */
async function copy(frame, longest) {
  const { visibleRect, displayWidth: width, displayHeight: height } = frame;
  const asShown = visibleRect?.width === width && visibleRect.height === height && !frame.rotation && !frame.flip;
  if (!asShown || Math.max(width, height) > longest) return null;
  try {
    const size = frame.allocationSize(RGBA);
    if (size !== 4 * width * height) return null; // of a browser that converts nothing
    const data = new Uint8Array(size);
    await frame.copyTo(data, RGBA);
    return { data, width, height };
  } catch {
    return null;
  }
}

/** @param {Still} still @param {number} longest @returns {ImageData} */
function draw(still, longest) {
  const [wide, high] = "displayWidth" in still ? [still.displayWidth, still.displayHeight] : [still.width, still.height];
  const scale = Math.min(1, longest / Math.max(wide, high));
  const [width, height] = [wide, high].map((side) => Math.max(1, Math.round(side * scale)));
  context ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives a worker no canvas");
  if (context.canvas.width !== width || context.canvas.height !== height) Object.assign(context.canvas, { width, height });
  context.drawImage(still, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
