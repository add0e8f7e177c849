// The browser's microphone as blocks of samples, at whatever rate the sound card has.

import { address } from "../connection/api.js";

/** What keeps this browser from using a microphone, in words; "" where nothing does. */
export function whyNot() {
  if (!isSecureContext) return "Browsers give a microphone only to pages from this machine or over HTTPS; serve the station with --certificate and --key.";
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return "This browser cannot use a microphone here.";
  return "";
}

/** An open microphone. `rate` in Hz; `close` lets it go. */
export class Microphone {
  /**
   * @param {(samples: Float32Array) => void} onBlock called with mono blocks of about 20 ms.
   * @param {() => void} onEnd called when the microphone is gone.
   */
  static async open(onBlock, onEnd) {
    // As it is: what the browser does for calls takes away the sounds that are listened for.
    const as = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: as });
    try {
      const context = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule(address("page/sound/worklet.js"));
      await context.resume();
      return new Microphone(stream, context, onBlock, onEnd);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  constructor(stream, context, onBlock, onEnd) {
    Object.assign(this, { stream, context });
    this.rate = context.sampleRate;
    this.name = stream.getAudioTracks()[0].label || "microphone";
    this.node = new AudioWorkletNode(context, "gatherer", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => onBlock(data);
    stream.getAudioTracks()[0].addEventListener("ended", onEnd);
    context.createMediaStreamSource(stream).connect(this.node);
  }

  async close() {
    this.node.port.onmessage = null;
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close().catch(() => {});
  }
}

/** What the browser's refusal means, and what to do. */
export function refusal(error) {
  return {
    NotAllowedError: "The microphone was not allowed. Allow it in the browser's settings for this page, then try again.",
    NotFoundError: "There is no microphone. Connect one, then try again.",
    NotReadableError: "The microphone is used by another program, or gives no sound.",
  }[error.name] ?? error.message;
}
