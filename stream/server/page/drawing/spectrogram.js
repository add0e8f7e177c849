// Spectrogram: the spectrum of the last half minute, low bands at the bottom, with the terminal's range and colours.

import { FONT, Picture, ink } from "./canvas.js";
import { Axis, drawAxis, drawMissing } from "./timeline.js";
import { look, spectrum } from "../state/look.js";

const AXIS = 20; // px
const NOTHING = 255;

/** @param {() => {columns: import("../state/columns.js").Columns, centres: number[]}} read centres: of the bands, Hz. */
export function spectrogram(read) {
  const small = document.createElement("canvas"); // a pixel a column and band; the browser makes it large
  return new Picture("Spectrogram of what is heard", "spectrogram", (context, width, height) => {
    const { columns, centres } = read();
    const axis = new Axis(columns, width);
    paint(small, columns, axis);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, width, height - AXIS);
    drawMissing(context, axis, columns, 0, height - AXIS);
    drawScale(context, centres, height - AXIS);
    drawAxis(context, axis, width, height);
  });
}

function paint(canvas, columns, axis) {
  canvas.width = axis.count;
  canvas.height = columns.bands;
  const context = canvas.getContext("2d");
  const image = context.createImageData(axis.count, columns.bands);
  const colours = spectrum();
  const top = topDecibels(columns, axis);
  for (let x = 0; x < axis.count; x++) {
    const bytes = columns.bandsOf(axis.first + x);
    if (!bytes) continue;
    for (let band = 0; band < columns.bands; band++) {
      if (bytes[band] === NOTHING) continue;
      const share = (decibels(bytes[band]) - (top - look.range_db)) / look.range_db;
      const level = Math.min(colours.length - 1, Math.max(0, Math.floor(share * colours.length)));
      const at = ((columns.bands - 1 - band) * axis.count + x) * 4;
      [image.data[at], image.data[at + 1], image.data[at + 2]] = colours[level];
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

const decibels = (byte) => byte / 2 - 120;

/** Of the range: what only one value in two hundred exceeds, in steps of 5 dB; a silent room stays dark. */
function topDecibels(columns, axis) {
  const counts = new Uint32Array(256);
  let total = 0;
  for (let n = axis.first; n < axis.end; n++) {
    for (const byte of columns.bandsOf(n) ?? []) {
      if (byte === NOTHING) continue;
      counts[byte] += 1;
      total += 1;
    }
  }
  let [byte, above] = [254, 0];
  while (byte > 0 && above + counts[byte] <= total * 0.005) above += counts[byte--];
  return Math.max(look.lowest_top_db, 5 * Math.ceil(decibels(byte) / 5));
}

function drawScale(context, centres, height) {
  const taken = [];
  context.font = FONT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const hertz of look.scale_hertz) {
    if (!centres.length || hertz < centres[0] || hertz > centres.at(-1)) continue;
    const y = (1 - bandOf(centres, hertz) / Math.max(1, centres.length - 1)) * height;
    if (taken.some((each) => Math.abs(each - y) < 24) || y < 9 || y > height - 9) continue;
    taken.push(y);
    const words = hertz >= 1000 ? `${hertz / 1000} kHz` : `${hertz} Hz`;
    context.fillStyle = ink("veil");
    context.fillRect(4, y - 9, context.measureText(words).width + 8, 18);
    context.fillStyle = ink("ink");
    context.fillText(words, 8, y + 0.5);
  }
}

function bandOf(centres, hertz) {
  const above = centres.findIndex((each) => each >= hertz);
  if (above <= 0) return 0;
  return above - 1 + (hertz - centres[above - 1]) / (centres[above] - centres[above - 1]);
}
