// Why a decision is what it is: what raises the risk and what lowers it, from the base to the score.

import { ask } from "./api.js";
import { el } from "./format.js";

const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;

// A row with a bar, whose length is the share of the longest.
function row(text, number, { longest, tone = "", code = "", note = "" }) {
  const bar = el("span", { class: `bar ${tone}` });
  bar.style.width = `${longest ? (100 * Math.abs(number)) / longest : 0}%`;
  const what = el("th", { scope: "row", title: code }, text);
  if (note) what.append(el("small", {}, note));
  return el("tr", {}, what, el("td", { class: "bars", "aria-hidden": "true" }, bar), el("td", { class: "number" }, signed(number)));
}

function heading(text) {
  return el("tr", {}, el("th", { colspan: "3", scope: "rowgroup", class: "sense" }, text));
}

function group(id, title, tone, parts, longest, readable) {
  const rows = parts.map(({ text, contribution, code, values }) => {
    const note = Object.entries(values).map(([name, value]) => `${name} ${readable(name, value)}`);
    return row(text, contribution, { longest, tone, code, note: note.join(" · ") });
  });
  return parts.length ? [el("tbody", { id }, heading(title), ...rows)] : [];
}

function remarks({ recomputed, policy, score }) {
  const found = [];
  if (!recomputed.is_same) found.push(`Computed again, the score is ${recomputed.score.toFixed(4)}. ${recomputed.note}`);
  if (policy.flag_at !== null) found.push(`Score ${score.toFixed(4)}: flagged from ${policy.flag_at} on, blocked from ${policy.block_at} on.`);
  if (policy.flagged_upstream) found.push("The sender's own rule has flagged it.");
  if (policy.explored) found.push(`One of the ${100 * policy.explored} % of the model's blocks that are let through.`);
  for (const { rule, then, mode } of policy.hits) {
    found.push(`Rule ${rule} hit${then ? `: ${then}${mode === "active" ? "" : `, in ${mode}`}` : ""}.`);
  }
  return found.map((each) => el("p", { class: "note" }, each));
}

function table(told, readable) {
  const longest = Math.max(0, ...[...told.for, ...told.against].map((each) => Math.abs(each.contribution)));
  const sum = told.log_odds;
  const probability = told.base.probability.toPrecision(2);
  return el(
    "table",
    { class: "parts", "aria-label": "Explanation" },
    el("tbody", {}, row("Before anything is known", told.base.log_odds, { note: `a probability of ${probability}` })),
    ...group("raising", "Raises the risk", "block", told.for, longest, readable),
    ...group("lowering", "Lowers the risk", "approve", told.against, longest, readable),
    el("tfoot", {}, row("Together, in log-odds", sum, { note: `a score of ${told.score.toFixed(4)}` })),
  );
}

// Puts the explanation of a decision into an element; `readable` gives the value of a field for people.
export async function explain(transactionId, into, readable) {
  into.replaceChildren(el("p", { class: "note" }, "Explaining…"));
  try {
    const { document: told } = await ask(`/transaction/explain?transaction_id=${encodeURIComponent(transactionId)}`);
    into.replaceChildren(el("h3", {}, "What made the score"), table(told, readable), ...remarks(told));
  } catch (problem) {
    into.replaceChildren(el("p", { class: "note" }, `Not explained: ${problem.message}`));
  }
}
