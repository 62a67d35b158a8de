// The editor: checks a policy, tries it on past decisions, and proposes it.

import { act, post } from "./acting.js";
import { difference, shown as diff } from "./diff.js";
import { el, put, share, whole } from "./format.js";

const OUTCOMES = ["APPROVE", "FLAG", "BLOCK"];
const text = document.getElementById("text");
const gutter = document.getElementById("lines");
const faults = document.getElementById("faults");
const found = document.getElementById("found");
let current = { id: "", number: 0, text: "" };
let base = null; // what the text was begun from

const isEdited = () => base !== null && text.value !== base.text;
const named = ({ number }) => (number ? `version ${number}` : "the settings");

function caret() {
  const before = text.value.slice(0, text.selectionStart);
  const line = before.split("\n").length;
  put("caret", `Line ${line}, column ${before.length - before.lastIndexOf("\n")}`);
}

function numbers() {
  const count = text.value.split("\n").length;
  put("lines", Array.from({ length: count }, (_, at) => at + 1).join("\n"));
  gutter.scrollTop = text.scrollTop;
}

function changes() {
  const all = difference(current.text, text.value).filter(([kind]) => kind !== "same");
  const outdated = base && base.id !== current.id ? `; ${named(current)} is in force meanwhile` : "";
  put("based-on", `from ${base ? named(base) : "–"}, ${all.length} lines changed${outdated}.`);
  if (document.getElementById("changes").open) document.getElementById("changes-diff").replaceChildren(diff(current.text, text.value));
}

function edited() {
  numbers();
  caret();
  changes();
}

// Puts a policy into the editor, to be proposed in the place of the one in force.
export function load(content) {
  base = current;
  text.value = content;
  clear();
  edited();
  text.setSelectionRange(0, 0);
  text.focus();
  text.scrollTop = 0;
}

export function show(policy) {
  const wasEdited = isEdited();
  current = policy;
  if (!wasEdited) {
    base = policy;
    if (text.value !== policy.text) text.value = policy.text;
  }
  edited();
}

function clear() {
  faults.replaceChildren();
  found.replaceChildren();
  put("propose-answer", "");
}

function goTo(line, column) {
  const starts = text.value.split("\n").slice(0, line - 1);
  const at = starts.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(at, at);
  const height = Number.parseFloat(getComputedStyle(text).lineHeight);
  text.scrollTop = Math.max(0, (line - 5) * height);
  caret();
}

function fault({ line, column, rule, problem }) {
  const about = rule ? `rule ${rule}: ` : "";
  if (!line) return el("li", {}, about + problem);
  const place = el("button", { type: "button", class: "link" }, `Line ${line}, column ${column}`);
  place.addEventListener("click", () => goTo(line, column));
  return el("li", {}, place, `: ${about}${problem}`);
}

function showFaults(errors) {
  faults.replaceChildren(el("ul", { class: "faults", "aria-label": "Errors" }, ...errors.map(fault)));
}

// Does what may find the policy to be wrong.
function tried(button, doIt) {
  clear();
  act("propose-answer", button, async () => {
    try {
      await doIt();
    } catch (problem) {
      if (problem.status !== 422) throw problem;
      showFaults(problem.document.errors);
    }
  });
}

async function check() {
  const { document: told } = await post("/policy/check", { text: text.value });
  if (!told.valid) return showFaults(told.errors);
  const lists = told.lists.length ? `; it looks into ${told.lists.join(", ")}` : "";
  return found.replaceChildren(el("p", { class: "good" }, `It is valid: ${told.rules.length} rules${lists}.`));
}

function matrix(counts) {
  const head = el("tr", {}, el("th", { scope: "col" }, "Before \u2192 after"), ...OUTCOMES.map((each) => el("th", { scope: "col", class: "number" }, each)));
  const rows = OUTCOMES.map((before) =>
    el("tr", {}, el("th", { scope: "row" }, before), ...OUTCOMES.map((after) => el("td", { class: before !== after && counts[before][after] ? "number changed" : "number" }, whole(counts[before][after])))),
  );
  return el("table", { class: "matrix", "aria-label": "Decisions before and after" }, el("thead", {}, head), el("tbody", {}, ...rows));
}

function hits(rules) {
  const names = ["Rule", "Then", "Hits", "Alone", "Amount", "Failures"];
  const head = el("tr", {}, ...names.map((each, at) => el("th", { scope: "col", ...(at > 1 ? { class: "number" } : {}) }, each)));
  const rows = rules.map((each) => {
    const mode = each.mode === "active" ? each.then : `${each.then}, ${each.mode}`;
    const figures = [each.hits, each.only, Math.round(each.amount), each.failures];
    return el("tr", {}, el("th", { scope: "row" }, each.id), el("td", {}, mode), ...figures.map((n) => el("td", { class: "number" }, whole(n))));
  });
  return el("div", { class: "scroll" }, el("table", { "aria-label": "Hits of each rule" }, el("thead", {}, head), el("tbody", {}, ...rows)));
}

async function backtest() {
  found.replaceChildren(el("p", { class: "note" }, "Trying it on past decisions…"));
  try {
    const { document: told } = await post("/policy/backtest", { text: text.value, decisions: Number(document.getElementById("decisions").value) });
    const sentence = told.rows ? `${whole(told.changed)} of ${whole(told.rows)} decisions would change (${share(told.changed, told.rows)}).` : "There are no decisions yet.";
    found.replaceChildren(el("p", {}, sentence), matrix(told.counts), ...(told.rules.length ? [hits(told.rules)] : []));
  } catch (problem) {
    found.replaceChildren();
    throw problem;
  }
}

async function propose() {
  put("propose-answer", "Proposed; waiting for the workers…");
  try {
    const asked = { text: text.value, note: document.getElementById("note").value, parent: base.id };
    const { status, document: told } = await post("/policy?wait_seconds=10", asked, "PUT");
    document.getElementById("note").value = "";
    if (status === 202) return put("propose-answer", "It waits for approval by somebody else.");
    base = { id: told.id, number: told.number, text: asked.text };
    put("propose-answer", told.acknowledged ? `Version ${told.number} is in force at all workers.` : `Version ${told.number} is in force; not told yet by ${told.lagging.join(", ") || "any worker"}.`);
  } catch (problem) {
    if (problem.status !== 409) {
      put("propose-answer", problem.status === 422 ? "It is not valid, and nothing was changed." : problem.message);
      throw problem;
    }
    outdated(problem.document.policy);
  }
  return undefined;
}

function outdated(policy) {
  const go = el("button", { type: "button" }, `Go on from ${named(policy)}`);
  go.addEventListener("click", () => {
    base = policy;
    show(policy);
    clear();
  });
  const sentence = `Nothing is in force of this: ${policy.author || "somebody"} was faster with ${named(policy)}. Look at the changes below, then propose it in the place of that.`;
  document.getElementById("propose-answer").replaceChildren(sentence, " ", go);
  document.getElementById("changes").open = true;
}

text.addEventListener("input", edited);
text.addEventListener("scroll", () => {
  gutter.scrollTop = text.scrollTop;
});
document.addEventListener("selectionchange", () => document.activeElement === text && caret());
for (const name of ["keyup", "click"]) text.addEventListener(name, caret);
document.getElementById("changes").addEventListener("toggle", changes);
document.getElementById("check").addEventListener("click", (event) => tried(event.currentTarget, check));
document.getElementById("backtest").addEventListener("click", (event) => tried(event.currentTarget, backtest));
document.getElementById("reset").addEventListener("click", () => load(current.text));
document.getElementById("propose").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(event.submitter, propose);
});
