// How much of the time each emotion was said: a bar of all of it, and its parts by name; the legend of the chart.
import { SAYINGS, colour, inWords, percent } from "./emotions.js";

export class Shares {
  /** @param {HTMLElement} bar @param {HTMLElement} list */
  constructor(bar, list) {
    this.bar = bar;
    this.list = list;
    this.rows = SAYINGS.map((said) => {
      const own = said === "nothing" || said === "listening" ? "var(--line)" : colour(said);
      const part = bar.appendChild(document.createElement("div"));
      part.style.background = own;
      const line = list.appendChild(document.createElement("li"));
      const dot = line.appendChild(document.createElement("span"));
      dot.className = "dot";
      dot.style.background = own;
      const words = line.appendChild(document.createElement("span"));
      return { said, part, line, words };
    });
  }

  /** @param {import("./course.js").Course} course */
  show(course) {
    const spent = new Map(course.spent());
    for (const { said, part, line, words } of this.rows) {
      const share = spent.get(said) ?? 0;
      part.style.flexGrow = String(share);
      part.hidden = line.hidden = !share;
      const told = `${inWords(said)} ${share < 0.005 ? "<1%" : percent(share)}`;
      if (words.textContent !== told) words.textContent = told;
    }
  }
}
