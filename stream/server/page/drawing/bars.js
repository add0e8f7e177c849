// A bar for each class: its probability, its peak, its threshold, and the number.

import { el, put, say } from "./dom.js";
import { colour, onGround } from "../state/look.js";
import { share } from "../state/words.js";

const MANY = 12;
const LONGEST = 18; // letters of a name that are shown

export class Bars {
  /**
   * @param {string[]} labels of the classes.
   * @param {(label: string, threshold: number) => void} [move] called when a person moves a threshold; without it
   *     thresholds are shown and cannot be moved.
   * @param {number[]} [indices] the numbers of the classes, for their colours, where not all are shown.
   */
  constructor(labels, move, indices) {
    this.rows = labels.map((label, i) => new Bar(label, indices?.[i] ?? i, move));
    const long = labels.length > MANY ? { role: "group", "aria-label": "Classes", tabindex: 0 } : {}; // it scrolls
    this.element = el("div", { class: "bars", ...long }, this.rows.map((row) => row.element));
    const longest = Math.max(...labels.map((label) => label.length)); // all bars begin at one place
    this.element.style.setProperty("--name", `calc(${Math.min(LONGEST, longest) + 1}ch + 1.3rem)`);
    this.forget = onGround(() => this.rows.forEach((row) => row.paint()));
  }

  /** Show probabilities, peaks, thresholds (null = never an event) and which classes are on. */
  show({ now, peaks, thresholds, on }, stale) {
    this.element.classList.toggle("stale", stale);
    this.rows.forEach((row, i) => row.show(now[i], peaks?.[i], thresholds[i], on[i] && !stale));
  }

  close() {
    this.forget();
  }
}

class Bar {
  constructor(label, index, move) {
    this.index = index;
    this.enabled = true;
    this.fill = el("div", { class: "fill" });
    this.peak = el("div", { class: "peak" });
    this.tick = el("div", { class: "tick" });
    this.number = el("span", { class: "number", "aria-hidden": "true" }, "–");
    this.meter = el("div", {
      class: "track", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": 0,
    }, [this.fill, this.peak, this.tick]);
    const bed = el("div", { class: "bed" }, this.meter);
    if (move) bed.append(this.#slider(label, move));
    this.element = el("div", { class: "bar" }, [
      el("span", { class: "name" }, [el("span", { class: "dot" }), el("span", { class: "label", title: label }, label)]),
      bed,
      this.number,
    ]);
    this.paint();
  }

  #slider(label, move) {
    this.slider = el("input", {
      type: "range", min: 0.05, max: 0.95, step: 0.01, "aria-label": `Threshold of ${label}`,
      input: () => this.#showThreshold(Number(this.slider.value)),
      change: () => {
        this.movedAt = performance.now();
        move(label, Number(this.slider.value));
      },
    });
    return this.slider;
  }

  paint() {
    this.element.style.setProperty("--class", colour(this.index, this.enabled));
  }

  show(prob, peak, threshold, on) {
    const enabled = threshold !== null;
    if (enabled !== this.enabled) {
      this.enabled = enabled;
      this.paint();
    }
    this.fill.style.transform = `scaleX(${prob ?? 0})`;
    this.peak.style.left = `${100 * (peak ?? 0)}%`;
    this.peak.hidden = !(peak > 0.02);
    this.element.classList.toggle("on", Boolean(on));
    say(this.number, share(prob));
    put(this.meter, "aria-valuenow", (prob ?? 0).toFixed(2));
    put(this.meter, "aria-valuetext", prob === null ? "no value yet" : share(prob) + (on ? ", on" : ""));
    const held = this.slider && (this.slider.matches(":active") || performance.now() - (this.movedAt ?? -1e9) < 1000);
    if (!held) this.#showThreshold(threshold);
  }

  #showThreshold(threshold) {
    this.tick.hidden = threshold === null || Boolean(this.slider); // else the slider is the mark
    this.tick.style.left = `${100 * (threshold ?? 0)}%`;
    if (!this.slider) return;
    this.slider.disabled = threshold === null;
    if (threshold !== null) {
      const value = threshold.toFixed(2);
      if (this.slider.value !== value) this.slider.value = value;
      put(this.slider, "aria-valuetext", value);
      put(this.slider, "title", `threshold ${value}`);
    }
  }
}
