// The form that sends a test transaction, made of the fields that the schema has.

import { ask } from "./api.js";
import { show } from "./decision.js";
import { el, put } from "./format.js";

const form = document.getElementById("try");
let inputs = []; // { field, input } of each field that is asked for

function select(values, about) {
  return el("select", about, ...values.map((value) => el("option", { value }, value)));
}

function inputOf(field) {
  const about = field.description ? { title: field.description } : {};
  const blank = field.optional ? [""] : [];
  if (field.values) return select([...blank, ...field.values], about);
  if (field.type === "flag") {
    return field.nullable && field.role !== "upstream_flag" ? select(["", "true", "false"], about) : el("input", { ...about, type: "checkbox" });
  }
  if (field.format === "iso8601") return el("input", { ...about, type: "datetime-local", step: 1 });
  if (field.optional) about.placeholder = "optional";
  if (field.max_length) return el("input", { ...about, maxlength: field.max_length });
  const whole = field.step === 1;
  return el("input", { ...about, type: "number", min: field.min, max: field.max, step: field.step || "any", inputmode: whole ? "numeric" : "decimal" });
}

function labelled({ field, input }) {
  if (input.type === "checkbox") return el("label", { class: "check" }, input, ` ${field.label}`);
  return el("label", input.type === "datetime-local" ? { class: "long" } : {}, field.label, input);
}

// A moment as the browser's own time, as inputs have it: without an offset.
function local(text) {
  const moment = new Date(text);
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().replace(/(\.000)?Z$/, "");
}

function newId({ maxLength }) {
  const id = `test-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  return id.slice(-maxLength);
}

function fill(values) {
  for (const { field, input } of inputs) {
    const value = values[field.name] ?? "";
    if (field.role === "id") input.value = newId(input);
    else if (input.type === "checkbox") input.checked = Boolean(value);
    else if (field.type === "flag") input.value = value === "" ? "" : String(Boolean(value));
    else input.value = field.format === "iso8601" && value ? local(value) : value;
  }
}

function flag(field, isSet) {
  return field.form === "0/1" ? Number(isSet) : isSet;
}

// What was entered, as the schema has it; null if nothing was, but for texts.
function valueOf({ field, input }) {
  if (input.type === "checkbox") return flag(field, input.checked);
  const text = input.value;
  if (field.type === "text" || field.type === "category") return text;
  if (text === "") return null;
  if (field.type === "flag") return flag(field, text === "true");
  return field.format === "iso8601" ? new Date(text).toISOString() : Number(text);
}

const empty = () => Object.create(null); // has no keys of its own, whatever they are called

// Puts a value where its path says: `a.list[0].b`.
function place(message, path, value) {
  const steps = path.split(".");
  const last = steps.length - 1;
  let here = message;
  steps.forEach((step, at) => {
    const key = step.replace(/\[0\]$/, "");
    const below = at === last ? value : empty();
    if (at === last || !(key in here)) here[key] = key === step ? below : [below];
    here = key === step ? here[key] : here[key][0];
  });
}

function message() {
  const made = empty();
  for (const each of inputs) {
    const value = valueOf(each);
    const isMissing = value === null || value === "";
    if (!(isMissing && each.field.optional)) place(made, each.field.path, value);
  }
  return made;
}

function explained(problem) {
  const nameAt = (path) => inputs.find(({ field }) => field.path === path)?.field.name || path;
  const errors = problem.document?.errors || [];
  return errors.length ? errors.map((each) => `${nameAt(each.field)}: ${each.problem}`).join("; ") : problem.message;
}

async function send() {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  put("try-answer", "Sent; waiting for the decision…");
  try {
    const options = { method: "POST", body: JSON.stringify(message()), headers: { "Content-Type": "application/json" } };
    const { status, document: answer } = await ask("/transactions?wait_seconds=10", options);
    put("try-answer", status === 200 ? "" : "It is accepted, and not decided yet; look it up later.");
    if (status === 200) show(answer);
  } catch (problem) {
    put("try-answer", explained(problem));
  } finally {
    button.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

export function setUp({ fields, presets }) {
  inputs = fields.filter((field) => field.asked !== false).map((field) => ({ field, input: inputOf(field) }));
  document.getElementById("try-fields").replaceChildren(...inputs.map(labelled));
  const buttons = presets.map(({ label, values }) => {
    const button = el("button", { type: "button" }, label);
    button.addEventListener("click", () => fill(values));
    return button;
  });
  document.getElementById("try-presets").replaceChildren(...buttons);
  form.querySelector("[type=submit]").disabled = false;
  fill(presets[0].values);
}
