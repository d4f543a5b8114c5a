// Whether the network is silent: requests as the browser counts them, of the page and of its worker, and open connections.
import { openSockets } from "./connection.js";

export class Silence {
  /** @param {HTMLElement} place where it is told */
  constructor(place) {
    this.place = place;
    /** @type {PerformanceObserver|null} */
    this.observer = null;
    this.place.hidden = true;
  }

  /** Count from now on. */
  begin() {
    this.since = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    /** @type {string[]} */
    this.asked = [];
    this.observer = new PerformanceObserver((list) => this.add(list.getEntries().map((entry) => entry.name)));
    this.observer.observe({ type: "resource" });
    this.timer = setInterval(() => this.#tell(), 1000); // a connection may open without a request
    this.#tell();
    this.place.hidden = false;
  }

  /** @param {string[]} urls */
  add(urls) {
    this.asked?.push(...urls.filter((url) => url.startsWith("http"))); // what the page holds in memory is no request
    this.#tell();
  }

  #tell() {
    const { asked = [] } = this;
    const connections = openSockets();
    const last = asked.at(-1);
    const words = asked.length || connections
      ? `The network is not silent: ${asked.length} requests, ${connections} open connections` +
        `${last ? `, the last request for ${new URL(last).pathname}` : ""}; since ${this.since}.`
      : `On this device; the network is silent: 0 requests, 0 open connections since ${this.since}.`;
    if (this.place.textContent !== words) this.place.textContent = words;
    this.place.classList.toggle("bad", Boolean(asked.length || connections));
  }

  end() {
    this.observer?.disconnect();
    clearInterval(this.timer);
    this.place.hidden = true;
  }
}
