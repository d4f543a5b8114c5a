// Cameras and microphones: asking for them, and saying in words why one cannot be had, and what was given.

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "user" };
/** What browsers do to a voice for calls; it takes away what an emotion is heard by. */
const PROCESSING = /** @type {const} */ ({
  echoCancellation: "echo cancelling",
  noiseSuppression: "noise suppression",
  autoGainControl: "gain control",
});
/** @type {Record<string, string>} */
const WHY = {
  NotAllowedError: "was not allowed: allow it in the browser's bar of addresses, and start again",
  NotFoundError: "was not found: plug one in",
  NotReadableError: "is used by another program: close that one",
  OverconstrainedError: "is gone: choose another",
};

/** @typedef {"camera"|"microphone"} DeviceName */
/** What is wanted: ids, "" for none, and any where nothing is said. @typedef {Partial<Record<DeviceName, string>>} Chosen */
/** @typedef {{video: MediaStreamTrack|null, audio: MediaStreamTrack|null}} Tracks */

/** Whether this browser lets this page have any. @returns {string|null} why not */
export function missingSupport() {
  if (!window.isSecureContext) return "Camera and microphone need https (or localhost): open this page there.";
  if (!navigator.mediaDevices?.getUserMedia) return "This browser gives pages no camera. A clip can be dropped instead.";
  if (!window.WebSocket || !window.AudioWorkletNode) return "This browser is too old for live recognition; a clip still works.";
  return null;
}

/**
 * Both if possible, else the one that can be had.
 * @param {Chosen} chosen
 * @param {boolean} processed whether the voice is wanted as for calls
 * @returns {Promise<Tracks & {problems: string[]}>}
 */
export async function openDevices(chosen, processed) {
  const processing = Object.fromEntries(Object.keys(PROCESSING).map((name) => [name, processed]));
  const video = chosen.camera === "" ? false : { ...VIDEO, ...(chosen.camera && { deviceId: { exact: chosen.camera } }) };
  const audio = chosen.microphone === "" ? false : { ...processing, ...(chosen.microphone && { deviceId: { exact: chosen.microphone } }) };
  /** @type {string[]} */
  const problems = video || audio ? [] : ["Neither camera nor microphone was chosen."];
  /** @param {string} name @param {MediaStreamConstraints} constraints */
  const ask = async (name, constraints) => {
    try {
      return (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
    } catch (thrown) {
      const error = /** @type {Error} */ (thrown);
      if (name) problems.push(`The ${name} ${WHY[error.name] ?? `cannot be used (${error.message || error.name})`}.`);
      return null;
    }
  };
  let tracks = video && audio ? await ask("", { video, audio }) : null; // one question for both
  if (!tracks) {
    const seen = video ? await ask("camera", { video }) : null;
    const heard = audio ? await ask("microphone", { audio }) : null;
    tracks = [...(seen ?? []), ...(heard ?? [])];
  }
  const one = (/** @type {string} */ kind) => tracks.find((track) => track.kind === kind) ?? null;
  return { video: one("video"), audio: one("audio"), problems };
}

/** Which device a track is of. @param {MediaStreamTrack|null} track @returns {string} "" where it gives nothing any more */
export const idOf = (track) => (track?.readyState === "live" ? (track.getSettings().deviceId ?? "") : "");

/**
 * Fill the two menus; names are known only once permission was given.
 * @param {HTMLSelectElement} camera
 * @param {HTMLSelectElement} microphone
 * @param {Tracks} used
 * @returns {Promise<MediaDeviceInfo[]>} what there is
 */
export async function listDevices(camera, microphone, used) {
  const found = await navigator.mediaDevices.enumerateDevices();
  for (const { menu, kind, name, track } of [
    { menu: camera, kind: "videoinput", name: "camera", track: used.video },
    { menu: microphone, kind: "audioinput", name: "microphone", track: used.audio },
  ]) {
    const options = found.filter((device) => device.kind === kind && device.deviceId)
      .map((device, k) => new Option(device.label || `${name} ${k + 1}`, device.deviceId));
    menu.replaceChildren(new Option(`no ${name}`, ""), ...options);
    menu.value = idOf(track);
  }
  return found;
}

/**
 * What the browser gave, which may not be what it was asked for.
 * @param {Tracks} tracks @param {boolean} processed what was asked for
 * @returns {Record<string, string>} in words, by name
 */
export function describeDevices({ video, audio }, processed) {
  /** @type {Record<string, string>} */
  const rows = { camera: "none", microphone: "none" };
  if (video) {
    const { width, height, frameRate } = video.getSettings();
    rows.camera = `${video.label}, ${width} × ${height}, ${Math.round(frameRate ?? 0)} pictures a second`;
  }
  if (!audio) return rows;
  /** @type {Record<string, any>} */
  const given = audio.getSettings();
  rows.microphone = [audio.label, given.sampleRate && `${given.sampleRate} Hz`].filter(Boolean).join(", ");
  for (const [name, words] of Object.entries(PROCESSING)) {
    const on = name in given ? Boolean(given[name]) && given[name] !== "none" : null;
    rows[words] = on === null ? "not told by this browser" : (on ? "on" : "off") + (on === processed ? "" : ", though this page asked otherwise");
  }
  return rows;
}
