// Requests to the server: with the token, errors as one line, answers that are read while they come.

import { askForToken, forgetToken, token } from "./token.js";

/** What the server refused, or what kept it from answering. `code` is the server's, or "unreachable". */
export class ApiError extends Error {
  constructor(message, code, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** A path below this page as an address, so that the page also works behind a proxy that puts it in a folder. */
export function address(path) {
  return new URL(path, document.baseURI);
}

/**
 * Ask the server. Where it wants a token, a person is asked for one and the request is made again.
 * @returns {Promise<Response>} an answer that is not an error.
 */
export async function request(path, { method = "GET", body, signal, headers = {} } = {}) {
  for (;;) {
    const used = token();
    const sent = used ? { ...headers, Authorization: `Bearer ${used}` } : headers;
    let response;
    try {
      response = await fetch(address(path), { method, body, signal, headers: sent, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("the server cannot be reached", "unreachable");
    }
    if (response.ok) return response;
    const error = await refusal(response);
    if (response.status !== 401) throw error;
    forgetToken(used);
    if (!(await askForToken(used ? error.message : ""))) throw error;
  }
}

/** The same, and the answer as a value. */
export async function json(path, options) {
  return (await request(path, options)).json();
}

/** Send a value. */
export function send(method, path, value) {
  return request(path, { method, body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });
}

async function refusal(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // not ours: something between this page and the server answered
  }
  const message = error.message ?? `the server answered ${response.status}`;
  return new ApiError(message, error.code ?? "unknown", response.status);
}

/** The lines of an answer, each as soon as it is whole. */
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      yield* parts;
    }
    if (rest) yield rest;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Server-sent events of an answer as `[name, value]`; `["", null]` for each sign of life. */
export async function* serverSentEvents(response) {
  let name = "message";
  let data = [];
  for await (const raw of lines(response)) {
    const line = raw.replace(/\r$/, "");
    if (line === "") {
      if (data.length) yield [name, JSON.parse(data.join("\n"))];
      [name, data] = ["message", []];
    } else if (line.startsWith(":")) {
      yield ["", null];
    } else if (line.startsWith("event:")) {
      name = line.slice(6).trim();
    } else if (line.startsWith("data:")) {
      data.push(line.slice(5).trimStart());
    }
  }
}
