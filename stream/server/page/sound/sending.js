// A microphone's sound to the station, and what it says to those who show it.

import { StreamClient, StreamRefused } from "../client.js";
import { address } from "../connection/api.js";
import { askForToken, forgetToken, token } from "../connection/token.js";

/**
 * Begin a stream.
 * @param {number} rate of the sound, Hz.
 * @param {object} heard functions by type of message ("ready", "scores", "event", "gap", "end"), and "lost", "failed",
 *     and "again" where there is a token by now.
 */
export function openStream(rate, heard) {
  // As with any microphone, a driver that gives a wrong number for a moment does not end listening: `missing`.
  const about = { rate, token: token() || null, missing: "nan", scores: 25, name: "browser" };
  const client = new StreamClient(address("").href, about);
  listen(client, heard);
  return client;
}

async function listen(client, heard) {
  try {
    for await (const message of client) heard[message?.type]?.(message);
  } catch (error) {
    const refused = error instanceof StreamRefused ? error.code : "";
    if (["no_token", "wrong_token"].includes(refused)) {
      forgetToken(token());
      if (await askForToken(refused === "wrong_token" ? error.message : "")) heard.again();
      else heard.failed(error.message);
    } else {
      heard.failed(error.message);
    }
  }
}
