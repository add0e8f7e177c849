// Events, newest first, each with a button that plays its sound where that is kept.

import { Player } from "./player.js";
import { el, say, show } from "./dom.js";
import { colour, onGround } from "../state/look.js";
import { share } from "../state/words.js";

const MOST_ROWS = 50;

export class EventTable {
  constructor() {
    this.rows = new Map();
    this.body = el("tbody");
    this.table = el("table", { class: "events", hidden: true }, [
      el("thead", {}, el("tr", {}, [
        ...["When", "Class", "Length"].map((name) => el("th", { scope: "col" }, name)),
        el("th", { scope: "col", class: "highest" }, "Peak"),
        el("th", { scope: "col", class: "sound" }, "Sound"),
      ])),
      this.body,
    ]);
    this.none = el("p", { class: "quiet" }, "Nothing detected yet.");
    this.element = el("div", { class: "wide", role: "region", tabindex: "0", "aria-label": "List of events" }, [
      this.none, this.table,
    ]);
    this.forget = onGround(() => this.rows.forEach((row) => row.paint()));
  }

  /** Show these, newest first, `most` of them. */
  show(events, most = MOST_ROWS) {
    const shown = events.slice(0, most);
    const keys = new Set(shown.map((event) => event.key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.close();
      this.rows.delete(key);
    }
    shown.forEach((event, place) => {
      if (!this.rows.has(event.key)) this.rows.set(event.key, new Row());
      const row = this.rows.get(event.key);
      row.show(event);
      if (this.body.children[place] !== row.element) this.body.insertBefore(row.element, this.body.children[place] ?? null);
    });
    this.table.classList.toggle("silent", !shown.some((event) => event.clip)); // no column for nothing
    show(this.none, shown.length === 0);
    show(this.table, shown.length > 0);
  }

  close() {
    this.forget();
    this.rows.forEach((row) => row.close());
  }
}

class Row {
  constructor() {
    this.when = el("td", { class: "when" });
    this.dot = el("span", { class: "dot" });
    this.label = el("span");
    this.length = el("td");
    this.peak = el("td", { class: "highest" });
    this.sound = el("td", { class: "sound" });
    this.element = el("tr", {}, [
      this.when, el("td", { class: "name" }, [this.dot, this.label]), this.length, this.peak, this.sound,
    ]);
  }

  show(event) {
    this.index = event.index;
    const on = event.offset === null;
    this.element.classList.toggle("on", on);
    say(this.when, event.when);
    say(this.label, event.label);
    say(this.length, on ? `${event.length}, on` : event.cut ? `${event.length}, cut` : event.length);
    say(this.peak, share(event.peak));
    if (event.clip && !this.player) {
      this.player = new Player(event.clip, `${event.label} at ${event.when}`);
      this.sound.replaceChildren(this.player.element);
    }
    this.paint();
  }

  paint() {
    this.dot.style.setProperty("--class", colour(this.index));
  }

  close() {
    this.player?.close();
    this.element.remove();
  }
}
