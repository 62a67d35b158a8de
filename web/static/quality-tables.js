// The tables of the page of quality.

import { el, whole } from "./format.js";

const OUTCOMES = ["BLOCK", "FLAG", "APPROVE"];

export function percent(part) {
  return part === null || part === undefined ? "–" : `${(100 * part).toFixed(1)} %`;
}

export function spread(share) {
  return share ? `${(100 * share.low).toFixed(1)}–${percent(share.high)}` : "";
}

export const cell = (label, attributes, ...children) => el("td", { "data-label": label, ...attributes }, ...children);
export const number = (label, n) => cell(label, { class: "number" }, whole(n));

function interval(label, share) {
  if (!share) return cell(label, { class: "note" }, "unknown");
  return cell(label, { class: "nowrap" }, el("span", {}, `${percent(share.value)} `, el("span", { class: "interval" }, spread(share))));
}

// Fills a table unless it shows the same.
export function replace(id, key, rows) {
  const body = document.querySelector(`#${id} tbody`);
  const shown = JSON.stringify(key);
  if (body.dataset.shown === shown) return; // focus, selection and screen readers are not disturbed
  body.dataset.shown = shown;
  const made = rows();
  const columns = body.parentElement.tHead.rows[0].cells.length;
  body.replaceChildren(...(made.length ? made : [el("tr", {}, el("td", { class: "note", colspan: columns }, "None."))]));
}

function bar({ decided }) {
  if (decided === null) return "–";
  const meter = el("meter", { min: 0, max: 1, value: decided, "aria-label": `${percent(decided)} mature` }, percent(decided));
  return el("span", { class: "nowrap" }, meter, `${Math.round(100 * decided)} %`);
}

export function weeks(told) {
  replace("weeks", told, () =>
    told.map(({ week, maturity, measured }) => {
      const { BLOCK } = measured.outcomes;
      return el(
        "tr",
        {},
        cell("Week of", { class: "nowrap" }, week),
        number("Decided", measured.rows),
        number("Blocked", BLOCK.rows),
        cell("Mature", {}, bar(maturity)),
        cell("Labelled", { class: "number" }, percent(maturity.labelled)),
        interval("Precision", BLOCK.observed),
        cell("Expected", { class: "number" }, percent(BLOCK.expected)),
        interval("Recall", measured.recall_block),
        cell("Good blocked", { class: "number" }, percent(measured.false_positives?.value)),
      );
    }),
  );
}

export function versions(told) {
  replace("versions", told, () => told.flatMap(({ model, policy, measured }) => OUTCOMES.map((outcome) => versionRow(model, policy, outcome, measured.outcomes[outcome]))));
}

function versionRow(model, policy, outcome, each) {
  return el(
    "tr",
    {},
    cell("Model", { class: "mono" }, model),
    cell("Policy", { class: "mono" }, policy),
    cell("Outcome", {}, el("span", { class: `badge ${outcome.toLowerCase()}` }, outcome)),
    number("Decisions", each.rows),
    number("Frauds", each.frauds),
    number("Legitimate", each.legitimate),
    interval("Frauds in labelled", each.observed),
    cell("Expected", { class: "number" }, percent(each.expected)),
  );
}

export function rules(told) {
  replace("rules", told, () =>
    told.map((each) =>
      el(
        "tr",
        {},
        cell("Rule", { class: "mono" }, each.rule),
        number("Hits", each.rows),
        number("Frauds", each.frauds),
        number("Legitimate", each.legitimate),
        interval("Frauds in labelled", each.observed),
        interval("Of all frauds", each.recall),
      ),
    ),
  );
}
