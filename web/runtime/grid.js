// mmer/runtime/grid.py: the time grid. Step k, from 0, stands at (k + 1) * step_s; it sees the newest picture that is not
// later, and hears the voice window that ends there.

const SLACK = 1e-3; // of a step or a second: times that differ by less are the same

/** Steps in a clip: those whose time has come when it ends, and at least one. @param {number} duration @param {number} stepS */
export const stepCount = (duration, stepS) => Math.max(1, Math.floor(duration / stepS + 1e-6));

/** When a step stands, seconds. @param {number} step from 0 @param {number} stepS */
export const stepTime = (step, stepS) => (step + 1) * stepS;

/** The first step that may see a picture. @param {number} t when it was taken, seconds @param {number} stepS */
export const stepOf = (t, stepS) => Math.ceil(t / stepS - SLACK) - 1;
