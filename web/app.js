// The page: live or a clip, in one view.
import { Refused, modelInfo, predict } from "./api.js";
import { Clip } from "./clip.js";
import { Connection } from "./connection.js";
import { DeviceSession } from "./device/client.js";
import { describeDevices, listDevices, missingSupport } from "./devices.js";
import { Live } from "./live.js";
import { prepare } from "./microphone.js";
import { OnDevice } from "./ondevice.js";
import { Timeline } from "./timeline.js";
import { View } from "./view.js";

const SAY_EVERY_MS = 3000; // to a screen reader: a label that changes faster would never be heard to its end

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);
const info = await modelInfo().catch((error) => {
  at("go").disabled = at("file").disabled = true;
  complain("The service cannot be reached.", "Load this page again once it runs.");
  throw error;
});
const view = new View(at, info.faces.margin);
const timeline = new Timeline(at("timeline"));
/** @type {Live|null} */
let live = null;
/** When the first session of those that follow each other began, by `performance.now`. @type {number|null} */
let begun = null;
/** @type {Clip|null} */
let clip = null;
/** What had the focus at the start, and has it again after Close. @type {HTMLElement} */
let opener = at("go");
/** @type {{label: string|null, at: number}} */
let said = { label: "", at: 0 };
/** Samples that were fetched, by name. @type {Map<string, Blob>} */
const samples = new Map();
/** @type {HTMLButtonElement[]} */
const sampleButtons = [...document.querySelectorAll("button")].filter((button) => button.dataset.sample);

/** @typedef {import("./runtime/results.js").Step} Step */

const unsupported = missingSupport();
const onDevice = new OnDevice(at, info, {
  change: () => stop(),
  fetch: () => Promise.all([
    unsupported ? null : prepare(),
    ...sampleButtons.map((button) => fetchSample(button.dataset.sample ?? "")),
  ]),
  say,
  complain,
});

showModel();
if (unsupported) {
  at("go").disabled = true;
  at("unsupported").textContent = unsupported;
}

at("go").addEventListener("click", () => {
  if (at("go").ariaDisabled !== "true") goLive();
});
at("stop").addEventListener("click", () => stop());
at("pause").addEventListener("click", () => {
  const paused = at("pause").getAttribute("aria-pressed") !== "true";
  at("pause").setAttribute("aria-pressed", paused);
  live?.pause(paused);
});
at("mirror").addEventListener("click", () => {
  const on = at("stage").classList.toggle("mirrored");
  at("mirror").setAttribute("aria-pressed", on);
});
for (const menu of ["camera", "microphone"]) {
  at(menu).addEventListener("change", () => goLive({ camera: at("camera").value, microphone: at("microphone").value }));
}
at("processed").addEventListener("change", () => live && goLive(live.using));
navigator.mediaDevices?.addEventListener("devicechange", async () => {
  const mine = live;
  if (!mine) return;
  const back = mine.back(await listDevices(at("camera"), at("microphone"), mine.tracks));
  if (back && mine === live) goLive({ ...mine.using, ...back });
});
at("png").addEventListener("click", async () => save(await timeline.toPng(), "png"));
at("csv").addEventListener("click", () => save(timeline.toCsv(), "csv"));
at("form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
at("file").addEventListener("change", () => {
  openClip(at("file").files[0]);
  at("file").value = ""; // so that the same clip can be chosen again
});
for (const button of sampleButtons) {
  button.addEventListener("click", async () => {
    const name = button.dataset.sample ?? "";
    try {
      openClip(new File([await fetchSample(name)], `${name}.mp4`, { type: "video/mp4" }));
    } catch {
      complain("The service cannot be reached.", "Is it still running?");
    }
  });
}
for (const kind of /** @type {const} */ (["dragenter", "dragover", "dragleave", "drop"])) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // a clip dropped beside the field must not replace the page
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openClip(event.dataTransfer?.files[0]);
  });
}

/** @param {string} name @returns {Promise<Blob>} */
async function fetchSample(name) {
  const sample = samples.get(name) ?? (await (await fetch(`samples/${name}.mp4`)).blob());
  samples.set(name, sample);
  return sample;
}

/** To the service, or to this device. @type {import("./live.js").Connect} */
function connect(media, on) {
  const key = at("key").value;
  return onDevice.device ? new DeviceSession(onDevice.device, media, on) : new Connection({ ...media, ...(key && { key }) }, on);
}

/** By the service, or by this device. @param {File} file @param {AbortSignal} signal */
function recognise(file, signal) {
  if (!onDevice.device) return predict(file, signal, at("key").value || undefined);
  return onDevice.device.predict(file, signal, (seconds) => say(`Looking at ${file.name} … ${seconds.toFixed(1)} s`, true));
}

/** Begin; or go on with other devices, and what is shown stays. @param {import("./devices.js").Chosen} [chosen] */
async function goLive(chosen = {}) {
  if (live && !at("view").hidden) {
    live.stop();
    view.mark(true);
    at("error").hidden = true;
  } else stop();
  say("Waiting for camera and microphone …", true);
  at("go").ariaDisabled = "true"; // not disabled: it would lose the focus
  const processed = at("processed").checked;
  const mine = (live = new Live(at("video"), connect, {
    ready: ({ step_s: stepS }) => {
      const now = performance.now();
      if (begun === null) timeline.begin(stepS);
      else timeline.goOn(stepS, (now - begun) / 1000);
      begun ??= now;
      document.body.dataset.state = "live";
    },
    step: (step) => {
      timeline.push(step);
      const video = at("video");
      view.show(step, video, { width: video.videoWidth || 4, height: video.videoHeight || 3 });
      announce(step);
    },
    say,
    wrong: (text) => (text ? complain(text) : (at("error").hidden = true)),
    age: (old) => view.mark(old),
    lack: (without) => {
      view.lack(without);
      listDevices(at("camera"), at("microphone"), mine.tracks);
      fill(at("given"), describeDevices(mine.tracks, processed));
    },
    refused: (why) => {
      stop(true);
      complain(why?.message ?? "The service does not take this session.", why?.hint, why?.code);
    },
    figures: ({ latency, last, rate }) => {
      at("figures").dataset.last = String(last); // for benchmarks/page.py
      at("figures").textContent = `${latency === null ? "–" : Math.round(latency)} ms from capture to paint · ${rate.toFixed(1)} steps a second`;
    },
  }));
  const started = await mine.start(chosen, processed);
  at("go").ariaDisabled = null;
  if (live !== mine) return mine.stop(); // something else was begun meanwhile
  if (!started) return stop(true);
  at("pause").setAttribute("aria-pressed", "false");
  if (!at("view").hidden) return;
  at("stage").classList.add("mirrored");
  at("mirror").setAttribute("aria-pressed", "true");
  open("live");
}

/** @param {File} [file] */
async function openClip(file) {
  if (!file) return;
  stop();
  say(`Looking at ${file.name} …`, true);
  /** @type {Step[]} */
  let steps = [];
  const mine = (clip = new Clip(file, at("stage"), at("unplayed"), (seconds) => showAt(mine, steps, seconds)));
  try {
    const prediction = await mine.recognise(recognise);
    if (clip !== mine) return;
    steps = prediction.steps;
    timeline.begin(prediction.model.step_s);
    timeline.show(steps);
    open("clip");
    at("cliplabel").textContent = `${file.name}, as a whole: ${prediction.label ?? "nothing to go by"}`;
    at("missing").textContent = prediction.missing.map((name) => missing(name, prediction.model)).join(" ");
    say(`${file.name}: ${prediction.label ?? "nothing to go by"}`);
    showAt(mine, steps, 0);
    await mine.settle(steps.at(-1)?.t ?? 0);
    mine.play();
  } catch (error) {
    if (clip !== mine) return;
    stop(true);
    if (error instanceof Refused) complain(error.message, error.hint, error.code);
    else {
      console.error(error);
      complain("The page failed to show the answer.");
    }
  }
}

/** The moment of a clip that plays. @param {Clip} of @param {Step[]} steps @param {number} seconds */
function showAt(of, steps, seconds) {
  if (clip !== of || !steps.length) return;
  const step = steps.find((one) => one.t >= seconds - 1e-3) ?? steps[steps.length - 1];
  timeline.moveTo(seconds);
  view.show(step, of.picture, of.size);
}

/** @param {"live"|"clip"} state */
function open(state) {
  const focused = document.activeElement;
  opener = focused instanceof HTMLElement && at("start").contains(focused) ? focused : at(unsupported ? "file" : "go");
  document.body.dataset.state = state;
  at("view").hidden = false;
  keepFocus(at("view"));
  at("cliplabel").textContent = at("missing").textContent = at("figures").textContent = "";
  at("pause").setAttribute("aria-pressed", "false");
  at("timeline").setAttribute("aria-label", "Probabilities over time; the button CSV gives them as a table");
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) at("view").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

/** What has the focus may just have been hidden: whoever uses the keyboard would begin at the top. @param {HTMLElement} other has it then */
function keepFocus(other) {
  const focused = document.activeElement;
  if (!focused || focused === document.body || !focused.checkVisibility()) other.focus({ preventScroll: true });
}

/** @param {boolean} [keepWords] what was complained of stays */
function stop(keepWords = false) {
  live?.stop();
  clip?.stop();
  live = clip = begun = null;
  const shown = !at("view").hidden;
  at("view").hidden = true;
  view.mark(false);
  view.without = {};
  at("stage").classList.remove("mirrored");
  document.body.dataset.state = "start";
  if (shown) keepFocus(opener);
  view.show(null, null, { width: 4, height: 3 });
  say("");
  if (!keepWords) at("error").hidden = true;
}

/** @param {Step} step */
function announce({ label, present }) {
  const now = performance.now();
  if (label === said.label || now - said.at < SAY_EVERY_MS) return;
  said = { label, at: now };
  at("announce").textContent = label ? `It looks and sounds ${label}.` : present.voice ? "Listening." : "Nothing to go by.";
  at("timeline").setAttribute("aria-label", timeline.describe());
}

/** @param {import("./runtime/results.js").Modality} name @param {import("./runtime/results.js").ModelInfo} model */
function missing(name, model) {
  if (!model.modalities.includes(name)) return "";
  return { face: "No face was found.", voice: "No voice was heard.", scene: "There was no picture." }[name];
}

function showModel() {
  at("drawings").hidden = !info.drawings;
  at("card").hidden = !info.card;
  const made = [];
  if (info.partly_drawn && !info.drawings) made.push("some are drawings");
  if (info.pairing !== "none") made.push("faces and voices of different people were paired");
  const rows = {
    version: `${info.version} (git ${info.git.slice(0, 12)})`,
    status: info.status,
    "trained on": info.corpora.join(", ") + (made.length ? ` (${made.join("; ")})` : ""),
    uses: info.modalities.join(", "),
    licence: info.licence,
  };
  fill(at("model"), rows);
}

/** @param {HTMLElement} list @param {Record<string, string>} rows names and what is to be told of them */
function fill(list, rows) {
  list.replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    term.textContent = name;
    const fact = document.createElement("dd");
    fact.textContent = value;
    return [term, fact];
  }));
}

/** @param {Blob} blob @param {string} suffix */
function save(blob, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `mmer-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function askForKey() {
  at("keyfield").hidden = false;
  at("key").focus();
}

/** @param {string} message @param {boolean} [busy] */
function say(message, busy = false) {
  if (at("status").textContent !== message) at("status").textContent = message; // the same is not announced again
  at("status").classList.toggle("busy", busy);
}

/** @param {string} what @param {string} [hint] @param {string} [code] of the service's refusal */
function complain(what, hint = "", code = "") {
  const words = document.createElement("b");
  words.textContent = what;
  if (at("error").hidden || at("error").textContent !== `${what} ${hint}`) at("error").replaceChildren(words, ` ${hint}`);
  at("error").hidden = false;
  if (code === "key") askForKey();
}
