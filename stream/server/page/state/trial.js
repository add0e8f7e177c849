// What the server says of a sound that this browser sent: scores and events, as records come.

import { Columns } from "./columns.js";
import { clock, span } from "./words.js";

const COLUMN_SECONDS = 0.1;
const WHOLE_COLUMNS = 600; // of a recording, whatever its length

export class Trial {
  /** @param {string[]} labels of the classes. @param {number} rate of sample indices, Hz. @param {object} rules of the detector. */
  constructor(labels, rate, rules, seconds = 0) {
    Object.assign(this, { labels, rate });
    this.thresholds = labels.map((label) => thresholdOf(rules, label));
    const column = seconds ? Math.max(COLUMN_SECONDS, seconds / WHOLE_COLUMNS) : COLUMN_SECONDS;
    this.columns = new Columns(labels.length, 0, column, seconds ? Math.ceil(seconds / column) : 0);
    this.columns.advance(0);
    this.now = labels.map(() => null);
    this.events = new Map();
    this.seconds = 0; // how far scores have come
    this.rows = 0;
    this.stream = 0; // ids of events count anew in each
    this.lost = 0;
  }

  /** The station has forgotten the stream, and another one begins at this second of the sound. */
  beginAnew(seconds) {
    const { columns } = this;
    const begins = Math.floor(seconds / columns.seconds);
    if (begins > columns.newest + 1) columns.absent.push([columns.newest + 1, begins]);
    for (const event of columns.events.values()) event.offset ??= columns.newest + 1;
    for (const [key, event] of this.events) if (event.offset === null) this.events.set(key, { ...event, offset: columns.newest, cut: true });
    this.stream += 1;
  }

  /** One row of scores. */
  addRow(sample, probs) {
    this.columns.raiseProbs(Math.floor(sample / this.rate / this.columns.seconds), probs);
    this.now = probs;
    this.seconds = Math.max(this.seconds, sample / this.rate);
    this.rows += 1;
  }

  /** A record of an onset or of a whole event, as in JSON lines. */
  addEvent(record) {
    const scale = 1 / this.rate / this.columns.seconds;
    const index = this.labels.indexOf(record.label);
    const offset = record.offset_sample === undefined ? null : record.offset_sample * scale;
    const event = { index, label: record.label, onset: record.onset_sample * scale, offset };
    const key = `${this.stream} ${record.id}`;
    this.columns.setEvent(key, event);
    this.events.set(key, {
      ...event, id: record.id, key, when: clock(record.onset, 1), begin: record.onset,
      length: record.duration === undefined ? "" : span(record.duration), peak: record.peak, cut: record.cut,
    });
  }

  /** A record of lost sound. */
  addGap(record) {
    const scale = 1 / this.rate / this.columns.seconds;
    if (!record.open) this.columns.gaps.push([record.start_sample * scale, (record.start_sample + record.samples) * scale]);
    this.lost += record.open ? 0 : record.duration;
  }

  /** Events, newest first; those that are on have lasted until now. */
  list() {
    return [...this.events.values()].reverse().map((event) =>
      event.length ? event : { ...event, length: span(Math.max(0, this.seconds - event.begin)) });
  }

  /** What bars show. */
  bars() {
    const on = this.labels.map(() => false);
    for (const event of this.events.values()) if (event.offset === null && event.index >= 0) on[event.index] = true;
    return { now: this.now, thresholds: this.thresholds, on };
  }
}

function thresholdOf(rules, label) {
  const rule = { ...rules.default, ...rules.classes?.[label] };
  return rule.enabled === false ? null : rule.threshold ?? 0.5;
}
