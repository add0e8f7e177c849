// Elements made from values. Text is only ever text: nothing that comes from the server is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (functions become listeners, false and null are left out) and children. */
export function el(tag, attributes = {}, children = []) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for shapes. */
export function svg(tag, attributes = {}, children = []) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...[children].flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Change text only where it differs, so that nothing is laid out or read aloud again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute only where it differs. */
export function put(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Show or hide. */
export function show(element, shown) {
  element.hidden = !shown;
}

/** A line that says what went wrong and what to do. */
export function problem(text) {
  return el("p", { class: "problem", role: "alert" }, text);
}

/** What stands where there is nothing yet: what is missing, and what to do. */
export function empty(title, lines) {
  return el("section", { class: "empty" }, [el("h2", {}, title), ...lines.map((line) =>
    line instanceof Node ? line : el("p", {}, line))]);
}

/** A command to type, on a line of its own. */
export function command(text) {
  return el("pre", { tabindex: "0" }, el("code", {}, text));
}
