// Talking to the service over HTTP.

/** A refusal that its reader can act on. */
export class Refused extends Error {
  /** @param {string} message @param {string} hint what to do @param {string} [code] */
  constructor(message, hint, code = "") {
    super(message);
    this.hint = hint;
    this.code = code;
  }
}

/**
 * Have a clip recognised.
 * @param {File} file
 * @param {AbortSignal} signal
 * @param {string} [key] the API key, where the service asks for one
 * @param {import("./runtime/calibration.js").Calibration} [calibration] of the person in it, as a session found it
 * @returns {Promise<import("./runtime/results.js").Prediction>}
 * @throws {Refused} the service cannot be reached, or it cannot use the clip
 */
export async function predict(file, signal, key, calibration) {
  const body = new FormData();
  body.append("file", file);
  if (calibration) body.append("calibration", JSON.stringify(calibration));
  let response;
  try {
    response = await fetch(new URL("predict", import.meta.url), { method: "POST", body, signal, headers: key ? { "X-API-Key": key } : {} });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused("The service cannot be reached.", "Is it still running? A very large clip is cut off too.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const error = answer?.error ?? {};
  const what = error.message ?? `The service failed (HTTP ${response.status}).`;
  throw new Refused(what, error.hint ?? "Its log says why.", error.code);
}

/** What the model says of itself. @returns {Promise<import("./runtime/pipeline.js").ModelInfo>} @throws {Error} */
export async function modelInfo() {
  const response = await fetch(new URL("model/info.json", import.meta.url));
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}
