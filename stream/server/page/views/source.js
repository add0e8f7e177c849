// One source, large: bars with thresholds, level, timelines, spectrogram, figures, events with their clips.

import { send } from "../connection/api.js";
import { Live } from "../connection/live.js";
import { showConnection } from "../connection/shown.js";
import { Bars } from "../drawing/bars.js";
import { el, empty, problem, put, say } from "../drawing/dom.js";
import { EventTable } from "../drawing/event_table.js";
import { Meter } from "../drawing/meter.js";
import { spectrogram } from "../drawing/spectrogram.js";
import { MOST_LANES, timeline } from "../drawing/timeline.js";
import { Source } from "../state/source.js";
import { span } from "../state/words.js";

/** @returns {() => void} ends the view. */
export function source(main, name) {
  const view = new SourceView(main, name);
  return () => view.close();
}

class SourceView {
  constructor(main, name) {
    this.name = name;
    this.path = encodeURIComponent(name);
    this.source = new Source();
    this.closers = [];
    this.state = el("p", { class: "state" });
    this.detail = el("p", { class: "detail", hidden: true });
    this.facts = el("p", { class: "quiet" });
    this.said = el("p", { class: "said", role: "status" });
    this.body = el("div", {}, el("p", { class: "quiet" }, "Waiting for the first sound…"));
    this.element = el("div", { class: "source" }, [
      el("div", { class: "title" }, [el("h1", { tabindex: "-1" }, name), this.state]),
      this.facts, this.detail, this.body,
    ]);
    main.append(this.element);
    this.live = new Live(`page/sources/${this.path}/live`, (kind, value) => this.#arrived(kind, value), (state) => this.#connection(state));
  }

  #connection(state) {
    showConnection(state);
    this.element.classList.toggle("lost", !state.connected);
    if (!state.connected) this.source.loseConnection();
    if (!state.final) return;
    const gone = state.code === "unknown_source";
    this.body.replaceChildren(gone
      ? empty("No source of this name", [el("p", {}, ["See ", el("a", { href: "#/" }, "all sources"), "."])])
      : problem(state.problem));
  }

  #arrived(kind, value) {
    if (kind === "source") {
      if (!this.source.begin(value)) this.#build(value);
      say(this.facts, [value.input, ...value.facts, `model ${value.model}, ${value.provider}`].join(" · "));
    } else if (kind === "moment") {
      this.source.add(value);
      this.#show(value);
    } else if (kind === "waiting") {
      this.#showState(value.state);
    }
  }

  #build({ labels, rules }) {
    this.#forgetParts();
    const read = () => ({
      columns: this.source.columns, labels: this.source.about.labels,
      centres: this.source.about.centres, thresholds: this.source.moment?.thresholds ?? [],
    });
    const move = rules ? (label, threshold) => this.#move(label, threshold) : undefined;
    this.bars = new Bars(labels, move);
    this.meter = new Meter();
    this.lines = timeline(read);
    this.lines.element.style.setProperty("--lanes", Math.min(MOST_LANES, labels.length));
    this.spectrogram = spectrogram(read);
    this.figures = el("dl", { class: "figures" });
    this.absent = el("p", { class: "absent quiet", hidden: true });
    this.table = new EventTable();
    this.closers = [this.bars, this.lines, this.spectrogram, this.table];
    const hint = rules ? "Drag the mark on a bar to move the threshold of its class, or use the arrow keys on it." : "";
    this.body.replaceChildren(el("div", { class: "desk" }, [
      el("section", { class: "panel now" }, [
        el("h2", {}, "Now"), this.bars.element, el("p", { class: "quiet hint", hidden: !hint }, hint), this.said,
        el("h3", {}, "Level"), this.meter.element,
      ]),
      el("section", { class: "panel pictures" }, [
        el("h2", {}, "The last half minute"), this.lines.element, this.spectrogram.element, this.absent,
      ]),
      el("section", { class: "panel events" }, [el("h2", {}, "Events"), this.table.element]),
      el("section", { class: "panel" }, [el("h2", {}, "How it goes"), this.figures]),
    ]));
  }

  #show(moment) {
    this.#showState(moment.state);
    this.bars.show(moment, moment.stale);
    this.meter.show(moment.level, moment.stale);
    this.table.show(this.source.list());
    this.#showFigures(moment);
    const unseen = this.source.unseen();
    say(this.absent, unseen ? `This page was not connected for ${span(unseen)} of it.` : "");
    this.absent.hidden = !unseen;
    this.lines.ask();
    this.spectrogram.ask();
  }

  #showState({ mark, words, meaning, detail }) {
    put(this.element, "data-meaning", meaning);
    say(this.state, `${mark} ${words}`);
    say(this.detail, detail);
    this.detail.hidden = !detail;
  }

  #showFigures({ figures, position }) {
    const rows = [{ name: "heard", value: position, bad: false }, ...figures];
    if (this.figures.childElementCount !== rows.length) {
      this.figures.replaceChildren(...rows.map(() => el("div", {}, [el("dt"), el("dd")])));
    }
    rows.forEach(({ name, value, bad }, i) => {
      const [term, text] = this.figures.children[i].children;
      say(term, name || "so far");
      say(text, value);
      text.classList.toggle("bad", bad);
    });
  }

  async #move(label, threshold) {
    try {
      await send("PATCH", `v1/sources/${this.path}`, { thresholds: { [label]: threshold } });
      say(this.said, `${label}: threshold ${threshold.toFixed(2)}`);
    } catch (error) {
      say(this.said, `${label}: the threshold was not moved: ${error.message}`);
    }
  }

  #forgetParts() {
    this.closers.forEach((part) => part.close());
    this.closers = [];
  }

  close() {
    this.live.stop();
    this.#forgetParts();
  }
}
