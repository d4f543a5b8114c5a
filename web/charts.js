// The bars and the timeline, from a prediction.
import { EMOTIONS, colour } from "./emotions.js";

const WIDTH = 760;
const HEIGHT = 200;
const STRIP = 10;
const LEFT = 34;

/** The seven probabilities as bars, most likely first. */
export function bars(probabilities) {
  const order = [...EMOTIONS].sort((a, b) => probabilities[b] - probabilities[a]);
  return order.flatMap((emotion) => {
    const name = document.createElement("dt");
    name.textContent = emotion;
    const value = document.createElement("dd");
    const track = value.appendChild(document.createElement("div"));
    track.className = "track";
    const bar = track.appendChild(document.createElement("div"));
    bar.className = "bar";
    bar.style.width = `${100 * probabilities[emotion]}%`;
    bar.style.background = colour(emotion);
    const share = value.appendChild(document.createElement("span"));
    share.className = "share";
    share.textContent = `${(100 * probabilities[emotion]).toFixed(1)}%`;
    return [name, value];
  });
}

/**
 * The probabilities over time, and below them when a face was seen and a voice heard.
 * @returns {{svg: SVGElement, moveTo: (seconds: number) => void}} `moveTo` sets the mark of where the clip plays
 */
export function timeline({ steps, label, model }) {
  const end = steps.at(-1).t;
  const x = (t) => LEFT + (t / end) * (WIDTH - LEFT);
  const y = (p) => HEIGHT * (1 - p);
  const svg = shape("svg", { viewBox: `0 -6 ${WIDTH} ${HEIGHT + 2 * STRIP + 40}`, role: "img" });
  svg.append(text("title", {}, describe(steps, label)));

  for (const p of [0, 0.5, 1]) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(p), y2: y(p) }));
    svg.append(text("text", { x: LEFT - 6, y: y(p) + 4, "text-anchor": "end" }, p));
  }
  for (const emotion of EMOTIONS) {
    const points = steps.map((step) => `${x(step.t)},${y(step.probabilities[emotion])}`);
    points.unshift(`${x(0)},${y(steps[0].probabilities[emotion])}`);
    const line = shape("polyline", { class: emotion === label ? "line leads" : "line", points: points.join(" ") });
    line.style.stroke = colour(emotion);
    svg.append(line);
  }
  ["face", "voice"].forEach((modality, row) => {
    const top = HEIGHT + 8 + row * (STRIP + 4);
    svg.append(text("text", { x: LEFT - 6, y: top + STRIP - 1, "text-anchor": "end" }, modality));
    for (const step of steps) {
      const from = x(Math.max(0, step.t - model.step_s));
      const there = step.present[modality] ? "there" : "gone";
      svg.append(shape("rect", { class: there, x: from, y: top, width: x(step.t) - from, height: STRIP }));
    }
  });
  const bottom = HEIGHT + 2 * (STRIP + 4) + 20;
  for (const [t, anchor] of [[0, "start"], [end / 2, "middle"], [end, "end"]]) {
    svg.append(text("text", { x: x(t), y: bottom, "text-anchor": anchor }, `${t.toFixed(1)} s`));
  }
  const head = svg.appendChild(shape("line", { class: "head", x1: LEFT, x2: LEFT, y1: 0, y2: HEIGHT }));
  const moveTo = (seconds) => {
    head.setAttribute("x1", x(Math.min(seconds, end)));
    head.setAttribute("x2", x(Math.min(seconds, end)));
  };
  return { svg, moveTo };
}

/** The timeline in words: the emotions that follow each other, for those who do not see it. */
function describe(steps, label) {
  const runs = steps.filter((step, k) => step.label !== steps[k - 1]?.label);
  const told = runs.slice(0, 12).map((step) => `${step.label ?? "nothing"} from ${step.t.toFixed(1)} s`);
  return `As a whole ${label ?? "nothing"}; ${told.join(", ")}${runs.length > 12 ? ", …" : ""}`;
}

function shape(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function text(name, attributes, content) {
  const node = shape(name, attributes);
  node.textContent = content;
  return node;
}
