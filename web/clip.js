// A clip of the reader's own or a sample, played here.
import { listTracks } from "./container.js";

const PATIENCE_MS = 4000; // with a browser that loads nothing before it is told to play

export class Clip {
  /**
   * @param {File} file
   * @param {HTMLElement} place for the player
   * @param {HTMLElement} note where it is told what this browser cannot play
   * @param {(seconds: number) => void} onTime
   */
  constructor(file, place, note, onTime) {
    this.file = file;
    this.place = place;
    this.note = note;
    this.onTime = onTime;
    this.stopped = false;
    this.url = URL.createObjectURL(file);
    this.player = this.#put(playerFor(file.type));
    /** Whether this browser can play it. */
    this.plays = this.player ? loads(this.player) : Promise.resolve(false);
  }

  /** @template {HTMLMediaElement|HTMLImageElement|null} Player @param {Player} player @returns {Player} */
  #put(player) {
    if (!player) return player;
    player.id = "player";
    player.src = this.url;
    if (player instanceof HTMLMediaElement) {
      player.controls = true;
      const follow = () => {
        this.onTime(player.currentTime);
        if (!player.paused && player.isConnected) requestAnimationFrame(follow);
      };
      for (const event of ["loadeddata", "play", "seeked", "timeupdate"]) player.addEventListener(event, follow);
    }
    this.place.append(player);
    return player;
  }

  /** Say what this browser cannot play of it, and give another way through it. @param {number} seconds its last step */
  async settle(seconds) {
    const plays = await this.plays;
    const { player } = this;
    const unseen = plays && player instanceof HTMLVideoElement && !player.videoWidth && (await listTracks(this.file)).picture;
    if (this.stopped || (plays && !unseen)) return;
    player?.remove();
    this.player = unseen ? this.#put(new Audio()) : null;
    if (!unseen) this.slider = this.#addSlider(seconds);
    this.note.textContent = unseen
      ? "This browser cannot decode these pictures; it plays the sound alone."
      : "This browser cannot play this file; what was recognised in it can be looked through.";
    this.note.hidden = false;
    this.place.classList.add("blind");
  }

  /** In the place of a player. @param {number} seconds */
  #addSlider(seconds) {
    const label = this.place.appendChild(document.createElement("label"));
    label.textContent = "Moment of the clip";
    const slider = label.appendChild(document.createElement("input"));
    Object.assign(slider, { type: "range", min: "0", max: String(seconds), step: "0.1", value: "0" });
    slider.addEventListener("input", () => this.onTime(Number(slider.value)));
    return slider;
  }

  /** Begin to play. */
  play() {
    if (this.player instanceof HTMLMediaElement) this.player.play().catch(() => {}); // a browser may want a click first
  }

  /** Go to a moment of it. @param {number} seconds */
  seek(seconds) {
    const { player, slider } = this;
    if (player instanceof HTMLMediaElement) player.currentTime = Math.min(seconds, player.duration || seconds);
    else {
      if (slider) slider.value = String(seconds);
      this.onTime(seconds);
    }
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
    this.stopped = true;
    this.player?.remove();
    this.slider?.parentElement?.remove();
    this.note.hidden = true;
    this.place.classList.remove("blind");
    URL.revokeObjectURL(this.url);
  }
}

/** @param {string} type of a file @returns {HTMLAudioElement|HTMLVideoElement|HTMLImageElement|null} */
function playerFor(type) {
  if (type.startsWith("audio/")) return new Audio();
  if (type.startsWith("image/")) return Object.assign(new Image(), { alt: "the picture that was chosen" });
  return type.startsWith("video/") ? Object.assign(document.createElement("video"), { playsInline: true }) : null;
}

/** @param {HTMLElement} player @returns {Promise<boolean>} whether it could load what it is to play */
function loads(player) {
  return new Promise((done) => {
    for (const event of ["loadedmetadata", "load"]) player.addEventListener(event, () => done(true));
    player.addEventListener("error", () => done(false));
    setTimeout(() => done(true), PATIENCE_MS);
  });
}
