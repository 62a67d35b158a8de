// The difference of two texts, line by line.

import { el } from "./format.js";

const CONTEXT = 3; // unchanged lines shown around a change
const MOST = 4e6; // pairs of lines that are compared; beyond, all lines count as changed

function lines(text) {
  const found = text.replaceAll("\r\n", "\n").split("\n");
  if (found.at(-1) === "") found.pop();
  return found;
}

// Lengths of the longest common subsequences of what is left of both from each pair of lines on.
function lengths(a, b) {
  const wide = b.length + 1;
  const found = new Uint32Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      found[i * wide + j] = a[i] === b[j] ? found[(i + 1) * wide + j + 1] + 1 : Math.max(found[(i + 1) * wide + j], found[i * wide + j + 1]);
    }
  }
  return (i, j) => found[i * wide + j];
}

function changed(a, b) {
  if (a.length * b.length > MOST) return [...a.map((text) => ["removed", text]), ...b.map((text) => ["added", text])];
  const common = lengths(a, b);
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push(["same", a[i++]]);
      j++;
    } else if (j === b.length || (i < a.length && common(i + 1, j) >= common(i, j + 1))) found.push(["removed", a[i++]]);
    else found.push(["added", b[j++]]);
  }
  return found;
}

export function difference(before, after) {
  const [a, b] = [lines(before), lines(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const same = (part) => part.map((text) => ["same", text]);
  const middle = changed(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  return [...same(a.slice(0, head)), ...middle, ...same(a.slice(a.length - tail))];
}

const MARKS = { same: "  ", added: "+ ", removed: "- " };

// An element that shows the difference.
export function shown(before, after) {
  const all = difference(before, after);
  const near = all.map((_, at) => all.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(([kind]) => kind !== "same"));
  if (!near.includes(true)) return el("p", { class: "note" }, "They are the same.");
  const made = el("div", { class: "diff", role: "region", tabindex: "0", "aria-label": "Difference" });
  all.forEach(([kind, text], at) => {
    if (near[at]) made.append(el("div", { class: kind }, MARKS[kind] + text));
    else if (at === 0 || near[at - 1]) made.append(el("div", { class: "gap" }, "  …"));
  });
  return made;
}
