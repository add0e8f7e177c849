// The browser's microphone, heard by the station over one WebSocket.

import { el, say, show } from "../drawing/dom.js";
import { TrialPanel } from "../drawing/trial_panel.js";
import { Microphone, refusal, whyNot } from "../sound/microphone.js";
import { openStream } from "../sound/sending.js";
import { Trial } from "../state/trial.js";
import { clock } from "../state/words.js";

export class MicrophonePart {
  /**
   * @param {(panel: object) => void} display shows what is heard.
   * @param {(part: object) => void} begin called when this part begins, so that others stop.
   * @param {(state: object | null) => void} connection told how the connection is.
   */
  constructor(display, begin, connection) {
    Object.assign(this, { display, begin, connection });
    this.startButton = el("button", { type: "button", class: "main", click: () => this.#start() }, "Listen");
    this.stopButton = el("button", { type: "button", hidden: true, click: () => this.stop() }, "Stop");
    this.said = el("p", { class: "said", role: "status" });
    this.heard = el("p", { class: "said" }); // changes all the time, so it is not read aloud
    this.element = el("section", { class: "panel" }, [
      el("h2", {}, "This browser's microphone"),
      el("p", {}, "Its sound goes to the station for as long as you listen."),
      el("div", { class: "actions" }, [this.startButton, this.stopButton]),
      this.heard, this.said,
    ]);
    const reason = whyNot();
    if (reason) {
      this.startButton.disabled = true;
      say(this.said, reason);
    }
  }

  async #start() {
    this.stop();
    this.begin(this);
    const run = (this.run = { ended: false, sent: 0 });
    show(this.startButton, false);
    show(this.stopButton, true);
    this.said.classList.remove("problem");
    say(this.said, "Opening the microphone…");
    try {
      run.microphone = await Microphone.open((samples) => {
        run.sent += samples.length;
        run.stream?.send(samples);
      }, () => this.#end(run, "the microphone is gone"));
      if (run.ended) return void run.microphone.close();
      run.stream = openStream(run.microphone.rate, this.#heard(run));
    } catch (error) {
      this.#end(run, run.microphone ? error.message : refusal(error), true);
    }
  }

  /** What to do with what the station says. */
  #heard(run) {
    let trial;
    let panel;
    return {
      ready: (ready) => {
        if (!trial) {
          trial = new Trial(ready.labels, ready.sample_rate, ready.rules);
          panel = new TrialPanel(trial, "The last half minute");
          this.display(panel);
        } else if (!ready.resumed) {
          trial.beginAnew(ready.position / run.microphone.rate);
        }
        this.connection({ connected: true });
      },
      scores: ({ sample, probs }) => {
        sample.forEach((each, i) => trial.addRow(each, probs[i]));
        panel.show();
        const lost = trial.lost ? `, ${clock(trial.lost, 1)} lost` : "";
        say(this.said, "");
        say(this.heard, `${run.microphone.name}, ${run.microphone.rate} Hz: ${clock(trial.seconds)} heard${lost}`);
      },
      event: ({ record }) => {
        trial.addEvent(record);
        panel.show();
      },
      gap: ({ record }) => {
        trial.addGap(record);
        panel.show();
      },
      lost: () => {
        this.connection({ connected: false });
        say(this.said, "The connection was lost; trying again…");
      },
      end: () => this.#end(run, `Heard ${clock(trial?.seconds ?? 0)}.`),
      again: () => {
        this.#end(run, "");
        this.#start();
      },
      failed: (message) => this.#end(run, message, true),
    };
  }

  #end(run, words, bad = false) {
    if (run.ended) return;
    run.ended = true;
    run.microphone?.close();
    run.stream?.close();
    this.connection(null);
    show(this.startButton, true);
    show(this.stopButton, false);
    this.said.classList.toggle("problem", bad);
    say(this.heard, "");
    say(this.said, words);
  }

  /** Let the microphone go; what the station still has to say is shown. */
  stop() {
    const { run } = this;
    this.run = null;
    if (!run || run.ended) return;
    if (!run.stream) return this.#end(run, "Stopped.");
    run.microphone.close();
    show(this.stopButton, false);
    say(this.said, "Waiting for the last answer…");
    run.stream.flush();
  }
}
