// mmer/runtime/results.py: what was recognised, of a step and of a clip, as numbers and as the JSON that the service
// answers with.
import { DIMENSIONS, EMOTIONS } from "./constants.js";

/** @typedef {(typeof EMOTIONS)[number]} Emotion */
/** @typedef {(typeof import("./constants.js").MODALITIES)[number]} Modality */
/** @typedef {Record<Emotion, number>} Probabilities */
/** Valence and arousal, -1 to 1; null where nothing is present that they are told from; empty of a model that does not say them. @typedef {Partial<Record<(typeof DIMENSIONS)[number], number|null>>} Affect */
/**
 * A step of a clip or of a stream, as the pipeline makes it.
 * @typedef {object} RawStep
 * @property {number} t seconds since the start
 * @property {number[]} logits
 * @property {number[]} probabilities
 * @property {boolean} evidence whether it rests on anything
 * @property {Record<string, number[]|null>} unimodal what each modality that the model was trained on says by itself
 * @property {number[]|null} box
 * @property {Record<Modality, boolean>} present
 * @property {number} voiceDbfs
 * @property {number} ms of work spent on it
 * @property {number|null} followed
 * @property {RawPerson[]} people
 * @property {number} more_people
 * @property {Affect} affect
 * @property {boolean} [calibrated]
 */
/** @typedef {{id: number, box: number[], label: Emotion|null, probabilities: number[], quality: number}} RawPerson somebody who is seen at a step */
/** @typedef {{id: number, box: number[], label: Emotion|null, probabilities: Probabilities, quality: number}} Person as they are answered; how sure it is that this is a face */
/**
 * A step as it is answered, by the service or by this device.
 * @typedef {object} StepAnswer
 * @property {number} t seconds since the start
 * @property {Emotion|null} label
 * @property {Probabilities} probabilities
 * @property {Record<string, Probabilities|null>} alone what each modality says by itself; null where it is absent
 * @property {number[]|null} box the face: left, top, right, bottom as shares of the picture
 * @property {Record<Modality, boolean>} present
 * @property {number} voice_dbfs
 * @property {number|null} followed whom the step speaks of, and whose the voice is; null before anybody was seen
 * @property {Person[]} people all who are seen, by id
 * @property {number} more_people faces beyond the limit
 * @property {boolean} calibrated whether what this person is like at rest was taken off
 * @property {number|null} [frame_ms] of a stream: when the picture was taken
 */
/** @typedef {StepAnswer & Affect} Step */
/**
 * What was recognised while somebody spoke.
 * @typedef {object} UtteranceAnswer
 * @property {number} start seconds since the start
 * @property {number} end seconds, where the voice ends
 * @property {Emotion|null} label
 * @property {number} confidence the label's probability
 * @property {Probabilities} probabilities of face and voice together
 * @property {Record<string, Probabilities|null>} alone
 * @property {number} seen share of the steps in which the face was seen
 * @property {number} heard share of the steps in which a voice was heard
 * @property {number} voice_dbfs
 * @property {number|null} followed of whom it speaks
 * @property {boolean} calibrated whether all that it is made of was
 */
/** @typedef {UtteranceAnswer & Affect} Utterance */
/** @typedef {{type: "utterance_start", start: number} | {type: "utterance"} & Utterance} Spoken what a stream tells of utterances */
/**
 * What a model says of itself (mmer/runtime/graph.py, `ModelInfo`), as an answer holds it.
 * @typedef {object} ModelInfo
 * @property {string} id of the network, which a calibration is of
 * @property {Modality[]} modalities
 * @property {string[]} corpora
 * @property {string} version
 * @property {string} git
 * @property {string} status
 * @property {string} licence
 * @property {string} pairing
 * @property {boolean} drawings
 * @property {boolean} partly_drawn
 * @property {boolean} card whether the server has the model's card
 * @property {Modality[]} [affect] what valence and arousal are told from; none where the model does not say them
 */
/**
 * What was recognised in a clip.
 * @typedef {object} PredictionAnswer
 * @property {string} path
 * @property {Emotion|null} label
 * @property {Probabilities} probabilities
 * @property {Step[]} steps
 * @property {Modality[]} missing
 * @property {ModelInfo & {step_s: number}} model
 * @property {Utterance[]} utterances
 * @property {boolean} calibrated whether any step is
 */
/** @typedef {PredictionAnswer & Affect} Prediction */

/** @param {RawStep} step @param {Emotion|null} label @param {number[]} probabilities @returns {Step & {ms: number}} */
export function stepToJson(step, label, probabilities) {
  const unimodal = Object.entries(step.unimodal).map(([name, said]) => [name, said && byEmotion(said)]);
  return {
    t: round(step.t, 3),
    label,
    probabilities: byEmotion(probabilities),
    alone: Object.fromEntries(unimodal),
    box: step.box && step.box.map((v) => round(v, 4)),
    present: step.present,
    voice_dbfs: round(step.voiceDbfs, 1),
    ms: round(step.ms, 2),
    followed: step.followed,
    people: step.people.map((one) => ({
      ...one,
      box: one.box.map((v) => round(v, 4)),
      probabilities: byEmotion(one.probabilities),
      quality: round(one.quality, 3),
    })),
    more_people: step.more_people,
    calibrated: Boolean(step.calibrated),
    ...rounded(step.affect),
  };
}

/** Valence and arousal: their means over the steps at which they are said. @param {RawStep[]} steps @returns {Affect} */
export function meanAffect(steps) {
  const names = DIMENSIONS.filter((name) => steps.some(({ affect }) => name in affect));
  return Object.fromEntries(names.map((name) => {
    const known = steps.map(({ affect }) => affect[name] ?? null).filter((value) => value !== null);
    return [name, known.length ? known.reduce((sum, v) => sum + v) / known.length : null];
  }));
}

/** As they are told. @param {Affect} affect @returns {Affect} */
export const rounded = (affect) => Object.fromEntries(Object.entries(affect).map(([name, value]) => [name, value && round(value, 4)]));

/** A clip's probabilities: of the mean of its logits over the steps with evidence. @param {RawStep[]} steps */
export function pool(steps) {
  const evidence = steps.filter((step) => step.evidence);
  const pooled = evidence.length ? evidence : steps;
  return softmax(EMOTIONS.map((_, k) => pooled.reduce((sum, step) => sum + step.logits[k], 0) / pooled.length));
}

/** @param {number[]} logits */
export function softmax(logits) {
  const highest = Math.max(...logits);
  const raised = logits.map((v) => Math.exp(v - highest));
  const sum = raised.reduce((a, b) => a + b);
  return raised.map((v) => v / sum);
}

/** Probabilities by their emotion. @param {number[]} probabilities @returns {Probabilities} */
export function byEmotion(probabilities) {
  return /** @type {Probabilities} */ (Object.fromEntries(EMOTIONS.map((name, k) => [name, round(probabilities[k], 5)])));
}

/** The likeliest emotion. @param {number[]} probabilities @returns {Emotion} */
export const likeliest = (probabilities) => EMOTIONS[argmax(probabilities)];

/** @param {number[]} values */
export const argmax = (values) => values.indexOf(Math.max(...values));

/** @param {number} value @param {number} digits */
export const round = (value, digits) => Number(value.toFixed(digits));
