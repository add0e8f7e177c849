// A day drawn over one axis of time: when each class was there, how loud it was, how many events each hour had.

import { svg } from "./dom.js";
import { colour } from "../state/look.js";

const [WIDTH, LEFT, RIGHT] = [1000, 116, 12];
const [ROW, ROW_GAP, AXIS, SPACE, LEVEL, BARS] = [22, 6, 26, 36, 84, 96];
const LEVELS = [0, -20, -40, -60, -80];
const LEAST = 1.6; // of an event, so that a short one can be seen

/** @param {object} day as `day_data.py` makes it. */
export function dayPicture(day) {
  const x = (seconds) => LEFT + (Math.min(Math.max(seconds, 0), day.seconds) / day.seconds) * (WIDTH - LEFT - RIGHT);
  const levelTop = AXIS + day.labels.length * (ROW + ROW_GAP) + SPACE;
  const barsTop = levelTop + LEVEL + SPACE;
  const height = barsTop + BARS + AXIS;
  const counts = day.labels.map((label) => `${label} ${day.counts[label] ?? 0}`).join(", ");
  return svg("svg", {
    class: "day-picture", viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
    "aria-label": `Timeline of ${day.name}. Events: ${counts || "none"}. The tables below say the same.`,
  }, [
    ...axis(day, x, height),
    ...day.labels.map((_, row) => rectangle(LEFT, top(row), WIDTH - LEFT - RIGHT, ROW, "lane")),
    ...bands(day, x, AXIS, levelTop + LEVEL),
    ...lanes(day, x),
    ...level(day, x, levelTop),
    ...bars(day, x, barsTop),
    ...day.marks.map(({ at, words }) => line(x(at), AXIS - 4, x(at), barsTop + BARS, "stroke", words)),
  ]);
}

const top = (row) => AXIS + row * (ROW + ROW_GAP);

function axis(day, x, height) {
  const made = [];
  day.hours.forEach((hour, number) => {
    made.push(line(x(hour.start), AXIS - 4, x(hour.start), height - AXIS, number % 3 ? "grid" : "grid strong"));
    const name = hour.name.includes(":") ? hour.name : `${hour.name}:00`;
    if (number % 3 === 0) made.push(words(x(hour.start), AXIS - 10, name, "axis", number ? "middle" : "start"));
  });
  made.push(line(WIDTH - RIGHT, AXIS - 4, WIDTH - RIGHT, height - AXIS, "grid strong"));
  made.push(words(WIDTH - RIGHT, AXIS - 10, "24:00", "axis", "end"));
  return made;
}

function bands(day, x, from, to) {
  return day.bands.map(({ start, end, lost, words: tip }) =>
    rectangle(x(start), from, x(end) - x(start), to - from, lost ? "missing" : "absent", tip));
}

function lanes(day, x) {
  const made = day.labels.map((label, row) =>
    words(LEFT - 10, top(row) + ROW / 2 + 4.5, label.length > 15 ? `${label.slice(0, 14)}…` : label, "label", "end"));
  for (const event of day.events) {
    if (event.index < 0) continue;
    const wide = Math.max(LEAST, x(event.onset + event.seconds) - x(event.onset));
    const tip = `${event.label} at ${event.when} for ${event.length}, peak ${event.peak.toFixed(2)}`;
    made.push(classed(rectangle(x(event.onset), top(event.index) + 2, wide, ROW - 4, "class", tip), event.index));
  }
  return made;
}

function level(day, x, from) {
  const y = (value) => from + (LEVEL * -Math.min(Math.max(value, -80), 0)) / 80;
  const made = [words(LEFT - 10, from - 15, "level, dBFS", "label", "end")];
  for (const value of LEVELS) {
    made.push(line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid"));
    made.push(words(LEFT - 10, y(value) + 4, String(value), "axis", "end"));
  }
  const { step, mean, loudest } = day.level;
  for (const [begin, end] of stretches(mean)) {
    const edges = (values) => values.slice(begin, end).flatMap((value, i) =>
      [0, 1].map((side) => `${x((begin + i + side) * step).toFixed(1)},${y(value).toFixed(1)}`));
    const floor = [end, begin].map((i) => `${x(i * step).toFixed(1)},${from + LEVEL}`);
    for (const [values, look] of [[loudest, "loudest"], [mean, "mean"]]) {
      made.push(svg("polygon", { points: [...edges(values), ...floor].join(" "), class: look }));
    }
  }
  return made;
}

/** Where there are values without a break: first place, and one past the last. */
function stretches(values) {
  const found = [];
  values.forEach((value, i) => {
    if (value === null) return;
    if (found.length && found.at(-1)[1] === i) found.at(-1)[1] = i + 1;
    else found.push([i, i + 1]);
  });
  return found;
}

function bars(day, x, from) {
  const bottom = from + BARS;
  const totals = day.hours.map((hour) => Object.values(hour.events).reduce((sum, count) => sum + count, 0));
  const most = Math.max(1, ...totals);
  const made = [
    words(LEFT - 10, from - 9, "events an hour", "label", "end"),
    words(LEFT - 10, from + 8, String(most), "axis", "end"),
    words(LEFT - 10, bottom, "0", "axis", "end"),
    line(LEFT, bottom, WIDTH - RIGHT, bottom, "grid strong"),
  ];
  day.hours.forEach((hour, number) => {
    const [left, wide] = [x(hour.start) + 3, x(hour.end) - x(hour.start) - 6];
    let y = bottom;
    day.labels.forEach((label, index) => {
      const count = hour.events[label] ?? 0;
      if (!count) return;
      const high = (BARS * count) / most;
      y -= high;
      made.push(classed(rectangle(left, y, wide, high, "class", `${count} × ${label}, ${hour.name} h`), index));
    });
    if (totals[number]) made.push(words(left + wide / 2, bottom + 15, String(totals[number]), "axis", "middle"));
  });
  return made;
}

function rectangle(x, y, width, height, look, tip = "") {
  return svg("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), class: look }, title(tip));
}

function line(x1, y1, x2, y2, look, tip = "") {
  return svg("line", { x1, y1, x2, y2, class: look }, title(tip));
}

function words(x, y, text, look, anchor) {
  return svg("text", { x, y, class: look, "text-anchor": anchor }, text);
}

/** Hold back all classes but one; -1 shows them all. */
export function choose(picture, index) {
  for (const shape of picture.querySelectorAll("[data-index]")) {
    shape.classList.toggle("held", index >= 0 && Number(shape.dataset.index) !== index);
  }
}

const title = (tip) => (tip ? [svg("title", {}, tip)] : []);

function classed(shape, index) {
  shape.style.setProperty("--class", colour(index));
  shape.dataset.index = index;
  return shape;
}
