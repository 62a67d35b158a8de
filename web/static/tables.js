// Tiles and tables.

import { lookUp } from "./decision.js";
import { ago, clock, duration, el, money, put, rate, share, whole } from "./format.js";

const OUTCOMES = ["APPROVE", "FLAG", "BLOCK"];
const GONE = 15; // seconds without a report after which a worker counts as gone

export function tiles(details, now) {
  const { stats, recent, partitions, workers } = details;
  const { total, ...decisions } = stats.decisions;
  put("total", whole(total));
  put("since", recent.since ? `in ${ago(details.at - recent.since)}` : "none yet");
  for (const outcome of OUTCOMES) {
    put(`total-${outcome}`, whole(decisions[outcome]));
    put(`share-${outcome}`, share(decisions[outcome], total));
    put(`hour-${outcome}`, whole(recent.hour[outcome]));
  }
  put("rate", rate(now));
  const hour = OUTCOMES.reduce((sum, outcome) => sum + recent.hour[outcome], 0);
  put("rate-note", `${whole(hour)} in the last hour`);
  const slowest = (name) => Math.max(...workers.map((each) => each.latency[name] || 0), 0);
  put("latency", slowest("p50") ? duration(slowest("p50")) : "–");
  put("latency-note", slowest("p50") ? `p95 ${duration(slowest("p95"))} · p99 ${duration(slowest("p99"))}` : "median of the last minute");
  put("lag", whole(partitions.reduce((sum, each) => sum + (each.lag || 0), 0)));
  put("dead", whole(stats.dead_letters.total));
  const { total: _, ...reasons } = stats.dead_letters;
  const worst = Object.entries(reasons).sort((a, b) => b[1] - a[1])[0];
  put("dead-note", worst ? `most: ${worst[0]}` : "no rejected message");
  put("duplicates", whole(stats.duplicates));
  put("model", stats.model_version);
  put("policy", stats.policy_version);
  letters(reasons);
  if (details.policy) banner(details.policy);
}

// An older worker tells nothing of it.
function banner({ number, author, at, notes, caps }) {
  put("policy-author", number ? `by ${author}, ${new Date(at).toLocaleString("en-GB")}` : "");
  const what = ({ rule }) => (rule ? `Rule ${rule} is in test, since its cap has begun.` : "What would be blocked is flagged, since the cap has begun.");
  const shown = JSON.stringify([notes, caps]);
  const list = document.getElementById("banner-notes");
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...[...notes, ...caps.map(what)].map((each) => el("li", {}, each)));
  document.getElementById("banner").hidden = !list.children.length;
}

function replace(id, key, rows) {
  const body = document.querySelector(`#${id} tbody`);
  // What has not changed stays: focus, selection and screen readers are not disturbed.
  const shown = JSON.stringify(key);
  if (body.dataset.shown === shown) return;
  body.dataset.shown = shown;
  body.replaceChildren(...rows());
}

const cell = (label, attributes, ...children) => el("td", { "data-label": label, ...attributes }, ...children);

function letters(reasons) {
  const rows = Object.entries(reasons);
  replace("letters", rows, () =>
    rows.length
      ? rows.map(([reason, n]) => el("tr", {}, el("th", { scope: "row" }, reason), el("td", { class: "number" }, whole(n))))
      : [el("tr", {}, el("td", { class: "note" }, "None: every message was a valid transaction."))],
  );
}

const byRole = new Map(); // the fields with a role

// Shows only the columns that the schema has.
export function setUp({ fields }) {
  for (const field of fields) if (field.role) byRole.set(field.role, field);
  for (const head of document.querySelectorAll("#blocked [data-role]")) head.hidden = !byRole.has(head.dataset.role);
}

export function blocked(latest) {
  const roles = [...byRole.keys()];
  replace("blocked", [roles, latest], () => (latest.length ? latest.map(blockedRow) : [el("tr", {}, el("td", { class: "note", colspan: "6" }, "None yet."))]));
}

function amount(each) {
  return each.amount === null ? "–" : [money(each.amount, byRole.get("amount").digits), each.currency].filter(Boolean).join(" ");
}

function blockedRow(each) {
  const open = el("button", { class: "link mono", type: "button" }, each.transaction_id);
  open.addEventListener("click", () => lookUp(each.transaction_id, "lookup-answer"));
  const reasons = el("ul", { class: "reasons" }, ...each.reasons.map((reason) => el("li", { title: reason.code }, reason.text)));
  return el(
    "tr",
    {},
    cell("Transaction", {}, open),
    cell("Time", { class: "nowrap" }, clock(each.decided_at)),
    ...(byRole.has("kind") ? [cell("Type", {}, each.type ?? "–")] : []),
    ...(byRole.has("amount") ? [cell("Amount", { class: "number" }, amount(each))] : []),
    cell("Score", { class: "number" }, each.score.toFixed(3)),
    cell("Reasons", {}, reasons),
  );
}

export function workers(details) {
  const lagOf = new Map(details.partitions.map((each) => [each.number, each.lag || 0]));
  const unread = new Map(details.partitions.filter((each) => each.unread).map((each) => [each.number, each]));
  const rows = details.workers.map((each) => ({
    ...each,
    unread: each.partitions.map((number) => unread.get(number)).filter(Boolean),
    at: details.at - each.at > GONE ? each.at : null,
    lag: each.partitions.reduce((sum, number) => sum + lagOf.get(number), 0),
    other: each.policy_version === details.stats.policy_version ? null : each.policy_version,
  }));
  replace("workers", rows, () => rows.map(workerRow));
}

function reading({ number, unread, unread_seconds: left }) {
  const takes = left === null ? "" : `, about ${ago(left)}`;
  return [" ", el("span", { class: "badge flag" }, `${number}: ${whole(unread)} to read${takes}`)];
}

function workerRow(each) {
  const { p50, p95, p99 } = each.latency;
  const stores = Object.entries(each.stores).map(([name, { behind, down }]) => {
    const tone = down ? "block" : behind > 1000 ? "flag" : "approve";
    const state = down ? "down" : behind ? `${whole(behind)} behind` : "ok";
    return el("span", { class: `badge ${tone}` }, `${name} ${state}`);
  });
  const name = el("span", { class: "mono" }, each.name);
  const silent = each.at ? [" ", el("span", { class: "badge block" }, `silent since ${clock(each.at)}`)] : [];
  const other = each.other ? [" ", el("span", { class: "badge flag" }, `policy ${each.other}`)] : [];
  return el(
    "tr",
    {},
    cell("Worker", {}, el("span", {}, name, ...silent, ...other)),
    cell("Partitions", {}, el("span", {}, each.partitions.join(", "), ...each.unread.flatMap(reading))),
    cell("Lag", { class: "number" }, whole(each.lag)),
    cell("Latency", {}, p50 ? [p50, p95, p99].map(duration).join(" · ") : "–"),
    cell("Sinks", {}, el("span", {}, ...stores)),
  );
}
