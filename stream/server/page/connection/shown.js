// What the header says of the connection.

const place = () => document.querySelector(".connection");

/** Show what `Live` says; null where a view needs no connection. */
export function showConnection(state) {
  const look = state === null ? "none" : state.connected ? "good" : "lost";
  if (place().dataset.look === look && state?.connected !== false) return; // a reader need not hear it again
  place().dataset.look = look;
  place().textContent = state === null ? "" : words(state);
}

function words(state) {
  if (state.connected) return "connected";
  return state.final ? "not connected" : "connection lost, trying again";
}
