// What was proposed: by whom, what became of it, and how two of them differ.

import { act, post, when } from "./acting.js";
import { ask } from "./api.js";
import { shown as diff } from "./diff.js";
import { el, put } from "./format.js";
import { load } from "./policy-editor.js";

const texts = new Map(); // by id or number; they never change

async function textOf(which) {
  if (!texts.has(which)) texts.set(which, (await ask(`/policy/versions/${which}`)).document.text);
  return texts.get(which);
}

const cell = (label, ...children) => el("td", { "data-label": label }, el("span", {}, ...children));
const named = (each) => (each.number ? `Version ${each.number}` : `Proposal of ${each.author}, ${when(each.at)}`);

function fate(each) {
  if (!each.number) return `${each.fate}: ${each.why}`;
  return each.approved_by ? `came in force, approved by ${each.approved_by}` : "came in force";
}

function row(each) {
  const edit = el("button", { type: "button", class: "link", "aria-label": `Edit ${named(each)}` }, "Edit");
  edit.addEventListener("click", () => act("difference", edit, async () => load(await textOf(each.id))));
  return el(
    "tr",
    {},
    cell("Version", each.number ? String(each.number) : "–"),
    cell("Proposed", when(each.at)),
    cell("By", each.author),
    cell("Why", each.note),
    cell("Became", fate(each)),
    el("td", {}, edit),
  );
}

function choose(id, all, chosen) {
  const select = document.getElementById(id);
  const before = select.dataset.chosen; // by a person
  const options = all.map(({ which, name }) => el("option", { value: which }, name));
  select.replaceChildren(...options);
  select.value = all.some(({ which }) => which === before) ? before : chosen;
}

function choices(policies) {
  const all = [...policies.map((each) => ({ which: each.id, name: named(each) })), { which: "0", name: "Settings" }];
  choose("compare-from", all, all[Math.min(1, all.length - 1)].which);
  choose("compare-to", all, all[0].which);
}

function proposal(each, current) {
  const id = `approve-${each.id}`;
  const note = el("input", { id, maxlength: "1000" });
  const button = el("button", { type: "button", class: "primary" }, "Approve");
  const changes = el("div", {});
  const answer = el("p", { class: "note", id: `${id}-answer`, role: "status" });
  textOf(each.id).then((text) => changes.replaceChildren(diff(current.text, text)), (problem) => changes.replaceChildren(problem.message));
  button.addEventListener("click", () => act(answer.id, button, () => post("/policy/approvals?wait_seconds=10", { id: each.id, note: note.value })));
  const about = el("p", {}, `${each.author}, ${when(each.at)}: ${each.note || "without a note"}`);
  return el("div", { class: "proposal" }, about, changes, el("label", { for: id }, "Note"), el("div", { class: "row" }, note, button), answer);
}

let shownWaiting = "";

export function show(policies, current) {
  document.querySelector("#history tbody").replaceChildren(...(policies.length ? policies.map(row) : [el("tr", {}, el("td", { class: "note", colspan: "6" }, "None yet: the thresholds of the settings decide."))]));
  choices(policies);
  const waiting = policies.filter((each) => each.fate === "waits for approval" && each.parent === current.id);
  const key = JSON.stringify([waiting, current.id]);
  if (key === shownWaiting) return; // a note that somebody is writing stays
  shownWaiting = key;
  document.getElementById("waiting").hidden = !waiting.length;
  document.getElementById("waiting-list").replaceChildren(...waiting.map((each) => proposal(each, current)));
}

for (const id of ["compare-from", "compare-to"]) {
  document.getElementById(id).addEventListener("change", ({ target }) => {
    target.dataset.chosen = target.value;
  });
}
document.getElementById("compare").addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = ["compare-from", "compare-to"].map((id) => document.getElementById(id).value);
  act("difference", event.submitter, async () => {
    put("difference", "");
    const [before, after] = await Promise.all([textOf(from), textOf(to)]);
    document.getElementById("difference").replaceChildren(diff(before, after));
  });
});
