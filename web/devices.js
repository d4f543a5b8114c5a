// Cameras and microphones: asking for them, and saying in words why one cannot be had.

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "user" };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** @type {Record<string, string>} */
const WHY = {
  NotAllowedError: "was not allowed: allow it in the browser's bar of addresses, and start again",
  NotFoundError: "was not found: plug one in",
  NotReadableError: "is used by another program: close that one",
  OverconstrainedError: "is gone: choose another",
};

/** Whether this browser lets this page have any. @returns {string|null} why not */
export function missingSupport() {
  if (!window.isSecureContext) return "Camera and microphone need https (or localhost): open this page there.";
  if (!navigator.mediaDevices?.getUserMedia) return "This browser gives pages no camera. A clip can be dropped instead.";
  if (!window.WebSocket || !window.AudioWorkletNode) return "This browser is too old for live recognition; a clip still works.";
  return null;
}

/**
 * Both if possible, else the one that can be had.
 * @param {{camera?: string, microphone?: string}} chosen their ids; "" for none
 * @returns {Promise<{video: MediaStreamTrack|null, audio: MediaStreamTrack|null, problems: string[]}>}
 */
export async function openDevices(chosen = {}) {
  const video = chosen.camera === "" ? false : { ...VIDEO, ...(chosen.camera && { deviceId: { exact: chosen.camera } }) };
  const audio = chosen.microphone === "" ? false : { ...AUDIO, ...(chosen.microphone && { deviceId: { exact: chosen.microphone } }) };
  /** @type {string[]} */
  const problems = [];
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

/**
 * Fill the two menus; names are known only once permission was given.
 * @param {HTMLSelectElement} camera
 * @param {HTMLSelectElement} microphone
 * @param {{video: MediaStreamTrack|null, audio: MediaStreamTrack|null}} used
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
    menu.value = track?.getSettings().deviceId ?? "";
  }
}
