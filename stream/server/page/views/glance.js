// The station at a glance: a card for each source.

import { showConnection } from "../connection/shown.js";
import { Live } from "../connection/live.js";
import { command, el, empty, problem, say } from "../drawing/dom.js";
import { Card } from "../drawing/card.js";

/** @returns {() => void} ends the view. */
export function glance(main) {
  const cards = new Map();
  const count = el("p", { class: "quiet" });
  const grid = el("ul", { class: "cards", role: "list" });
  const rest = el("div");
  main.append(el("h1", { tabindex: "-1" }, "Station"), count, grid, rest);
  rest.append(el("p", { class: "quiet" }, "Looking for sources…"));

  function show({ names, changed }) {
    for (const [name, card] of cards) {
      if (names.includes(name)) continue;
      card.close();
      cards.delete(name);
    }
    for (const each of changed) {
      if (!cards.has(each.name)) cards.set(each.name, new Card(each));
      cards.get(each.name).show(each);
    }
    const order = names.filter((name) => cards.has(name)).map((name) => cards.get(name).element);
    if (order.some((element, i) => grid.children[i] !== element)) grid.replaceChildren(...order);
    say(count, names.length === 1 ? "1 source" : `${names.length} sources`);
    if (names.length === 0 && !rest.querySelector(".empty")) rest.replaceChildren(nothing());
    else if (names.length) rest.replaceChildren();
  }

  const live = new Live("page/live", (name, value) => name === "glance" && show(value), (state) => {
    showConnection(state);
    grid.classList.toggle("lost", !state.connected);
    if (state.final) rest.replaceChildren(problem(state.problem));
  });
  return () => {
    live.stop();
    cards.forEach((card) => card.close());
  };
}

function nothing() {
  return empty("No source yet", [
    "A station listens to microphones, network streams and recordings that its settings file names. Write one:",
    command('# station.toml\n[[source]]\nname = "kitchen"\ndevice = "usb mic"'),
    "Then start the station with it:",
    command("stream-classify serve --settings station.toml"),
    el("p", {}, [
      "Or ", el("a", { href: "#/own" }, "try a sound"), " with this browser's microphone or a recording.",
    ]),
  ]);
}
