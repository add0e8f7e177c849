// Numbers as text, as `stream/dashboard/words.py` and `stream/report/words.py` write them.

const two = (number) => String(number).padStart(2, "0");

/** Stream time for people: 0:42, 12:07.3, 3:00:00. */
export function clock(seconds, decimals = 0) {
  const scaled = Math.floor(seconds * 10 ** decimals);
  const whole = Math.floor(scaled / 10 ** decimals);
  const [hours, minutes, second] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, two(whole % 60)];
  const text = hours ? `${hours}:${two(minutes)}:${second}` : `${minutes}:${second}`;
  return decimals ? `${text}.${String(scaled % 10 ** decimals).padStart(decimals, "0")}` : text;
}

/** A length of time with its unit, three digits at most. */
export function span(seconds) {
  if (seconds < 0.9995) return `${(seconds * 1e3).toFixed(0)} ms`;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  return seconds < 600 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
}

/** A probability: two digits, a dash where there is none. */
export function share(value) {
  return value === null || Number.isNaN(value) ? "–" : value.toFixed(2);
}

/** A level. */
export function dbfs(value) {
  return value === null || Number.isNaN(value) ? "–" : `${value.toFixed(1)} dBFS`;
}
