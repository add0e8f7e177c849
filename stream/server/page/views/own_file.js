// A recording, sent whole; the answer is read while it comes.

import { json, lines, request } from "../connection/api.js";
import { el, say, show } from "../drawing/dom.js";
import { TrialPanel } from "../drawing/trial_panel.js";
import { Trial } from "../state/trial.js";
import { clock } from "../state/words.js";

export class FilePart {
  /**
   * @param {(panel: object) => void} display shows what is heard.
   * @param {(part: object) => void} begin called when this part begins, so that others stop.
   */
  constructor(display, begin) {
    Object.assign(this, { display, begin });
    this.input = el("input", {
      id: "file", type: "file", class: "unseen", accept: "audio/*,video/*,.flac,.wav,.ogg,.opus,.mp3,.m4a,.aiff",
      change: () => this.input.files[0] && this.#listen(this.input.files[0]),
    });
    this.progress = el("progress", { max: 1, value: 0, "aria-label": "How much of the recording has been heard" });
    this.stopButton = el("button", { type: "button", click: () => this.stop() }, "Stop");
    this.busy = el("div", { hidden: true }, [this.progress, el("div", { class: "actions" }, this.stopButton)]);
    this.said = el("p", { class: "said", role: "status" });
    this.heard = el("p", { class: "said" }); // changes all the time, so it is not read aloud
    this.element = el("section", { class: "panel" }, [
      el("h2", {}, "A recording"),
      this.#dropPlace(),
      this.busy, this.heard, this.said,
    ]);
  }

  #dropPlace() {
    const over = (there) => (event) => {
      event.preventDefault();
      place.classList.toggle("over", there);
    };
    const place = el("div", {
      class: "drop", dragenter: over(true), dragover: over(true), dragleave: over(false),
      drop: (event) => {
        over(false)(event);
        if (event.dataTransfer.files[0]) this.#listen(event.dataTransfer.files[0]);
      },
    }, [
      el("p", { class: "quiet" }, "Drop a recording here, or"),
      this.input, el("label", { for: "file", class: "button" }, "Choose a recording"),
    ]);
    return place;
  }

  async #listen(file) {
    this.stop();
    this.begin(this);
    const stopped = (this.stopped = new AbortController());
    say(this.said, `Sending ${file.name}…`);
    show(this.busy, true);
    this.progress.removeAttribute("value");
    try {
      const [model, seconds] = await Promise.all([json("v1/model", { signal: stopped.signal }), lengthOf(file)]);
      if (stopped.signal.aborted) return;
      const trial = new Trial(model.labels, model.sample_rate, model.detector, seconds);
      const panel = new TrialPanel(trial, file.name);
      this.display(panel);
      await this.#read(file, stopped, trial, panel, seconds);
      say(this.said, `${file.name}: ${clock(trial.seconds)} heard, ${counted(trial.events.size, "event")}`);
    } catch (error) {
      say(this.said, stopped.signal.aborted ? "Stopped." : `${file.name}: ${error.message}`);
      this.said.classList.toggle("problem", !stopped.signal.aborted);
    } finally {
      if (this.stopped === stopped) {
        show(this.busy, false);
        say(this.heard, "");
        this.input.value = "";
        this.stopped = null;
      }
    }
  }

  async #read(file, stopped, trial, panel, seconds) {
    this.said.classList.remove("problem");
    const response = await request("v1/classify?scores=true&onsets=true", {
      method: "POST", body: file, signal: stopped.signal, headers: { "Content-Type": file.type || "application/octet-stream" },
    });
    for await (const line of lines(response)) {
      if (!line) continue;
      const record = JSON.parse(line);
      if (record.error) throw new Error(record.error.message);
      if (record.type === "scores") trial.addRow(record.sample, trial.labels.map((label) => record.probs[label]));
      else if (record.type === "onset" || record.type === "event") trial.addEvent(record);
      else if (record.type === "gap") trial.addGap(record);
      panel.show();
      if (seconds) this.progress.value = Math.min(1, trial.seconds / seconds);
      say(this.said, "");
      say(this.heard, `${file.name}: ${clock(trial.seconds)}${seconds ? ` of ${clock(seconds)}` : ""} heard`);
    }
  }

  /** Send and show no more. */
  stop() {
    this.stopped?.abort();
  }
}

/** Seconds of a recording where the browser can tell, else 0. */
function lengthOf(file) {
  return new Promise((answer) => {
    const source = URL.createObjectURL(file);
    const audio = new Audio();
    const done = (seconds) => {
      URL.revokeObjectURL(source);
      answer(Number.isFinite(seconds) ? seconds : 0);
    };
    audio.addEventListener("loadedmetadata", () => done(audio.duration));
    audio.addEventListener("error", () => done(0));
    setTimeout(() => done(0), 3000); // a format that it never finishes to look at
    audio.preload = "metadata";
    audio.src = source;
  });
}

function counted(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
