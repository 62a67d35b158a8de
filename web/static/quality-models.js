// The models in service on the page of quality: which one decides, and what others say in its shadow.

import { when } from "./acting.js";
import { ask } from "./api.js";
import { el, put, whole } from "./format.js";
import { cell, number, replace } from "./quality-tables.js";

const badge = (tone, text) => el("span", { class: `badge ${tone}` }, text);

// 100 % is said only of all, and 0 % only of none.
function agreement({ rows, agreed }) {
  if (!rows) return "–";
  const percent = (100 * agreed) / rows;
  if (agreed && percent < 0.01) return "<0.01 %";
  return `${agreed === rows ? 100 : (Math.floor(percent * 100) / 100).toFixed(2)} %`;
}

function parts({ decides, canary, in_shadow: inShadow }) {
  const found = [];
  if (decides) found.push(badge("approve", "decides"));
  if (canary) found.push(badge("approve", `decides for ${+(100 * canary).toPrecision(6)} % of senders`));
  if (inShadow) found.push(badge("", "in shadow"));
  return el("span", {}, ...found);
}

function failures({ failures: n, problem }) {
  if (!n) return cell("No score", { class: "number" }, "0");
  return cell("No score", { class: "number" }, el("span", {}, badge("flag", whole(n)), el("small", { class: "note" }, `the last: ${problem}`)));
}

// The one that decides is in the shadow of the canary.
function inShadow(each) {
  if (!each.in_shadow && !each.rows && !each.failures) return ["Scored", "Same", "Another", "No score"].map((label) => cell(label, { class: "number" }, "–"));
  const { rows, agreed } = each;
  return [number("Scored", rows), cell("Same", { class: "number" }, agreement(each)), number("Another", rows - agreed), failures(each)];
}

// An older worker does not tell it.
function since({ since: at }) {
  if (at === undefined) return "–";
  return at ? when(at) : "before any policy";
}

function row(each) {
  const note = each.note ? [el("small", { class: "note" }, each.note)] : [];
  return el(
    "tr",
    {},
    cell("Model", {}, el("span", {}, el("span", { class: "mono" }, each.version), ...note)),
    cell("Part", {}, parts(each)),
    cell("Since", { class: "nowrap" }, since(each)),
    ...inShadow(each),
  );
}

function unused(count) {
  if (!count) return "";
  return count === 1 ? "One more is known here, and no policy in force names it." : `${whole(count)} more are known here, and the policy in force names none of them.`;
}

export async function models() {
  const { document: told } = await ask("/models");
  const serving = told.models.filter((each) => each.decides || each.in_shadow);
  replace("service", serving, () => serving.map(row));
  document.getElementById("no-shadow").hidden = serving.some((each) => each.in_shadow);
  put("others", unused(told.models.length - serving.length));
}
