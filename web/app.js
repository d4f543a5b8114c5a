// A clip is chosen or dropped, sent, and what comes back is shown.
import { Refused, predict } from "./api.js";
import { bars, timeline } from "./charts.js";
import { colour } from "./emotions.js";

const at = (id) => document.getElementById(id);
let running = null; // the AbortController of the request under way: a new clip replaces it

at("form").addEventListener("submit", (event) => event.preventDefault());
at("file").addEventListener("change", () => {
  recognise(at("file").files[0]);
  at("file").value = ""; // so that the same clip can be chosen again
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // a clip dropped beside the field must not replace the page
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") recognise(event.dataTransfer.files[0]);
  });
}

async function recognise(file) {
  if (!file) return;
  running?.abort();
  const mine = (running = new AbortController());
  at("error").hidden = at("result").hidden = true;
  say(`Looking at ${file.name} …`, true);
  try {
    const prediction = await predict(file, mine.signal);
    show(prediction, file);
    say(`${file.name}: ${prediction.label ?? "nothing to go by"}`);
  } catch (error) {
    if (mine.signal.aborted) return;
    say("");
    complain(error);
  }
}

function show(prediction, file) {
  const { label, model } = prediction;
  const { svg, moveTo } = timeline(prediction);
  at("label").textContent = label ?? "nothing to go by";
  at("label").style.color = label ? colour(label) : "";
  at("path").textContent = file.name;
  at("bars").replaceChildren(...bars(prediction.probabilities));
  at("timeline").replaceChildren(svg);
  at("missing").textContent = prediction.missing.map((name) => missing(name, model)).join(" ");
  at("drawings").hidden = !model.drawings;
  at("model").replaceChildren(...facts(model));
  at("result").hidden = false;
  at("result").querySelector("figure").hidden = prediction.steps.length < 2;
  preview(file, moveTo);
}

function missing(name, model) {
  if (!model.modalities.includes(name)) return `The model does not use the ${name}: it was not trained on any.`;
  return { face: "No face was found.", voice: "No voice was heard.", scene: "There was no picture." }[name];
}

function facts(model) {
  const rows = {
    version: `${model.version} (git ${model.git})`,
    status: model.status,
    "trained on": model.corpora.join(", ") + madeUp(model),
    uses: model.modalities.join(", "),
    licence: model.licence,
  };
  return Object.entries(rows).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    term.textContent = name;
    const fact = document.createElement("dd");
    fact.textContent = value;
    return [term, fact];
  });
}

/** What in the training was not a clip of a person. */
function madeUp(model) {
  const parts = [];
  if (model.partly_drawn && !model.drawings) parts.push("some are drawings");
  if (model.pairing !== "none") parts.push("faces and voices of different people were paired");
  return parts.length ? ` (${parts.join("; ")})` : "";
}

/** The clip itself, from the reader's own machine; one that this browser cannot play is simply left out. */
function preview(file, moveTo) {
  const kind = { video: "video", audio: "audio", image: "img" }[file.type.split("/")[0]];
  const old = at("preview").firstElementChild;
  if (old) URL.revokeObjectURL(old.src);
  at("preview").replaceChildren();
  if (!kind) return;
  const player = document.createElement(kind);
  player.src = URL.createObjectURL(file);
  if (kind === "img") player.alt = "the image that was sent";
  else player.controls = true;
  player.addEventListener("timeupdate", () => moveTo(player.currentTime));
  player.addEventListener("error", () => player.remove());
  at("preview").append(player);
}

function say(message, busy = false) {
  at("status").textContent = message;
  at("status").classList.toggle("busy", busy);
}

function complain(error) {
  if (!(error instanceof Refused)) console.error(error);
  const what = document.createElement("b");
  what.textContent = error instanceof Refused ? error.message : "The page failed to show the answer.";
  at("error").replaceChildren(what, ` ${error.hint ?? ""}`);
  at("error").hidden = false;
}
