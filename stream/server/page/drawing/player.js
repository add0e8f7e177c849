// A button that fetches a kept sound (with the token, so not by its address alone) and plays it.

import { el, put, say } from "./dom.js";
import { request } from "../connection/api.js";

export class Player {
  /** @param {string} path of the sound. @param {string} words what is heard. */
  constructor(path, words) {
    this.path = path;
    this.words = words;
    this.element = el("button", { type: "button", class: "play", click: () => this.#press() }, "▶");
    this.#label("Play");
  }

  async #press() {
    if (this.audio && !this.audio.paused) {
      this.audio.pause();
      return;
    }
    try {
      this.audio ??= await this.#load();
      await this.audio.play();
    } catch (error) {
      say(this.element, "–");
      this.#label(`Cannot be played (${error.message}):`);
    }
  }

  async #load() {
    const sound = await (await request(this.path)).blob();
    this.address = URL.createObjectURL(sound);
    const audio = new Audio(this.address);
    const changed = () => {
      say(this.element, audio.paused ? "▶" : "■");
      this.#label(audio.paused ? "Play" : "Stop");
    };
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, changed);
    return audio;
  }

  #label(verb) {
    put(this.element, "aria-label", `${verb} ${this.words}`);
    put(this.element, "title", `${verb} ${this.words}`);
  }

  close() {
    this.audio?.pause();
    if (this.address) URL.revokeObjectURL(this.address);
  }
}
