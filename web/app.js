// The page: live, or clips, in one view.
import { Connection, Refused, modelInfo, predict } from "./client.js";
import { Clip } from "./clip.js";
import { Clips, inShort } from "./clips.js";
import { DeviceSession } from "./device/client.js";
import { describeDevices, listDevices, missingSupport } from "./devices.js";
import { clock, duration, inWords, percent, ranked } from "./emotions.js";
import { Live } from "./live.js";
import { prepare } from "./microphone.js";
import { Moments } from "./moments.js";
import { OnDevice } from "./ondevice.js";
import { toPng } from "./picture.js";
import { Course } from "./course.js";
import { Shares } from "./shares.js";
import { Timeline, inkOf } from "./timeline.js";
import { View } from "./view.js";

const SAY_EVERY_MS = 3000; // to a screen reader: a label that changes faster would never be heard to its end
const REST_S = 5; // looked at somebody at rest
const LONG_S = 60; // of a session, beyond which the chart shows its end alone

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);
const info = await modelInfo().catch((error) => {
  at("go").disabled = at("file").disabled = true;
  complain("The service cannot be reached.", "Load this page again once it runs.");
  throw error;
});
const view = new View(at, info);
const timeline = new Timeline(at, (seconds) => player?.seek(seconds));
const shares = new Shares(at("sharebar"), at("shares"));
/** What was shown, of this session or of the clip that is shown. */
let course = new Course(info.input.step_s);
/** @type {Live|null} */
let live = null;
/** When the first session of those that follow each other began. @type {{at: number, date: Date}|null} */
let begun = null;
/** @type {Clip|null} */
let player = null;
/** The clip that is opened once it is recognised. @type {import("./clips.js").Item|null} */
let wanted = null;
/** Whether what was recognised may be forgotten, where that is being asked. @type {Promise<boolean>|null} */
let asked = null;
/** @type {(may: boolean) => void} */
let settle = () => {};
/** What had the focus at the start, and has it again after Close. @type {HTMLElement} */
let opener = at("go");
/** @type {{said: string, at: number}} */
let said = { said: "", at: 0 };
/** Of who sits here. @type {import("./connection.js").Calibration|null} */
let calibration = JSON.parse(sessionStorage.getItem("calibration") ?? "null");
at("neutral").setAttribute("aria-pressed", String(Boolean(calibration)));
/** Samples that were fetched, by name. @type {Map<string, Blob>} */
const samples = new Map();
/** @type {HTMLButtonElement[]} */
const sampleButtons = [...document.querySelectorAll("button")].filter((button) => button.dataset.sample);

/** @typedef {import("./moments.js").Moment} Moment */
/** @typedef {import("./clips.js").Item} Item */

const clips = new Clips(at("clips"), {
  recognise,
  shown: ({ steps }) => {
    const moments = new Moments(info, true);
    return steps.map((step) => moments.next(step));
  },
  begun: ({ file }) => say(`Looking at ${file.name} …${clips.pending > 1 ? ` ${clips.pending - 1} more to come` : ""}`, true),
  done: (item) => {
    if (item === wanted && item.state === "done") show(item);
    else if (item === wanted) wanted = clips.items.find(({ state }) => state === "waiting" || state === "working") ?? null;
    if (clips.pending) return;
    if (clips.items.every(({ state }) => state === "failed")) return stop(true);
    say(clips.items.length > 1 ? `All ${clips.items.length} clips were looked at.` : `${item.file.name}: ${item.answer?.label ?? inWords("nothing")}`);
  },
  failed: ({ file }, error) => {
    if (error instanceof Refused) complain(error.message, error.hint, error.code);
    else {
      console.error(error);
      complain("The page failed to show the answer.");
    }
    return error instanceof Refused ? error.message.split(";")[0].replace(`${file.name}: `, "") : "failed";
  },
  open: (item) => {
    wanted = item;
    show(item);
  },
  removed: (item, neighbour) => {
    const other = clips.items.find(({ state }) => state === "done");
    if (!neighbour) stop();
    else if (item === clips.current && other) show(other);
    else if (item === clips.current) wanted = neighbour;
  },
});

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
at("stop").addEventListener("click", async () => (await mayDiscard()) && stop());
at("pause").addEventListener("click", () => {
  const paused = toggle("pause");
  live?.pause(paused);
});
at("neutral").addEventListener("click", () => calibrate(at("neutral").getAttribute("aria-pressed") !== "true"));
at("mirror").addEventListener("click", () => at("stage").classList.toggle("mirrored", toggle("mirror")));
at("lines").addEventListener("click", () => {
  timeline.lines = toggle("lines");
  timeline.draw();
});
at("all").addEventListener("click", () => {
  timeline.all = toggle("all");
  timeline.draw();
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
at("png").addEventListener("click", async () => {
  const foot = `mmer, model ${info.version} (git ${info.git.slice(0, 12)}). How somebody looks and sounds to a model, not what they feel.`;
  save(await toPng(course, { ...titles(), foot, lines: timeline.lines }, inkOf(at("timeline"))), "png");
});
at("csv").addEventListener("click", () => save(course.toCsv(info), "csv"));
at("form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
for (const id of ["file", "morefiles"]) {
  at(id).addEventListener("change", () => {
    openClips([...at(id).files]);
    at(id).value = ""; // so that the same clip can be chosen again
  });
}
for (const button of sampleButtons) {
  button.addEventListener("click", async () => {
    const name = button.dataset.sample ?? "";
    try {
      openClips([new File([await fetchSample(name)], `${name}.mp4`, { type: "video/mp4" })]);
    } catch {
      complain("The service cannot be reached.", "Is it still running?");
    }
  });
}
for (const kind of /** @type {const} */ (["dragenter", "dragover", "dragleave", "drop"])) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // clips dropped beside the field must not replace the page
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openClips([...(event.dataTransfer?.files ?? [])]);
  });
}

/** @param {string} id of a button that is on or off @returns {boolean} whether it is on now */
function toggle(id) {
  const on = at(id).getAttribute("aria-pressed") !== "true";
  at(id).setAttribute("aria-pressed", on);
  return on;
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
  let moments = new Moments(info, false);
  let after = 0; // seconds from the first session's start to this one's
  const mine = (live = new Live(at("video"), connect, {
    ready: ({ step_s: stepS }) => {
      const now = performance.now();
      if (calibration) mine.calibrate({ calibration });
      moments = new Moments(info, false);
      if (begun) after = (now - begun.at) / 1000;
      else {
        begun = { at: now, date: new Date() };
        course = new Course(stepS);
        timeline.show(course, true);
      }
      document.body.dataset.state = "live";
    },
    step: (step) => {
      const moment = moments.next(step);
      course.push(moment, after + step.t);
      timeline.draw();
      shares.show(course);
      at("all").hidden = course.end <= LONG_S;
      const video = at("video");
      view.show(moment, video, { width: video.videoWidth || 4, height: video.videoHeight || 3 });
      announce(moment);
    },
    utterance: (message) => course.hear(message, after),
    calibrated: (found, why) => {
      if (found) keepCalibration(found);
      else if (why.includes("another model")) keepCalibration(null);
      say(found ? "Calibrated: what you are like at rest is taken off." : `Not calibrated: ${why}.`);
    },
    say,
    wrong: (text) => (text ? complain(text) : (at("error").hidden = true)),
    age: (old) => view.mark(old),
    lack: (without) => {
      view.lack(without);
      at("stage").classList.toggle("unseeing", without.face === "no camera");
      at("now").classList.toggle("faceless", without.face === "no camera");
      listDevices(at("camera"), at("microphone"), mine.tracks);
      fill(at("given"), describeDevices(mine.tracks, processed));
    },
    refused: (why) => {
      stop(true);
      complain(why?.message ?? "The service does not take this session.", why?.hint, why?.code);
    },
    figures: ({ latency, last, rate }) => {
      at("figures").dataset.last = String(last); // for benchmarks/page.py
      at("figures").textContent = `${latency === null ? "" : `${Math.round(latency)} ms from capture to paint · `}${rate.toFixed(1)} steps a second`;
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

/** This person at rest, from now on; or no longer. @param {boolean} on */
function calibrate(on) {
  if (on) say(`Look at the camera as you are at rest, and speak as you usually do, for ${REST_S} s …`, true);
  else {
    keepCalibration(null);
    say("No longer calibrated.");
  }
  live?.calibrate(on ? { seconds: REST_S } : { calibration: null });
}

/** As long as this page is open in this tab. @param {import("./connection.js").Calibration|null} found */
function keepCalibration(found) {
  calibration = found;
  at("neutral").setAttribute("aria-pressed", String(Boolean(found)));
  if (found) sessionStorage.setItem("calibration", JSON.stringify(found));
  else sessionStorage.removeItem("calibration");
}

/** Have clips recognised; the first of them is opened once it is. @param {File[]} files */
async function openClips(files) {
  if (!files.length || (live && !(await mayDiscard()))) return;
  if (live) stop();
  at("error").hidden = true;
  [wanted] = clips.add(files);
}

/** @param {Item} item that was recognised */
async function show(item) {
  const { file, answer, moments } = item;
  if (!answer) return;
  player?.stop();
  view.show(null, null, { width: 4, height: 3 });
  const mine = (player = new Clip(file, at("stage"), at("unplayed"), (seconds) => {
    if (player === mine) showAt(mine, moments, seconds);
  }));
  course = new Course(answer.model.step_s);
  for (const moment of moments) course.push(moment);
  for (const utterance of answer.utterances ?? []) course.hear(utterance);
  if (at("view").hidden) open("clip");
  clips.show(item);
  timeline.show(course, false);
  shares.show(course);
  at("all").hidden = true;
  at("course").textContent = course.describe(20);
  at("missing").textContent = answer.missing.map((name) => missing(name, answer.model)).join(" ");
  at("now").classList.toggle("faceless", answer.missing.includes("face"));
  tellWhole(file.name, answer);
  showAt(mine, moments, 0);
  await mine.settle(course.end);
  if (player !== mine) return;
  showAt(mine, moments, 0); // now that its size is known
  mine.play();
}

/** @param {string} name @param {import("./runtime/results.js").Prediction} answer */
function tellWhole(name, answer) {
  const of = document.createElement("small");
  of.textContent = `${name}, as a whole: `;
  const label = document.createElement("span");
  label.textContent = inShort(answer);
  label.style.borderColor = answer.label ? `var(--${answer.label})` : "";
  at("cliplabel").replaceChildren(of, label);
  const others = ranked(answer.probabilities).filter((emotion) => emotion !== answer.label).slice(0, 2);
  at("cliprest").textContent = answer.label ? `then ${others.map((e) => `${e} ${percent(answer.probabilities[e])}`).join(", ")}` : "";
}

/** The moment of a clip that plays. @param {Clip} of @param {Moment[]} moments @param {number} seconds */
function showAt(of, moments, seconds) {
  const moment = moments[course.find(seconds)];
  if (!moment) return;
  timeline.moveTo(seconds);
  at("when").textContent = `at ${clock(moment.t, 1)}`;
  view.show(moment, of.picture, of.size);
}

/** @param {"live"|"clip"} state */
function open(state) {
  const focused = document.activeElement;
  opener = focused instanceof HTMLElement && at("start").contains(focused) ? focused : at(unsupported ? "file" : "go");
  document.body.dataset.state = state;
  at("view").hidden = false;
  keepFocus(at("view"));
  at("figures").textContent = at("course").textContent = "";
  for (const id of ["pause", "all"]) at(id).setAttribute("aria-pressed", "false");
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) at("view").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

/** What has the focus may just have been hidden: whoever uses the keyboard would begin at the top. @param {HTMLElement} other has it then */
function keepFocus(other) {
  const focused = document.activeElement;
  if (!focused || focused === document.body || !focused.checkVisibility()) other.focus({ preventScroll: true });
}

/** Whether what was recognised may be forgotten: asked where there is any, once of all who want to know.
 * @returns {Promise<boolean>}
 */
function mayDiscard() {
  return (asked ??= ask().finally(() => (asked = null)));
}

async function ask() {
  const answered = clips.items.filter(({ state }) => state === "done").length;
  if (!answered && !course.length) return true;
  const what = live ? `${duration(course.end)} of this session` : answered > 1 ? `the answers of ${answered} clips` : "the answer of this clip";
  at("leaving").textContent = `Discard ${what}? Nothing is kept anywhere else.`;
  at("leave").showModal();
  return new Promise((done) => (settle = done));
}
for (const id of ["keep", "discard"]) {
  at(id).addEventListener("click", () => {
    at("leave").close();
    settle(id === "discard");
  });
}
// By Escape. That a question was closed is told late: the next one may be open by then.
at("leave").addEventListener("close", () => at("leave").open || settle(false));

/** @param {boolean} [keepWords] what was complained of stays */
function stop(keepWords = false) {
  live?.stop();
  player?.stop();
  live = player = wanted = begun = null;
  clips.clear();
  course = new Course(info.input.step_s);
  const shown = !at("view").hidden;
  at("view").hidden = true;
  view.mark(false);
  view.without = {};
  at("stage").classList.remove("mirrored", "unseeing");
  document.body.dataset.state = "start";
  if (shown) keepFocus(opener);
  view.show(null, null, { width: 4, height: 3 });
  say("");
  if (!keepWords) at("error").hidden = true;
}

/** @param {Moment} moment */
function announce(moment) {
  const now = performance.now();
  if (moment.said === said.said || now - said.at < SAY_EVERY_MS) return;
  said = { said: moment.said, at: now };
  at("announce").textContent = moment.label ? `It looks and sounds ${moment.label}.` : moment.said === "listening" ? "Listening." : "Nothing to go by.";
  at("course").textContent = course.describe(8);
}

/** Whose course it is, for a picture of it. @returns {{title: string, about: string}} */
function titles() {
  const { current } = clips;
  if (current?.answer) return { title: current.file.name, about: `As a whole: ${inShort(current.answer)}. ${duration(course.end)}` };
  const date = begun?.date.toLocaleString([], { dateStyle: "long", timeStyle: "short" });
  return { title: "Live session", about: `${date}, ${duration(course.end)}` };
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
  if (info.pairing !== "none") made.push("faces and voices of different recordings were paired");
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
  const name = clips.current?.file.name ?? `live-${begun?.date.toISOString().slice(0, 19).replaceAll(":", "-")}`;
  link.download = `mmer-${name}.${suffix}`;
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
  const told = /[.!?…]$/.test(what) ? what : `${what}.`;
  const [first, ...more] = told.split(/(?=;)/);
  const words = document.createElement("b");
  words.textContent = first;
  const changed = at("error").hidden || at("error").textContent !== `${told} ${hint}`;
  if (changed) at("error").replaceChildren(words, more.join(""), ` ${hint}`);
  at("error").hidden = false;
  if (changed) at("error").scrollIntoView({ block: "nearest" });
  if (code === "key") askForKey();
}
