// The last minute of a source in columns of equal stream time, numbered without end; old columns are written over.

const KEPT = 640; // columns
const NO_SPECTRUM = 255;

export class Columns {
  /**
   * @param {number} classes how many probabilities a column has.
   * @param {number} bands how many bytes of spectrum a column has; 0 = none.
   * @param {number} seconds what a column covers.
   * @param {number} whole how many columns all of a recording takes; 0 = a stream without end.
   */
  constructor(classes, bands, seconds, whole = 0) {
    Object.assign(this, { classes, bands, seconds, whole });
    this.kept = KEPT;
    this.newest = -1;
    this.oldest = Infinity; // the first one that ever had anything in it
    this.probs = new Float32Array(KEPT * classes).fill(NaN);
    this.spectrum = new Uint8Array(KEPT * bands).fill(NO_SPECTRUM);
    this.gaps = []; // [first, behind the last) of lost sound
    this.cold = []; // the same of a model that is not warm yet
    this.absent = []; // the same of what this page never saw
    this.events = new Map(); // id -> { index, label, onset, offset }, in columns; offset null = still on
  }

  /** Make `column` the newest; what lies between is empty. */
  advance(column) {
    this.oldest = Math.min(this.oldest, column);
    for (let n = Math.max(this.newest + 1, column - KEPT + 1); n <= column; n++) {
      const at = n % KEPT;
      this.probs.fill(NaN, at * this.classes, (at + 1) * this.classes);
      this.spectrum.fill(NO_SPECTRUM, at * this.bands, (at + 1) * this.bands);
    }
    this.newest = Math.max(this.newest, column);
    const first = this.newest - KEPT + 1;
    this.absent = this.absent.filter(([, end]) => end > first);
    for (const [id, event] of this.events) {
      if (event.offset !== null && event.offset < first) this.events.delete(id);
    }
  }

  /** Write the probabilities of a column that is kept. */
  setProbs(column, probs) {
    if (column <= this.newest - KEPT || column > this.newest) return;
    const at = (column % KEPT) * this.classes;
    for (let i = 0; i < this.classes; i++) this.probs[at + i] = probs[i] ?? NaN;
  }

  /** Raise those of a column: several rows of scores may fall into one. */
  raiseProbs(column, probs) {
    if (column > this.newest) this.advance(column);
    if (column <= this.newest - KEPT) return;
    const at = (column % KEPT) * this.classes;
    for (let i = 0; i < this.classes; i++) {
      const before = this.probs[at + i];
      this.probs[at + i] = before >= probs[i] ? before : probs[i];
    }
  }

  /** Write the spectrum of a column, half decibels from -120 on; 255 = nothing. */
  setSpectrum(column, bytes) {
    if (column <= this.newest - KEPT || column > this.newest) return;
    this.spectrum.set(bytes, (column % KEPT) * this.bands);
  }

  /** NaN where there is none. */
  prob(column, index) {
    if (column < 0 || column <= this.newest - KEPT || column > this.newest) return NaN;
    return this.probs[(column % KEPT) * this.classes + index];
  }

  /** The bytes of a column, or null. */
  bandsOf(column) {
    if (!this.bands || column < 0 || column <= this.newest - KEPT || column > this.newest) return null;
    const at = (column % KEPT) * this.bands;
    return this.spectrum.subarray(at, at + this.bands);
  }

  /** Note an event, or how it goes on. */
  setEvent(id, event) {
    this.events.set(id, event);
  }

  /** Where events of a class are on, `[first, behind the last]` in fractions of columns. */
  active(index) {
    const runs = [];
    for (const event of this.events.values()) {
      if (event.index === index) runs.push([event.onset, event.offset ?? this.newest + 1]);
    }
    return runs;
  }

  /** How many columns a picture shows: 10, 20 or 30 seconds, or all of a recording. */
  shown() {
    if (this.whole) return this.whole;
    const passed = (this.newest - this.oldest + 1) * this.seconds;
    const seconds = [10, 20, 30].find((each) => passed <= each) ?? 30;
    return Math.round(seconds / this.seconds);
  }
}
