// The page begins: colours, then the view that the address names.

import { loadLook, look } from "./state/look.js";
import { showConnection } from "./connection/shown.js";
import { el, problem } from "./drawing/dom.js";
import { day } from "./views/day.js";
import { glance } from "./views/glance.js";
import { own } from "./views/own.js";
import { source } from "./views/source.js";

const main = document.getElementById("main");
let leave = () => {};

/** The view of an address: what makes it, with what, and the link that is marked as the current one. */
function find(hash) {
  const [name, argument = ""] = hash.replace(/^#\/?/, "").split(/\/(.*)/s);
  const given = decode(argument);
  if (name === "") return { make: glance, title: "Station", link: "#/" };
  if (name === "source" && given) return { make: source, given, title: given, link: "#/" };
  if (name === "day") return { make: day, given: given || "today", title: "Day", link: "#/day/today" };
  if (name === "own") return { make: own, title: "Try a sound", link: "#/own" };
  return { make: lost, title: "Not found", link: "" };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function lost(place) {
  place.append(el("h1", { tabindex: "-1" }, "There is no such page"), el("p", {}, ["See ", el("a", { href: "#/" }, "the station"), "."]));
  return () => {};
}

function go(first) {
  if (location.hash === "#main") return; // the link that skips to the content
  leave();
  showConnection(null);
  main.replaceChildren();
  const { make, given, title, link } = find(location.hash);
  document.title = `${title} · stream-classify`;
  for (const each of document.querySelectorAll("nav a")) {
    if (each.getAttribute("href") === link) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  leave = make(main, given);
  if (!first) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
}

try {
  await loadLook();
  document.querySelector("footer").textContent = `stream-classify ${look.version}`;
  addEventListener("hashchange", () => go(false));
  addEventListener("pagehide", () => leave());
  go(true);
} catch (error) {
  main.replaceChildren(problem(`${error.message}; load this page again`));
}
