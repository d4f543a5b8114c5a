// Written by `python -m scripts.web_constants` from the Python modules named here: change a constant there.

// mmer/labels.py
export const EMOTIONS = /** @type {const} */ (["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]);
export const MODALITIES = /** @type {const} */ (["face", "scene", "voice"]);

// mmer/runtime/grid.py
/** Of every voice in this project, Hz, mono. */
export const SAMPLE_RATE = 16000;

// mmer/runtime/detector.py
/** Side of the window that the P-Net judges, pixels of a level of the pyramid; the smallest face it can see. */
export const WINDOW = 12;
/** Between two windows of the P-Net, pixels of a level. */
export const STRIDE = 2;
/** From one level of the pyramid to the next: half the area. */
export const FACTOR = 0.709;
/** Crops judged at once: bounds the memory that a frame full of texture takes. */
export const BATCH = 64;
/**
 * Of the last box, the sizes that the O-Net is shown where a face is followed. The mean of its answers is as near the
 * mean of detections in slightly moved pictures as one detection is; of one size alone it is not (docs/preparing.md).
 */
export const FOLLOWED_SCALES = /** @type {const} */ ([0.8999999761581421, 1.0, 1.100000023841858]);
/**
 * How far around the last box the picture is read where a face is followed, in sides of the box: further than the two
 * networks can move it.
 */
export const FOLLOWED_REACH = 0.5;

// mmer/runtime/align.py
/**
 * Where both eyes and both corners of the mouth lie in the square, as shares of its side: where they lie on average in
 * FER2013's training images, mirrored with their mirror images (docs/preparing.md).
 */
export const TEMPLATE = /** @type {const} */ ([[0.315, 0.376], [0.685, 0.376], [0.345, 0.786], [0.655, 0.786]]);
/** Degrees: a face that lies further over is taken for one so far; the detector hardly finds it. */
export const ROLL_LIMIT = 60.0;
/**
 * The square's centre lies no further from the box's than this, in sides of the box; nor are their sides further apart
 * (of the logarithm).
 */
export const MOVE_LIMIT = 0.4;
/** Time constant of the mean over what was measured: after it, a change has come through to 63%. */
export const ALIGN_TAU_S = 0.3;
/**
 * By how much that mean may wander before the crop goes with it: across and down in sides of the box, in size (of the
 * logarithm), and in degrees. It is more than it wanders where a face is still (docs/preparing.md), whose crop so
 * rests.
 */
export const ALIGN_PLAY = /** @type {const} */ ([0.01, 0.01, 0.02, 2.0]);

// mmer/runtime/tracker.py
/** A box that overlaps the last one by this much is the same face. */
export const SAME_FACE_IOU = 0.3;
/**
 * A face that moved too fast to overlap: the furthest its centre may have gone, in sides of the box. Faces of two
 * people side by side are at least one side apart.
 */
export const SAME_FACE_STEP = 0.75;
/** And the most its side may have grown or shrunk meanwhile. */
export const SAME_FACE_GROWTH = 2.0;

// mmer/runtime/voice.py
/** Samples of a frame whose level is taken: 25 ms. */
export const FRAME_SAMPLES = 400;
/** dB: below it is no recording of anything. */
export const DIGITAL_SILENCE = -95.0;
/** Samples whose mean is taken first … */
export const LOW_PASS = 4;
/** … and the means between which differences are: together a band around 1 kHz. */
export const LAG = 2;
/** Level, dB of full scale, at which the loudest of a voice is heard where its level is followed. */
export const HEARD_AT = -20.0;
/** Voice that arrives with a time stamp off by less simply continues what came before. */
export const JITTER_S = 0.05;

// mmer/runtime/stream.py
/** A stream's picture older than this no longer shows what is there: the camera has stopped. */
export const STALE_S = 1.0;
/** A stream takes nothing from further ahead of its next step: what waits there is kept in memory. */
export const AHEAD_S = 10.0;

// mmer/runtime/smoothing.py
/** Time constant: after it, a change has come through to 63%. */
export const TAU_S = 1.2;
/** The first steps are averaged with so many less one that say nothing: one step alone is not believed whole. */
export const PRIOR_STEPS = 2;
/** Of a voice without a face so much must be heard before there is a label. */
export const LISTEN_S = 1.0;
/** How far another emotion's probability must be ahead before the label changes. */
export const LEAD = 0.16;
/** Without evidence for longer than this, the next step begins anew, and nothing is said meanwhile. */
export const FORGET_S = 2.0;
/** Probability below which one is as unlikely as another. */
export const LEAST = 1e-06;

// mmer/serving/live.py
/** A step waits no longer for one modality once another has reached it. */
export const LATE_S = 0.25;
/** Further behind what came in than this, steps are skipped … */
export const BEHIND_S = 1.0;
/** … until this much is left. */
export const KEEP_S = 0.4;
/** Share of a step: a picture taken no earlier than that before a step will do for it. */
export const EARLY = 0.5;

// mmer/serving/protocol.py
export const VERSION = 1;
export const FRAME = 1;
export const VOICE = 2;
export const CAMERA_OFF = 3;
export const MICROPHONE_OFF = 4;
