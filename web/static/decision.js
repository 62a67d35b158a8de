// One decision: looked up, sent for, and shown whole.

import { ask } from "./api.js";
import { el, money, put } from "./format.js";

const dialog = document.getElementById("decision");
document.getElementById("decision-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

const NAMES = { APPROVE: "Approved", FLAG: "Flagged", BLOCK: "Blocked" };
const MONEY = ["amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest"];

function facts(rows) {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of rows) list.append(el("dt", {}, name), el("dd", {}, String(value)));
  return list;
}

export function show(decision) {
  const tone = decision.decision.toLowerCase();
  const because = el("ul", { class: "because", "aria-label": "Reasons" });
  for (const reason of decision.reasons) {
    const weight = reason.contribution ? `${reason.contribution > 0 ? "+" : ""}${reason.contribution.toFixed(2)}` : "rule";
    because.append(el("li", {}, el("span", {}, reason.text), el("span", { class: "badge", title: reason.code }, weight)));
  }
  const { transaction } = decision;
  document.getElementById("decision-body").replaceChildren(
    el("p", { class: `verdict ${tone}` }, NAMES[decision.decision], el("small", {}, `score ${decision.score.toFixed(4)}`)),
    because,
    facts([
      ["Transaction", decision.transaction_id],
      ["Decided", new Date(decision.decided_at).toLocaleString("en-GB")],
      ["Model", decision.model_version],
      ["Policy", decision.policy_version],
      ["Input", `${decision.topic} / ${decision.partition} / ${decision.offset}`],
      ...Object.entries(transaction)
        .filter(([name]) => name !== "transaction_id")
        .map(([name, value]) => [name, MONEY.includes(name) ? money(value) : value]),
    ]),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: "0" }, JSON.stringify(decision, null, 2))),
  );
  if (!dialog.open) dialog.showModal();
}

export async function lookUp(id, answerAt) {
  put(answerAt, "Looking…");
  try {
    const { status, document: found } = await ask(`/transaction/status?transaction_id=${encodeURIComponent(id)}`);
    put(answerAt, status === 200 ? "" : "It is accepted, and not decided yet.");
    if (status === 200) show(found);
  } catch (problem) {
    put(answerAt, problem.message);
  }
}

const PRESETS = {
  payment: { type: "PAYMENT", amount: 9839.64, oldbalanceOrg: 170136, newbalanceOrig: 160296.36, nameDest: "M1979787155" },
  drain: { type: "TRANSFER", amount: 850000, oldbalanceOrg: 850000, newbalanceOrig: 0 },
  flagged: { type: "TRANSFER", amount: 250000, oldbalanceOrg: 1000000, newbalanceOrig: 750000, isFlaggedFraud: true },
};

function fill(form, preset) {
  const id = `test-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const values = { transaction_id: id, step: 1, nameOrig: "C1231006815", nameDest: "C553264065", oldbalanceDest: 0, newbalanceDest: 0, isFlaggedFraud: false, ...PRESETS[preset] };
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
  }
}

function read(form) {
  const fields = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") fields[field.name] = Number(field.checked);
    else if (field.type === "number") fields[field.name] = field.value === "" ? null : Number(field.value);
    else fields[field.name] = field.value;
  }
  return fields;
}

function explained(problem) {
  const errors = problem.document?.errors || [];
  return errors.length ? errors.map((each) => `${each.field}: ${each.problem}`).join("; ") : problem.message;
}

async function send(form) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  put("try-answer", "Sent; waiting for the decision…");
  try {
    const options = { method: "POST", body: JSON.stringify(read(form)), headers: { "Content-Type": "application/json" } };
    const { status, document: answer } = await ask("/transactions?wait_seconds=10", options);
    put("try-answer", status === 200 ? "" : "It is accepted, and not decided yet; look it up later.");
    if (status === 200) show(answer);
  } catch (problem) {
    put("try-answer", explained(problem));
  } finally {
    button.disabled = false;
  }
}

export function setUpForms() {
  const lookup = document.getElementById("lookup");
  lookup.addEventListener("submit", (event) => {
    event.preventDefault();
    lookUp(document.getElementById("lookup-id").value, "lookup-answer");
  });
  const form = document.getElementById("try");
  fill(form, "payment");
  for (const button of document.querySelectorAll("[data-preset]")) {
    button.addEventListener("click", () => fill(form, button.dataset.preset));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
