// A source as this page has seen it: columns that go on over lost connections and restarts of the server.

import { Columns } from "./columns.js";

const KEPT_EVENTS = 256;

export class Source {
  constructor() {
    this.about = null;
    this.moment = null;
    this.columns = null;
    this.events = new Map(); // key -> event, the newest first when listed
    this.shift = 0; // from the server's column numbers to ours
    this.lost = null; // since when (ms) nothing comes, and of which column on
  }

  /** The server says what the source is. It begins to count anew where `epoch` changed. */
  begin(about) {
    const before = this.about;
    this.about = about;
    const same = before && before.labels.join("\n") === about.labels.join("\n")
      && before.column_seconds === about.column_seconds && before.centres.length === about.centres.length;
    if (!same) {
      this.columns = new Columns(about.labels.length, about.centres.length, about.column_seconds);
      this.events.clear();
      this.shift = 0;
    } else if (before.epoch !== about.epoch) {
      this.shift = null; // the next moment says where its columns lie
      for (const event of this.columns.events.values()) event.offset ??= this.columns.newest + 1;
    }
    return same;
  }

  /** Nothing comes any more. */
  loseConnection() {
    if (this.columns && !this.lost && this.columns.newest >= 0) {
      this.lost = { at: performance.now(), column: this.columns.newest + 1 };
    }
  }

  /** How things stand, and the columns since the last time. */
  add(moment) {
    const { columns } = this;
    this.moment = moment;
    this.#place(moment);
    if (moment.newest + this.shift > columns.newest) columns.advance(moment.newest + this.shift);
    columns.oldest = Math.min(columns.oldest, Math.max(0, moment.first + this.shift));
    const bytes = Uint8Array.from(atob(moment.spectrum), (char) => char.charCodeAt(0));
    moment.probs.forEach((probs, i) => {
      const column = moment.first + i + this.shift;
      if (probs) columns.setProbs(column, probs);
      columns.setSpectrum(column, bytes.subarray(i * columns.bands, (i + 1) * columns.bands));
    });
    columns.gaps = this.#kept(columns.gaps, moment.gaps);
    columns.cold = this.#kept(columns.cold, moment.cold);
    moment.events.forEach((event) => this.#addEvent(event));
  }

  /** Newest first. */
  list() {
    return [...this.events.values()].sort((a, b) => b.column - a.column || b.id - a.id);
  }

  /** Seconds of what is shown that this page did not see. */
  unseen() {
    const { columns } = this;
    const first = columns.newest - columns.shown() + 1;
    const parts = columns.absent.map(([begin, end]) => Math.max(0, end - Math.max(begin, first)));
    return parts.reduce((sum, part) => sum + part, 0) * columns.seconds;
  }

  /** Where the moment's columns lie among ours; what this page did not see is noted. */
  #place(moment) {
    const { columns, lost } = this;
    const next = columns.newest + 1;
    if (this.shift === null) {
      const passed = lost ? Math.round((performance.now() - lost.at) / 1000 / columns.seconds) : 0;
      this.shift = Math.max(next, next + passed) - moment.newest; // by the clock, until now
      // Its columns before ours have been seen: they are not written over.
      this.shift = Math.max(this.shift, next - moment.first);
    }
    const begins = moment.first + this.shift;
    if (lost && begins > lost.column) columns.absent.push([lost.column, begins]);
    this.lost = null;
  }

  #kept(before, runs) {
    const shifted = runs.map(([first, end]) => [first + this.shift, end + this.shift]);
    const oldest = this.columns.newest - this.columns.kept;
    const epochStart = this.shift; // the server's column 0
    const earlier = before.filter(([, end]) => end > oldest && end <= epochStart);
    return [...earlier, ...shifted];
  }

  #addEvent(event) {
    const key = `${this.about.epoch} ${event.id}`;
    const onset = event.onset + this.shift;
    const offset = event.offset === null ? null : event.offset + this.shift;
    this.columns.setEvent(key, { index: event.index, label: event.label, onset, offset });
    this.events.set(key, { ...event, key, column: onset });
    while (this.events.size > KEPT_EVENTS) this.events.delete(this.events.keys().next().value);
  }
}
