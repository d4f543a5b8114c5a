// A clip of the reader's own or a sample: played here, recognised by the service, shown as it plays.
import { predict } from "./api.js";

export class Clip {
  /**
   * @param {File} file
   * @param {HTMLElement} place for the player
   * @param {(seconds: number) => void} onTime
   */
  constructor(file, place, onTime) {
    this.file = file;
    this.abort = new AbortController();
    const kind = { video: "video", audio: "audio", image: "img" }[file.type.split("/")[0]];
    this.url = URL.createObjectURL(file);
    this.player = kind ? document.createElement(kind) : null;
    if (!this.player) return;
    this.player.id = "player";
    this.player.src = this.url;
    if (this.player instanceof HTMLImageElement) this.player.alt = "the picture that was sent";
    else {
      this.player.controls = true;
      this.player.playsInline = true;
      const follow = () => {
        onTime(this.player.currentTime);
        if (!this.player.paused && this.player.isConnected) requestAnimationFrame(follow);
      };
      for (const event of ["play", "seeked", "timeupdate"]) this.player.addEventListener(event, follow);
    }
    this.player.addEventListener("error", () => this.player.remove()); // this browser cannot play it: the rest still works
    place.append(this.player);
  }

  /** @returns {Promise<any>} the prediction */
  recognise(key) {
    return predict(this.file, this.abort.signal, key);
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
