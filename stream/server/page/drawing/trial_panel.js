// A sound that this browser sent, as the server hears it: bars, timelines, events.

import { Bars } from "./bars.js";
import { el } from "./dom.js";
import { EventTable } from "./event_table.js";
import { MOST_LANES, timeline } from "./timeline.js";

export class TrialPanel {
  /** @param {import("../state/trial.js").Trial} trial what is shown. @param {string} heading of the pictures. */
  constructor(trial, heading) {
    this.trial = trial;
    this.bars = new Bars(trial.labels);
    this.lines = timeline(() => trial);
    this.lines.element.style.setProperty("--lanes", Math.min(MOST_LANES, trial.labels.length));
    this.table = new EventTable();
    const now = el("section", { class: "panel now" }, [el("h2", {}, "Now"), this.bars.element]);
    this.element = el("div", { class: "desk" }, [
      trial.columns.whole ? null : now, // a recording that is read as fast as it goes has no now
      el("section", { class: "panel pictures" }, [el("h2", {}, heading), this.lines.element]),
      el("section", { class: "panel events" }, [el("h2", {}, "Events"), this.table.element]),
    ]);
    this.waiting = false;
    this.show();
  }

  /** Draw soon what has come. */
  show() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.bars.show(this.trial.bars(), false);
      this.table.show(this.trial.list());
      this.lines.ask();
    });
  }

  close() {
    this.bars.close();
    this.lines.close();
    this.table.close();
  }
}
