// A source in a few lines: state, level, classes now, the last half minute, the last event.

import { Bars } from "./bars.js";
import { Picture, ink } from "./canvas.js";
import { el, put, say } from "./dom.js";
import { Meter } from "./meter.js";
import { colour } from "../state/look.js";
import { share } from "../state/words.js";

const MOST_CLASSES = 4;

export class Card {
  constructor(about) {
    this.recent = [];
    this.state = el("p", { class: "state" });
    this.detail = el("p", { class: "detail", hidden: true });
    this.meter = new Meter();
    this.place = el("div");
    this.last = el("p", { class: "last" });
    this.strip = new Picture("When the classes were on in the last half minute", "strip", (...args) => this.#draw(...args));
    this.link = el("a", { href: `#/source/${encodeURIComponent(about.name)}` }, about.name);
    this.element = el("li", { class: "card" }, [
      el("h2", {}, this.link), this.state, this.detail, this.meter.element, this.place, this.strip.element, this.last,
    ]);
  }

  /** Show how it stands. */
  show(standing) {
    const { state, level, stale } = standing;
    put(this.element, "data-meaning", state.meaning);
    say(this.state, `${state.mark} ${state.words}`);
    say(this.detail, state.detail);
    this.detail.hidden = !state.detail;
    this.#choose(standing);
    this.meter.element.hidden = !level;
    this.strip.element.hidden = !level;
    if (level) {
      this.meter.show(level, stale);
      const pick = (values) => this.shown.map((i) => values[i]);
      this.bars.show({
        now: pick(standing.now), peaks: pick(standing.peaks), thresholds: pick(standing.thresholds), on: pick(standing.on),
      }, stale);
    }
    say(this.last, level ? lastWords(standing.last, standing.position) : "");
    if (JSON.stringify(this.recent) !== JSON.stringify(standing.recent)) {
      this.recent = standing.recent;
      this.labels = standing.labels;
      this.strip.ask();
    }
  }

  /** Which classes are shown: all where they are few, else those that are likeliest now. */
  #choose({ labels, now, level }) {
    if (!level) return;
    let shown = labels.map((_, i) => i);
    if (labels.length > MOST_CLASSES) {
      shown = shown.sort((a, b) => (now[b] ?? 0) - (now[a] ?? 0)).slice(0, MOST_CLASSES).sort((a, b) => a - b);
    }
    if (this.shown && shown.join() === this.shown.join()) return;
    this.shown = shown;
    this.bars?.close();
    this.bars = new Bars(shown.map((i) => labels[i]), undefined, shown);
    this.place.replaceChildren(this.bars.element);
  }

  #draw(context, width, height) {
    context.fillStyle = ink("track");
    context.fillRect(0, 0, width, height);
    for (const [index, from, to] of this.recent ?? []) {
      const [left, right] = [width * (1 - from / 30), width * (1 - to / 30)];
      const lane = height / Math.max(1, this.labels.length);
      context.fillStyle = colour(index);
      context.fillRect(Math.max(0, left), index * lane, Math.max(2, right - Math.max(0, left)), Math.max(2, lane - 1));
    }
  }

  close() {
    this.bars?.close();
    this.strip.close();
  }
}

function lastWords(last, position) {
  if (!last) return `nothing detected yet · ${position}`;
  if (last.offset === null) return `${last.label} is on since ${last.when}, for ${last.length}, peak ${share(last.peak)}`;
  return `last: ${last.label} at ${last.when} for ${last.length}, peak ${share(last.peak)}`;
}
