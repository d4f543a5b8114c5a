// A clip of the reader's own or a sample: played here, recognised by the service or this device, shown as it plays.

/** @typedef {import("./runtime/results.js").Prediction} Prediction */

export class Clip {
  /**
   * @param {File} file
   * @param {HTMLElement} place for the player
   * @param {(seconds: number) => void} onTime
   */
  constructor(file, place, onTime) {
    this.file = file;
    this.abort = new AbortController();
    this.url = URL.createObjectURL(file);
    const player = (this.player = playerFor(file.type));
    if (!player) return;
    player.id = "player";
    player.src = this.url;
    if (player instanceof HTMLMediaElement) {
      player.controls = true;
      const follow = () => {
        onTime(player.currentTime);
        if (!player.paused && player.isConnected) requestAnimationFrame(follow);
      };
      for (const event of ["play", "seeked", "timeupdate"]) player.addEventListener(event, follow);
    }
    player.addEventListener("error", () => player.remove()); // this browser cannot play it: the rest still works
    place.append(player);
  }

  /** @param {(file: File, signal: AbortSignal) => Promise<Prediction>} by whom @returns {Promise<Prediction>} */
  recognise(by) {
    return by(this.file, this.abort.signal);
  }

  /** Begin to play. */
  play() {
    if (this.player instanceof HTMLMediaElement) this.player.play().catch(() => {}); // a browser may want a click first
  }

  /** What is to be seen of it. @returns {HTMLVideoElement|HTMLImageElement|null} */
  get picture() {
    return this.player instanceof HTMLAudioElement ? null : this.player;
  }

  /** @returns {{width: number, height: number}} */
  get size() {
    const { player } = this;
    if (player instanceof HTMLVideoElement) return { width: player.videoWidth || 4, height: player.videoHeight || 3 };
    if (player instanceof HTMLImageElement) return { width: player.naturalWidth || 4, height: player.naturalHeight || 3 };
    return { width: 4, height: 3 };
  }

  stop() {
    this.abort.abort();
    this.player?.remove();
    URL.revokeObjectURL(this.url);
  }
}

/** @param {string} type of a file */
function playerFor(type) {
  if (type.startsWith("audio/")) return new Audio();
  if (type.startsWith("image/")) return Object.assign(new Image(), { alt: "the picture that was chosen" });
  return type.startsWith("video/") ? Object.assign(document.createElement("video"), { playsInline: true }) : null;
}
