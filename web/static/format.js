// Numbers, times and elements.

const WHOLE = new Intl.NumberFormat("en");

export const whole = (n) => WHOLE.format(n);
export const money = (n, digits = 2) => n.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const rate = (n) => (n >= 100 || Number.isInteger(n) ? whole(Math.round(n)) : n.toFixed(1));
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

export function share(part, all) {
  if (!all || !part) return all ? "0 %" : "–";
  const percent = (100 * part) / all;
  return `${percent < 0.01 ? "<0.01" : percent.toFixed(percent < 1 ? 2 : 1)} %`;
}

export function duration(seconds) {
  return seconds < 1 ? `${rate(seconds * 1000)} ms` : `${rate(seconds)} s`;
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

// Makes an element; text is never taken for HTML.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function put(id, text) {
  const at = document.getElementById(id);
  if (at.textContent !== text) at.textContent = text;
}
