// Lists: how many entries each has, and changes of them.

import { act, post } from "./acting.js";
import { ask } from "./api.js";
import { el, put, whole } from "./format.js";

const field = (name) => document.getElementById(`list-${name}`);
const entries = field("entries");

async function open(name) {
  const { document: told } = await ask(`/lists/${encodeURIComponent(name)}`);
  field("name").value = name;
  put("list-answer", told.complete ? `${name} has ${whole(told.size)} entries.` : `${name} has ${whole(told.size)} entries; these are some of them.`);
  entries.replaceChildren(...told.entries.map((each) => el("li", {}, each)));
}

function row([name, size]) {
  const button = el("button", { type: "button", class: "link" }, name);
  button.addEventListener("click", () => act("list-answer", button, () => open(name)));
  return el("tr", {}, el("td", {}, button), el("td", { class: "number" }, whole(size)));
}

export function show(lists) {
  const all = Object.entries(lists).sort();
  document.querySelector("#lists tbody").replaceChildren(...(all.length ? all.map(row) : [el("tr", {}, el("td", { class: "note", colspan: "2" }, "None yet."))]));
  field("names").replaceChildren(...all.map(([name]) => el("option", { value: name })));
}

async function lookUp(path, values) {
  const found = await Promise.all(values.map((value) => ask(`${path}?value=${encodeURIComponent(value)}`)));
  entries.replaceChildren(...found.map(({ document: { value, listed } }) => el("li", {}, `${value}: ${listed ? "is there" : "is not there"}`)));
  put("list-answer", "");
}

async function change(path, values, adding) {
  const expires = field("expires").value;
  const entry = (value) => (expires ? { value, expires_at: new Date(expires).toISOString() } : { value });
  const body = adding ? { add: values.map(entry) } : { remove: values };
  try {
    const { document: told } = await post(path, { ...body, note: field("note").value });
    put("list-answer", `${adding ? `Added ${whole(told.added)}` : `Removed ${whole(told.removed)}`}; ${told.name} has ${whole(told.size)} entries.`);
    field("values").value = "";
    entries.replaceChildren();
  } catch (problem) {
    if (problem.status === 422) entries.replaceChildren(...problem.document.errors.map((each) => el("li", { class: "error" }, `${each.field}: ${each.problem}`)));
    throw problem;
  }
}

document.getElementById("list").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = `/lists/${encodeURIComponent(field("name").value)}`;
  const values = [...new Set(field("values").value.split("\n").map((each) => each.replace(/\r$/, "")).filter(Boolean))];
  const { value } = event.submitter;
  act("list-answer", event.submitter, () => (value === "look" ? lookUp(path, values.slice(0, 100)) : change(path, values, value === "add")));
});
