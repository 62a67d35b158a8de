// One decision: looked up, and shown whole.

import { ask } from "./api.js";
import { explain } from "./explanation.js";
import { el, money, put } from "./format.js";

const dialog = document.getElementById("decision");
document.getElementById("decision-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

const NAMES = { APPROVE: "Approved", FLAG: "Flagged", BLOCK: "Blocked" };
const MILLISECONDS = { iso8601: Date.parse, epoch: (value) => value * 1000, epoch_ms: Number }; // since 1970
const known = new Map(); // fields by name

// Tells what the fields of transactions are.
export function setUp({ fields }) {
  for (const field of fields) known.set(field.name, field);
}

// The value of a field for people. Another schema may have made it, so it may be of any type.
function readable(name, value, transaction) {
  const field = known.get(name) || {};
  if (value === null) return "–";
  if (field.type === "amount" && typeof value === "number") {
    return `${money(value, field.digits)} ${transaction[field.currency] || ""}`.trim();
  }
  const moment = new Date(MILLISECONDS[field.format]?.(value));
  return Number.isNaN(moment.getTime()) ? value : moment.toLocaleString("en-GB");
}

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
  const explanation = el("section", { id: "explanation", "aria-live": "polite" });
  document.getElementById("decision-body").replaceChildren(
    el("p", { class: `verdict ${tone}` }, NAMES[decision.decision], el("small", {}, `score ${decision.score.toFixed(4)}`)),
    because,
    explanation,
    facts([
      ["Transaction", decision.transaction_id],
      ["Decided", new Date(decision.decided_at).toLocaleString("en-GB")],
      ["Model", decision.model_version],
      ...Object.entries(decision.shadow || {}).map(([version, said]) => [
        "In shadow",
        `${version}: ${said.decision}, score ${said.score.toFixed(4)}`,
      ]),
      ["Policy", decision.policy_version],
      ["Input", `${decision.topic} / ${decision.partition} / ${decision.offset}`],
      ...Object.entries(transaction)
        .filter(([name]) => name !== "transaction_id")
        .map(([name, value]) => [name, readable(name, value, transaction)]),
    ]),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: "0" }, JSON.stringify(decision, null, 2))),
  );
  if (!dialog.open) dialog.showModal();
  explain(decision.transaction_id, explanation, (name, value) => readable(name, value, transaction));
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

document.getElementById("lookup").addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp(document.getElementById("lookup-id").value, "lookup-answer");
});
