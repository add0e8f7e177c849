// A canvas as sharp as the screen, drawn at most once a frame and only when asked to.

import { el } from "./dom.js";
import { onGround } from "../state/look.js";

export class Picture {
  /**
   * @param {string} label what it shows, for those who cannot see it.
   * @param {string} look a class of the style sheet, which gives its size.
   * @param {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw in CSS pixels.
   */
  constructor(label, look, draw) {
    this.element = el("canvas", { class: look, role: "img", "aria-label": label });
    this.draw = draw;
    this.waiting = false;
    this.sizes = new ResizeObserver(() => this.ask());
    this.sizes.observe(this.element);
    this.forget = onGround(() => this.ask());
  }

  /** Draw soon. */
  ask() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.#now();
    });
  }

  #now() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.element.width !== across) this.element.width = across;
    if (this.element.height !== down) this.element.height = down;
    const context = this.element.getContext("2d");
    context.setTransform(across / width, 0, 0, down / height, 0, 0);
    context.clearRect(0, 0, width, height);
    this.draw(context, width, height);
  }

  /** Nothing is drawn any more. */
  close() {
    this.sizes.disconnect();
    this.forget();
  }
}

/** A colour of the style sheet, for a canvas. */
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export const FONT = "12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
