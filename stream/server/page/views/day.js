// A day from history: timeline, level, counts by hour, and its events, all or those of one class.

import { json } from "../connection/api.js";
import { el, empty, problem, command } from "../drawing/dom.js";
import { choose, dayPicture } from "../drawing/day_picture.js";
import { EventTable } from "../drawing/event_table.js";
import { colour, onGround } from "../state/look.js";

const EMPTY_PAUSE = 3000; // ms

/** @returns {() => void} ends the view. */
export function day(main, given) {
  const view = new DayView(main, given);
  return () => view.close();
}

class DayView {
  constructor(main, given) {
    const [date, query = ""] = given.split("?");
    this.date = date;
    this.source = new URLSearchParams(query).get("source") ?? "";
    this.label = "";
    this.stopped = new AbortController();
    this.title = el("h1", { tabindex: "-1" }, "Day");
    this.zone = el("p", { class: "quiet" });
    this.body = el("div", {}, el("p", { class: "quiet" }, "Reading the history…"));
    main.append(this.title, this.zone, this.#chooser(), this.body);
    this.forget = onGround(() => this.day && this.#show());
    this.#load();
  }

  #chooser() {
    this.input = el("input", { id: "date", type: "date", change: () => this.input.value && this.#go(this.input.value) });
    this.before = el("button", { type: "button", "aria-label": "The day before", disabled: true }, "‹");
    this.after = el("button", { type: "button", "aria-label": "The day after", disabled: true }, "›");
    this.before.addEventListener("click", () => this.#go(this.day.previous));
    this.after.addEventListener("click", () => this.#go(this.day.next));
    this.sources = el("select", { id: "source", change: () => this.#go(this.day.date, this.sources.value) });
    this.classes = el("select", { id: "class", change: () => this.#search() });
    return el("div", { class: "choose" }, [
      el("div", {}, [el("label", { for: "date" }, "Day"), el("div", { class: "row" }, [this.before, this.input, this.after])]),
      el("div", {}, [el("label", { for: "source" }, "Source"), this.sources]),
      el("div", {}, [el("label", { for: "class" }, "Class"), this.classes]),
    ]);
  }

  #go(date, source = this.source) {
    location.hash = `#/day/${date}${source ? `?source=${encodeURIComponent(source)}` : ""}`;
  }

  async #load() {
    const source = this.source ? `?source=${encodeURIComponent(this.source)}` : "";
    try {
      this.day = await json(`page/days/${encodeURIComponent(this.date)}${source}`, { signal: this.stopped.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.body.replaceChildren(error.code === "no_history" ? noHistory() : problem(error.message));
      return;
    }
    this.#show();
  }

  #show() {
    const { day } = this;
    this.title.textContent = day.name;
    this.zone.textContent = `local time of the station (${day.zone})`;
    this.input.value = day.date;
    this.before.disabled = !day.previous;
    this.after.disabled = !day.next;
    options(this.sources, "all sources", day.sources, this.source);
    options(this.classes, "all classes", day.labels, this.label);
    this.table?.close();
    if (day.empty) {
      this.body.replaceChildren(empty("Nothing was recorded on this day", ["Choose another one; the arrows beside the date go back and forth."]));
      if (!day.next) this.again = setTimeout(() => this.#load(), EMPTY_PAUSE); // today has just begun, or the station
      return;
    }
    this.table = new EventTable();
    this.picture = dayPicture(day);
    this.count = el("p", { class: "quiet", role: "status" });
    this.body.replaceChildren(
      el("dl", { class: "facts" }, day.facts.map(({ name, value }) => el("div", {}, [el("dt", {}, name), el("dd", {}, value)]))),
      el("section", { class: "panel" }, [
        el("h2", {}, "Timeline"),
        el("div", { class: "wide", role: "region", tabindex: "0", "aria-label": "Timeline" }, this.picture),
      ]),
      el("div", { class: "beside" }, [
        el("section", { class: "day-events" }, [el("h2", {}, "Events"), this.count, this.table.element]),
        el("section", {}, [el("h2", {}, "By hour"), hours(day)]),
      ]),
    );
    this.#search();
  }

  #search() {
    this.label = this.classes.value;
    choose(this.picture, this.day.labels.indexOf(this.label));
    const found = this.day.events.filter((event) => !this.label || event.label === this.label).reverse();
    this.table.show(found.map((event) => ({ ...event, offset: event.on ? null : 0 })), 1000);
    const left = this.day.left_out ? `, and ${this.day.left_out} more that are not shown` : "";
    this.count.textContent = `${found.length === 1 ? "1 event" : `${found.length} events`}${left}, newest first`;
  }

  close() {
    clearTimeout(this.again);
    this.stopped.abort();
    this.table?.close();
    this.forget();
  }
}

function options(select, all, names, chosen) {
  const made = [["", all], ...names.map((name) => [name, name])];
  select.replaceChildren(...made.map(([value, words]) => el("option", { value, selected: value === chosen }, words)));
}

function hours(day) {
  const head = ["Hour", "Heard", ...day.labels];
  const rows = day.hours.filter((hour) => hour.heard || hour.lost || Object.keys(hour.events).length);
  const dot = (index) => {
    const made = el("span", { class: "dot" });
    made.style.setProperty("--class", colour(index));
    return made;
  };
  return el("div", { class: "wide", role: "region", tabindex: "0", "aria-label": "Counts by hour" }, el("table", {}, [
    el("thead", {}, el("tr", {}, head.map((name, i) => el("th", { scope: "col" }, i < 2 ? name : [dot(i - 2), ` ${name}`])))),
    el("tbody", {}, rows.map((hour) => el("tr", {}, [
      el("th", { scope: "row" }, `${hour.name} h`), el("td", {}, hour.listened),
      ...day.labels.map((label) => el("td", {}, String(hour.events[label] ?? "–"))),
    ]))),
  ]));
}

function noHistory() {
  return empty("This station keeps no history", [
    "With one, each day can be looked at here: when every class was heard, how loud it was, how often in each hour.",
    command("stream-classify serve --settings station.toml --history heard.db"),
  ]);
}
