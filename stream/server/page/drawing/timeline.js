// Timelines: the probability of each class, full where an event is on and faint elsewhere.

import { FONT, Picture, ink } from "./canvas.js";
import { colour, faint } from "../state/look.js";
import { clock, span } from "../state/words.js";

const AXIS = 20; // px
const AIR = 5;
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600]; // s
export const MOST_LANES = 8;
const LABEL = 17; // px from the top of a lane that its name takes

/**
 * The timelines of a source.
 * @param {() => {columns: import("../state/columns.js").Columns, labels: string[], thresholds: (number|null)[]}} read
 */
export function timeline(read) {
  return new Picture("Timelines of the classes; the table of events says the same", "timeline", (context, width, height) => {
    const { columns, labels, thresholds } = read();
    const axis = new Axis(columns, width);
    const shown = choose(columns, axis, labels.length);
    const lane = (height - AXIS) / Math.max(1, shown.length);
    context.font = FONT;
    shown.forEach((index, row) => {
      const box = { top: row * lane + AIR, bottom: (row + 1) * lane };
      drawLane(context, axis, columns, index, labels[index], thresholds[index], box, width);
    });
    drawMissing(context, axis, columns, 0, height - AXIS);
    drawAxis(context, axis, width, height);
  });
}

/** Numbers of the classes that have a lane, in order: where there are many, those that were likeliest in the picture. */
function choose(columns, axis, count) {
  const all = Array.from({ length: count }, (_, index) => index);
  if (count <= MOST_LANES) return all;
  const highest = all.map((index) => {
    let most = 0;
    for (let n = axis.first; n < axis.end; n++) most = Math.max(most, columns.prob(n, index) || 0);
    return most;
  });
  return all.sort((a, b) => highest[b] - highest[a]).slice(0, MOST_LANES).sort((a, b) => a - b);
}

/** Which columns of stream time lie where. */
export class Axis {
  constructor(columns, width) {
    this.count = columns.shown();
    this.whole = columns.whole > 0;
    this.first = this.whole ? 0 : Math.max(columns.newest, 0) - this.count + 1;
    this.scale = width / this.count;
    this.seconds = columns.seconds;
    this.end = this.first + this.count;
    this.width = width;
  }

  x(column) {
    return Math.min(this.width, Math.max(0, (column - this.first) * this.scale));
  }
}

function drawLane(context, axis, columns, index, label, threshold, box, width) {
  const enabled = threshold !== null;
  const high = box.bottom - box.top - LABEL;
  context.fillStyle = ink("track");
  context.fillRect(0, box.bottom - 1, width, 1);
  const path = new Path2D();
  for (let n = axis.first; n < axis.end; n++) {
    const prob = columns.prob(n, index);
    if (Number.isNaN(prob)) continue;
    const tall = Math.max(1, prob * high);
    path.rect(axis.x(n), box.bottom - tall, axis.scale + 0.4, tall);
  }
  context.fillStyle = faint(index, enabled);
  context.fill(path);
  context.save();
  const on = new Path2D();
  for (const [onset, offset] of columns.active(index)) {
    on.rect(axis.x(onset), box.top, Math.max(1.5, axis.x(offset) - axis.x(onset)), box.bottom - box.top);
  }
  context.clip(on);
  context.fillStyle = colour(index, enabled);
  context.fill(path);
  context.restore();
  drawCold(context, axis, columns, box);
  if (enabled) {
    context.strokeStyle = ink("quiet");
    context.setLineDash([3, 4]);
    context.lineWidth = 1;
    const y = Math.round(box.bottom - threshold * high) - 0.5;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    context.setLineDash([]);
  }
  context.fillStyle = colour(index, enabled);
  context.fillRect(0, box.top + 2, 8, 8);
  context.fillStyle = ink("ink");
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText(label, 13, box.top);
}

function drawCold(context, axis, columns, box) {
  context.fillStyle = ink("quiet");
  for (const [first, end] of columns.cold) {
    for (let n = Math.max(first, axis.first); n < Math.min(end, axis.end); n += 2) {
      context.fillRect(axis.x(n), box.bottom - 4, 1.5, 1.5);
    }
  }
}

/** Slashes over lost sound, and words over what this page did not see. */
export function drawMissing(context, axis, columns, top, bottom) {
  for (const run of columns.gaps) hatch(context, axis, run, top, bottom, ink("lost"), "");
  for (const run of columns.absent) {
    const words = `not connected for ${span((run[1] - run[0]) * axis.seconds)}`;
    hatch(context, axis, run, top, bottom, ink("quiet"), words);
  }
}

function hatch(context, axis, [first, end], top, bottom, stroke, words) {
  if (end <= axis.first || first >= axis.end) return;
  const [left, right] = [axis.x(first), Math.max(axis.x(first) + 2, axis.x(end))];
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.globalAlpha = 0.55;
  context.strokeStyle = stroke;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - (bottom - top) - (left % 8); x < right; x += 8) {
    context.moveTo(x, bottom);
    context.lineTo(x + (bottom - top), top);
  }
  context.stroke();
  context.restore();
  if (words && context.measureText(words).width + 12 < right - left) {
    const wide = context.measureText(words).width + 12;
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    context.fillStyle = ink("panel");
    context.fillRect(x - wide / 2, y - 11, wide, 22);
    context.fillStyle = ink("ink");
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(words, x, y);
  }
}

/** Along the bottom: seconds before now, or the time in a recording. */
export function drawAxis(context, axis, width, height) {
  const shown = axis.count * axis.seconds;
  if (axis.whole) {
    drawTimes(context, axis, shown, width, height);
    return;
  }
  const every = width < 420 || shown >= 25 ? 10 : 5;
  context.font = FONT;
  context.fillStyle = ink("quiet");
  context.textBaseline = "bottom";
  context.textAlign = "right";
  context.fillText("now", width, height);
  context.textAlign = "center";
  for (let age = every; age < shown; age += every) {
    context.fillText(`−${age} s`, width - (age / axis.seconds) * axis.scale, height);
  }
}

function drawTimes(context, axis, shown, width, height) {
  const every = STEPS.find((step) => shown / step <= width / 90) ?? 3600;
  context.font = FONT;
  context.fillStyle = ink("quiet");
  context.textBaseline = "bottom";
  for (let at = 0; at < shown - every / 2; at += every) {
    context.textAlign = at ? "center" : "left";
    context.fillText(clock(at), (at / axis.seconds) * axis.scale, height);
  }
}
