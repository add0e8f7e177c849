// The token of this tab: asked for where the server wants one, kept until the tab is closed, never in an address.

import { el } from "../drawing/dom.js";

const KEY = "stream-classify token";
let inMemory = ""; // where the browser keeps nothing for this page
let asking = null;

/** The token to send, or "". */
export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return inMemory;
  }
}

function keep(value) {
  inMemory = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // kept in memory alone
  }
}

/** Forget a token that was refused, unless there is a newer one by now. */
export function forgetToken(refused) {
  if (token() === refused) keep("");
}

/** Ask a person; one question at a time, however many requests wait for it. False: no token was given. */
export function askForToken(refusal) {
  if (token()) return Promise.resolve(true); // somebody else has just been asked
  asking ??= ask(refusal).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(refusal) {
  const input = el("input", {
    id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false",
    "aria-describedby": "token-help",
  });
  const dialog = el("dialog", { class: "token", "aria-labelledby": "token-title" }, [
    el("form", { method: "dialog" }, [
      el("h2", { id: "token-title" }, "This station asks for a token"),
      refusal ? el("p", { class: "problem", role: "alert" }, refusal) : null,
      el("label", { for: "token" }, "Token"),
      input,
      el("p", { class: "quiet", id: "token-help" },
        "Whoever runs the station makes one with stream-classify serve --new-token. It is kept until this tab is closed."),
      el("div", { class: "actions" }, [
        el("button", { type: "submit", class: "main", value: "given" }, "Continue"),
        el("button", { type: "submit", value: "none", formnovalidate: true }, "Without"),
      ]),
    ]),
  ]);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "given" ? input.value.trim() : "";
      dialog.remove();
      keep(given);
      answer(given !== "");
    });
  });
}
