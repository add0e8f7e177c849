// A client of a station's /v1/stream: sound out, messages back, over a connection that may break.
//
//     const client = new StreamClient(location.origin, { rate: 48000 });
//     client.send(samples);                    // a Float32Array, again and again; then client.flush()
//     for await (const message of client) {    // {type: "ready", …}, {type: "scores", …}, {type: "event", …} … "end"
//       console.log(message);
//     }
//
// After a broken connection it connects again, goes on with the same stream, and sends what the station does not have.
// It keeps that much of the sound; what was too old is told to the station as lost. Events come exactly once. Where the
// station does not know the stream any more, another one begins at the sample that comes next ("ready" says so). It
// needs nothing but a WebSocket, and may be copied into any program.

const SAMPLE_BYTES = { s16le: 2, f32le: 4 };
const [FIRST_PAUSE, LONGEST_PAUSE] = [100, 5000]; // ms
const AGAIN = ["draining", "idle_timeout", "slow_reader", "full", "store_unavailable"]; // codes after which another try makes sense,
const ANEW = ["resume_unknown", "resume_expired", "resume_used"]; // and a new stream does

/** The station does not take the stream, or ended it. `code` is for programs, such as "wrong_token". */
export class StreamRefused extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** One stream. Call `send` as sound comes, and iterate over the messages, once. */
export class StreamClient {
  #url;
  #hello;
  #frame; // bytes of a sample of all channels
  #keep; // samples
  #patience; // ms
  #kept = []; // {start, bytes}, in order
  #next; // the sample that is given next,
  #cursor; // and the one that is sent next over this connection
  #received = 0; // highest sequence
  #flushed = false;
  #closed = false;
  #socket = null;
  #answered = false; // its hello: before, the station does not know which sound it gets
  #queue = []; // messages that came; null = the connection is gone
  #wake = () => {};

  /**
   * @param {string} url of the station: ws://…, wss://…, or the same with http.
   * @param {object} options `rate` of the sound in Hz; `format` "f32le" or "s16le", interleaved; `channels`; `token`;
   *     `keepSeconds` of sound that is kept for a station that did not get it; `patience`, seconds to go on trying to
   *     connect; all others are fields of the hello, such as `scores: "all"`, `labels: ["speech"]`, `model: "small"` or,
   *     where NaN stands for a missing sample, `missing: "nan"`.
   */
  constructor(url, { rate, format = "f32le", channels = 1, token = null, keepSeconds = 30, patience = 60, ...hello }) {
    if (!(format in SAMPLE_BYTES)) throw new TypeError(`format ${format}: want ${Object.keys(SAMPLE_BYTES).join(" or ")}`);
    this.#url = new URL("v1/stream", url.replace(/^http/, "ws").replace(/\/?$/, "/"));
    this.#hello = { type: "hello", version: 1, rate, format, channels, token, ...hello };
    this.#frame = SAMPLE_BYTES[format] * channels;
    this.#keep = Math.round(keepSeconds * rate);
    this.#patience = 1000 * patience;
    this.#next = this.#cursor = hello.start ?? 0;
    /** The station's last answer to a hello; null before the first. */
    this.ready = null;
  }

  /** Samples that follow the last ones: an ArrayBuffer, or a view such as a Float32Array. They are copied. */
  send(sound) {
    const view = ArrayBuffer.isView(sound) ? sound : new Uint8Array(sound);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
    if (bytes.length % this.#frame) throw new TypeError(`${bytes.length} bytes: want a multiple of ${this.#frame}`);
    this.#kept.push({ start: this.#next, bytes });
    this.#next += bytes.length / this.#frame;
    while (this.#kept.length > 1 && this.#next - this.#kept[0].start > this.#keep) this.#kept.shift();
    this.#pump();
  }

  /** As many samples were lost before they could be sent. */
  lose(samples) {
    this.#next += samples;
    this.#pump();
  }

  /** Change rules of the detector: `{threshold: 0.7}`, or `{class: {speech: {threshold: 0.8}}}`. */
  changeRules(rules) {
    this.#say({ type: "rules", rules });
  }

  /** No more sound: the last messages come, then "end". */
  flush() {
    this.#flushed = true;
    this.#pump();
  }

  /** Leave at once. Iterating ends. */
  close() {
    this.#closed = true;
    this.#socket?.close(1000);
    this.#put(null);
  }

  /**
   * Messages up to "end", each once; between them, of this client's own, `{type: "lost"}` where the connection broke.
   * Throws StreamRefused where the station ended the stream, or cannot be reached for longer than `patience`.
   */
  async *[Symbol.asyncIterator]() {
    yield await this.#connect();
    while (!this.#closed) {
      const message = await this.#take();
      if (this.#closed) return;
      if (message === null || (message.type === "error" && AGAIN.includes(message.error.code))) {
        yield { type: "lost" };
        const ready = await this.#connect();
        if (ready) yield ready;
        continue;
      }
      if (message.type === "error") throw new StreamRefused(message.error);
      if (message.type === "lag") this.#forget(message.kept);
      if ("sequence" in message && !this.#isNew(message.sequence)) continue;
      yield message;
      if (message.type === "end") return this.close();
    }
  }

  #isNew(sequence) {
    this.#say({ type: "ack", sequence });
    if (sequence <= this.#received) return false;
    this.#received = sequence;
    return true;
  }

  #end({ start, bytes }) {
    return start + bytes.length / this.#frame;
  }

  /** Sound before `sample` is never wanted again. */
  #forget(sample) {
    while (this.#kept.length && this.#end(this.#kept[0]) <= sample) this.#kept.shift();
  }

  /** Send what the station does not have, in order. */
  #pump() {
    if (!this.#isOpen()) return;
    for (const kept of this.#kept) {
      if (this.#end(kept) <= this.#cursor) continue;
      this.#skipTo(kept.start);
      this.#socket.send(kept.bytes.subarray((this.#cursor - kept.start) * this.#frame));
      this.#cursor = this.#end(kept);
    }
    this.#skipTo(this.#next);
    if (this.#flushed) this.#say({ type: "flush" });
  }

  /** Tell the station that sound before `sample` does not exist any more. */
  #skipTo(sample) {
    if (sample <= this.#cursor) return;
    this.#say({ type: "gap", samples: sample - this.#cursor });
    this.#cursor = sample;
  }

  #isOpen() {
    return this.#answered && this.#socket.readyState === 1;
  }

  #say(message) {
    if (this.#isOpen()) this.#socket.send(JSON.stringify(message));
  }

  /** Say hello, again and again with longer pauses. What the station answered. */
  async #connect() {
    const giveUp = Date.now() + this.#patience;
    for (let pause = FIRST_PAUSE; !this.#closed; pause = Math.min(LONGEST_PAUSE, 2 * pause)) {
      const answer = await this.#try();
      if (answer?.type === "ready") {
        this.#cursor = answer.position;
        this.#answered = true;
        this.#pump();
        return answer;
      }
      const code = answer?.error?.code;
      if (this.ready && ANEW.includes(code)) {
        this.ready = null;
        this.#received = 0;
        this.#hello.start = this.#kept[0]?.start ?? this.#next;
        continue;
      }
      if (answer && !AGAIN.includes(code)) throw new StreamRefused(answer.error ?? { code, message: "no answer to the hello" });
      if (Date.now() + pause > giveUp) {
        throw new StreamRefused({ code: "unreachable", message: `${this.#url} cannot be reached` });
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    return null;
  }

  /** One connection, up to the answer to its hello; null where there is none. */
  async #try() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#answered = false;
    this.#queue = [];
    socket.binaryType = "arraybuffer";
    const about = this.ready ? { resume: this.ready.resume, received: this.#received, start: null } : {};
    const mine = (message) => socket === this.#socket && this.#put(message);
    socket.onopen = () => socket.send(JSON.stringify({ ...this.#hello, ...about }));
    socket.onmessage = ({ data }) => mine(JSON.parse(data));
    socket.onclose = () => mine(null);
    const answer = await this.#take();
    if (answer?.type === "ready") this.ready = answer;
    return answer;
  }

  #put(message) {
    this.#queue.push(message);
    this.#wake();
  }

  async #take() {
    while (!this.#queue.length) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#queue.shift();
  }
}
