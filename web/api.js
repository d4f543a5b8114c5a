// Talking to the service.

/** A refusal that its reader can act on. */
export class Refused extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/**
 * Have a clip recognised.
 * @param {File} file
 * @param {AbortSignal} signal
 * @returns {Promise<object>} the prediction
 * @throws {Refused} the service cannot be reached, or it cannot use the clip
 */
export async function predict(file, signal) {
  const body = new FormData();
  body.append("file", file);
  let response;
  try {
    response = await fetch("predict", { method: "POST", body, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused("The service cannot be reached.", "Is it still running? A very large clip is cut off too.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const told = answer?.error ?? {};
  throw new Refused(told.message ?? `The service failed (HTTP ${response.status}).`, told.hint ?? "Its log says why.");
}
