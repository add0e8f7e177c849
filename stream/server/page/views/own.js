// A sound of this browser: its microphone, or a recording that is chosen or dropped.

import { showConnection } from "../connection/shown.js";
import { el } from "../drawing/dom.js";
import { FilePart } from "./own_file.js";
import { MicrophonePart } from "./own_microphone.js";

/** @returns {() => void} ends the view. */
export function own(main) {
  const place = el("div");
  let shown = null;
  const show = (panel) => {
    shown?.close();
    shown = panel;
    place.replaceChildren(...(panel ? [panel.element] : []));
  };
  const parts = [];
  const begin = (part) => parts.forEach((each) => each !== part && each.stop());
  parts.push(new MicrophonePart(show, begin, showConnection), new FilePart(show, begin));
  main.append(
    el("h1", { tabindex: "-1" }, "Try a sound"),
    el("p", { class: "quiet" },
      "The station listens to what this browser sends and answers here. Nothing of it is kept, and no other page sees it."),
    el("div", { class: "ways" }, parts.map((part) => part.element)),
    place,
  );
  return () => {
    parts.forEach((part) => part.stop());
    shown?.close();
  };
}
