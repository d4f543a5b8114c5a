// The seven emotions, in the order of every array of this project; each has its colour in style.css under its own name.
export const EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"];

export const colour = (emotion) => `var(--${emotion})`;
