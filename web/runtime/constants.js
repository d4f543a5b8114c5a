// Written by `python -m scripts.web_constants` from the Python modules named here: change a constant there.

// mmer/labels.py
export const EMOTIONS = /** @type {const} */ (["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]);
export const MODALITIES = /** @type {const} */ (["face", "scene", "voice"]);
export const DIMENSIONS = /** @type {const} */ (["valence", "arousal"]);

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
 * Of its side: where the edges of a followed box move by less, it goes with them only in part. So much does the O-Net's
 * answer tremble (docs/preparing.md).
 */
export const TREMBLE = 0.06;

// mmer/runtime/resize.py
/** Pixels between two points at which a picture is read, at most: none lies between them unread. */
export const READ_APART = 2.0;

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

// mmer/runtime/appearance.py
/** Side of a portrait, pixels. */
export const PORTRAIT = 48;
/** What of the picture a portrait shows around the face's box on each side, as a share of its size: hair, mostly. */
export const AROUND = 0.2;
/** Side of a cell of the look, pixels of the portrait. */
export const CELL = 6;
/** How far below the face the square lies that shows the clothes, in sides of the face's box. */
export const CHEST = 1.0;
/** Cells on the left and on the right of the head that are left out: they show what is behind. */
export const SIDES = 2;
/** How much more than lightness colour tells: people turn in the light, but keep their colours. */
export const COLOUR = 3.0;
/** Where a portrait shows the mouth: left, top, right, bottom. */
export const MOUTH = /** @type {const} */ ([14, 28, 34, 41]);
/** Pixels by which a portrait may have moved between two pictures: the box trembles, and that is no talking. */
export const STEADY = 1;
/** Added to the contrast of a mouth that its motion is told by: in grey levels, so that noise in the dark is none. */
export const PALE = 5.0;

// mmer/runtime/people.py
/** Boxes that overlap by more are of one face: where one face is behind another, the detector sees no more of it. */
export const ONE_FACE_IOU = 0.5;
/** A face that is not found, and whose last box is covered by so much of a found one, is behind it. */
export const HIDDEN_SHARE = 0.3;
/** A face of whose box less is in the picture does not show how somebody looks … */
export const WHOLE = 0.9;
/** … nor one with another face nearer than this, in sides of the box, from centre to centre. */
export const APART = 1.5;
/** Time constant of the mean of a person's looks. */
export const LOOK_TAU_S = 2.0;
/**
 * Somebody who is known alone is looked at so often: nobody is there whom they could be taken for. Nor do their lips
 * tell who speaks.
 */
export const LOOK_EVERY_S = 1.0;
/** How fast a face goes that is not seen, at most, in sides of its box a second. */
export const PACE = 3.0;
/** How unlike (`appearance.unlike`) whoever is found may be to be the one who was there a moment ago … */
export const STRANGER = 0.18;
/** … and to be known again anywhere, or later … */
export const FAMILIAR = 0.09;
/** … than this; between the two it goes evenly. */
export const FADE_S = 3.0;
/** Score of the detector from which on a face is a further person: it sees some where there are none. */
export const SURE_FACE = 0.95;
/** Seconds between two searches while somebody is lost for at most `faces.max_gap_s` … */
export const LOST_EVERY_S = 0.4;
/** … and while somebody is out of sight, but remembered. */
export const GONE_EVERY_S = 1.0;
/** So long somebody who is out of sight is known again. */
export const REMEMBER_S = 10.0;
/** People who are remembered at most, in sight or not. */
export const REMEMBERED = 8;
/** How many times as large as the smallest a face beyond the limit must be to be followed in its place. */
export const LARGER = 1.25;

// mmer/runtime/speaker.py
/** Time constant of the mean of how much lips move while a voice is heard. */
export const TALK_TAU_S = 1.0;
/** So much voice must be heard while a face is seen before its lips tell anything. */
export const TALK_S = 0.8;
/** How many times as much as all others' somebody's lips must move to be the one who speaks. */
export const TALK_LEAD = 1.3;
/** And how much, as a share of the mouth's contrast. */
export const TALK_LEAST = 0.12;
/** Who spoke is followed for so long after the voice was last heard; then the largest is. */
export const SILENCE_S = 3.0;
/** How many times as large as the one who is followed another face must be to be followed instead. */
export const SIZE_LEAD = 1.25;

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

// mmer/runtime/vacancy.py
/** Pixels between two that are compared, across and down; of their colours the green, most of lightness, will do. */
export const GRID = 4;
/** Pixels compared on a side of a cell: the smallest face that is looked for covers one wholly. */
export const GRID_CELL = 4;
/**
 * Grey levels by which the pixels of a cell may differ on average where nothing moved: a camera's noise
 * (docs/preparing.md).
 */
export const NOISE = 7;
/** After so long without a face … */
export const VACANT_S = 3.0;
/** … a picture is searched only so often, seconds. */
export const VACANT_EVERY_S = 0.4;

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

// mmer/runtime/utterances.py
/**
 * Silence after which an utterance is over: with a frame, and voice that comes in pieces of 0.1 s, its end is known 0.3
 * s after it at the latest. Of 120 clips of RAVDESS, a sentence each, 90% are one utterance so (of 0.25 s: 97%).
 */
export const PAUSE_S = 0.175;
/** So much voice must be heard before it is an utterance: a click is none. */
export const VOICED_S = 0.2;
/** An utterance that goes on for longer is told in parts. */
export const LONGEST_S = 30.0;

// mmer/runtime/calibration.py
/** Share of the mean that is taken off, at most … */
export const MOST_OFF = 0.3;
/** … and half of that after so many seconds of a modality. */
export const HALF_S = 1.0;
/** A modality that was there for less tells nothing of a person. */
export const LEAST_REST_S = 1.0;
/** For so long somebody may be asked to be at rest. */
export const MOST_REST_S = 30.0;

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
/** The newest version of the protocol. */
export const VERSION = 2;
export const FRAME = 1;
export const VOICE = 2;
export const CAMERA_OFF = 3;
export const MICROPHONE_OFF = 4;
