// The level of the sound, from -60 dBFS on, with its peak; CLIP where it is too loud.

import { el, put, say } from "./dom.js";
import { look } from "../state/look.js";

export class Meter {
  constructor() {
    this.fill = el("div", { class: "fill" });
    this.peak = el("div", { class: "peak" });
    this.number = el("span", { class: "number", "aria-hidden": "true" });
    this.bar = el("div", {
      class: "track", role: "meter", "aria-label": "Level", "aria-valuemin": look.floor_dbfs, "aria-valuemax": 0,
      "aria-valuenow": look.floor_dbfs,
    }, [this.fill, this.peak]);
    this.element = el("div", { class: "meter" }, [el("div", { class: "bed" }, this.bar), this.number]);
  }

  /** Show a level of `rms` and `peak` dBFS. */
  show({ rms, peak, clipped }, stale) {
    const shareOf = (level) => Math.min(1, Math.max(0, 1 - level / look.floor_dbfs));
    this.element.classList.toggle("stale", stale);
    this.element.classList.toggle("high", rms > look.high_dbfs);
    this.element.classList.toggle("clipped", clipped && !stale);
    this.fill.style.transform = `scaleX(${stale ? 0 : shareOf(rms)})`;
    this.peak.style.left = `${100 * shareOf(peak)}%`;
    this.peak.hidden = stale || peak <= look.floor_dbfs;
    const words = stale ? "no sound" : `${rms.toFixed(1)} ${clipped ? "CLIP" : "dBFS"}`;
    say(this.number, words);
    put(this.bar, "aria-valuenow", stale ? look.floor_dbfs : Math.max(look.floor_dbfs, Math.min(0, rms)).toFixed(1));
    put(this.bar, "aria-valuetext", words);
  }
}
