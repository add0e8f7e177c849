// A stream of server-sent events that is opened again whenever it ends, with longer and longer pauses.

import { request, serverSentEvents } from "./api.js";

const FIRST_PAUSE = 500; // ms
const LONGEST_PAUSE = 10_000;
const SILENCE = 20_000; // the server gives a sign of life more often than this

export class Live {
  /**
   * @param {string} path what to watch.
   * @param {(name: string, value: object) => void} onMessage for each event.
   * @param {(state: {connected: boolean, problem?: string, final?: boolean, pause?: number}) => void} onState
   *     when the connection is there, is lost, or (final) will not be tried again.
   */
  constructor(path, onMessage, onState) {
    Object.assign(this, { path, onMessage, onState });
    this.stopped = new AbortController();
    this.wake = () => {};
    this.#run();
  }

  /** Watch no longer. */
  stop() {
    this.stopped.abort();
    this.wake();
  }

  async #run() {
    const awake = () => this.wake();
    addEventListener("online", awake);
    let pause = FIRST_PAUSE;
    while (!this.stopped.signal.aborted) {
      let problem;
      try {
        await this.#watch(() => {
          pause = FIRST_PAUSE;
        });
        problem = "the server ended the connection";
      } catch (error) {
        if (this.stopped.signal.aborted) break;
        problem = error.message;
        if ([400, 401, 403, 404].includes(error.status)) {
          this.onState({ connected: false, problem, final: true, code: error.code });
          break;
        }
      }
      if (this.stopped.signal.aborted) break;
      this.onState({ connected: false, problem, pause });
      await this.#sleep(pause * (0.75 + Math.random() / 2)); // not all pages at the same moment
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    }
    removeEventListener("online", awake);
  }

  async #watch(arrived) {
    const silent = new AbortController();
    const signal = AbortSignal.any([this.stopped.signal, silent.signal]);
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE);
    };
    try {
      alive();
      const response = await request(this.path, { signal });
      this.onState({ connected: true });
      for await (const [name, value] of serverSentEvents(response)) {
        alive();
        arrived();
        if (name && !this.stopped.signal.aborted) this.onMessage(name, value);
      }
    } catch (error) {
      if (silent.signal.aborted) throw new Error("nothing came from the server for a while");
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
