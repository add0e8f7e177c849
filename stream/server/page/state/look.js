// Colours and measures, as the server gives them: the same as in the terminal.

import { json } from "../connection/api.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
dark.addEventListener("change", () => listeners.forEach((listener) => listener()));

/** What the server said; see `look.py`. Filled before the first view is made. */
export const look = {};

export async function loadLook() {
  Object.assign(look, await json("page/look.json"));
}

/** Call when the page changes between dark and light; returns a function that ends it. */
export function onGround(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const ground = () => (dark.matches ? look.dark : look.light);

/** Of class `index`; grey for one that never becomes an event. */
export function colour(index, enabled = true) {
  return pick(ground().full, index, enabled);
}

/** The same, held back: probability that is no event. */
export function faint(index, enabled = true) {
  return pick(ground().faint, index, enabled);
}

function pick(colours, index, enabled) {
  return enabled && index >= 0 ? colours[index % (colours.length - 1)] : colours.at(-1);
}

/** From silence to full, each `[red, green, blue]`. */
export function spectrum() {
  return ground().spectrum;
}
