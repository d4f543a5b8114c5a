// The chart as a picture that can stand by itself: its title, the chart, its legend, and what it is not.
import { paint } from "./chart.js";
import { inWords, percent } from "./emotions.js";

const WIDTH = 1200;
const CHART = 340;
const EDGE = 28;
const ROW = 24;
const SCALE = 2;
const FONT = "system-ui, sans-serif";

/**
 * @param {import("./course.js").Course} course all of which is shown
 * @param {{title: string, about: string, foot: string, lines: boolean}} words
 * @param {import("./chart.js").Ink} ink
 * @returns {Promise<Blob>}
 */
export function toPng(course, { title, about, foot, lines }, ink) {
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const legend = course.spent().map(([said, share]) => ({ said, words: `${inWords(said)} ${percent(share)}` }));
  context.font = `14px ${FONT}`;
  const places = flow(legend.map(({ words }) => context.measureText(words).width + 40), WIDTH - 2 * EDGE);
  const rows = (places.at(-1)?.row ?? 0) + 1;
  const top = 82;
  const height = top + CHART + 18 + rows * ROW + 36;
  Object.assign(canvas, { width: SCALE * WIDTH, height: SCALE * height });
  context.scale(SCALE, SCALE);
  context.fillStyle = ink("card");
  context.fillRect(0, 0, WIDTH, height);
  write(context, title, EDGE, 40, `600 22px ${FONT}`, ink("ink"));
  write(context, about, EDGE, 64, `14px ${FONT}`, ink("soft"));
  context.save();
  context.translate(EDGE - 6, top);
  paint(context, { width: WIDTH - 2 * EDGE + 12, height: CHART }, course, { from: 0, to: Math.max(0.2, course.end), lines, head: null, cursor: null }, ink);
  context.restore();
  legend.forEach(({ said, words }, k) => {
    const x = EDGE + places[k].x;
    const y = top + CHART + 18 + places[k].row * ROW;
    context.fillStyle = said === "nothing" || said === "listening" ? ink("line") : ink(said);
    context.fillRect(x, y, 14, 14);
    write(context, words, x + 20, y + 12, `14px ${FONT}`, ink("ink"));
  });
  write(context, foot, EDGE, height - 16, `12px ${FONT}`, ink("soft"));
  return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no picture"))), "image/png"));
}

/** Where things of these widths stand, in rows. @param {number[]} widths @param {number} most @returns {{x: number, row: number}[]} */
function flow(widths, most) {
  let [x, row] = [0, 0];
  return widths.map((width) => {
    if (x && x + width > most) [x, row] = [0, row + 1];
    const place = { x, row };
    x += width;
    return place;
  });
}

/** @param {CanvasRenderingContext2D} context @param {string} words @param {number} x @param {number} y @param {string} font @param {string} colour */
function write(context, words, x, y, font, colour) {
  Object.assign(context, { font, fillStyle: colour, textAlign: "left" });
  context.fillText(words, x, y, WIDTH - EDGE - x);
}
