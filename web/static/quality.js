// The page of quality: how good decisions were, once labels have come.

import { ask, limited } from "./api.js";
import { el, put, whole } from "./format.js";
import { askForKey } from "./key.js";
import { models } from "./quality-models.js";
import { percent, rules, spread, versions, weeks } from "./quality-tables.js";
import { watch } from "./quality-watch.js";

const INTERVAL = 10000; // ms between two looks

const status = document.getElementById("status");
const period = document.getElementById("period");
let told = null;

function tell(state, text) {
  status.dataset.state = state;
  put("status", text);
}

function named() {
  return [
    ["all", "all weeks", told.total],
    ["mature", "all mature weeks", told.mature],
    ...told.weeks.map((each) => [each.week, `the week of ${each.week}`, each]),
  ];
}

function offer() {
  const names = named();
  const key = names.map(([name]) => name).join();
  if (period.dataset.shown === key) return;
  period.dataset.shown = key;
  const chosen = period.value;
  period.replaceChildren(...names.map(([name, text]) => el("option", { value: name }, text)));
  period.value = names.some(([name]) => name === chosen) ? chosen : "all";
}

function tile(id, share, note) {
  put(id, share ? percent(share.value) : "–");
  put(`${id}-note`, [spread(share), note].filter(Boolean).join(" · "));
}

function expected({ expected: mean }) {
  return mean === null ? "nothing decided" : `${percent(mean)} expected by scores`;
}

function show() {
  const [, , chosen] = named().find(([name]) => name === period.value);
  const { measured, maturity } = chosen;
  const { BLOCK, FLAG } = measured.outcomes;
  const frauds = Object.values(measured.outcomes).reduce((sum, each) => sum + each.frauds, 0);
  tile("precision", BLOCK.observed, expected(BLOCK));
  tile("flagged", FLAG.observed, expected(FLAG));
  tile("recall", measured.recall_block, frauds ? `${percent(measured.recall_stopped.value)} with flags` : "no fraud is labelled");
  const control = measured.control;
  tile("control", control?.recall, control ? `${whole(control.rows)} let through, ${whole(control.frauds)} frauds` : "the policy has no explore");
  put("explained", measured.rows ? `${whole(measured.rows)} decisions, of which ${percent(maturity.labelled)} are labelled. ${percent(maturity.decided)} were made ${told.mature_days} days ago or before, so that their labels can have come.` : "Nothing was decided.");
  versions(chosen.versions);
  rules(chosen.rules);
  weeks(told.weeks);
}

async function follow() {
  for (;;) {
    try {
      ({ document: told } = await ask("/quality"));
      offer();
      show();
      await Promise.all([models(), watch()]);
      tell("live", "Live");
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) {
        tell("key", "Key needed");
        await askForKey();
        continue;
      }
      if (!(await limited(problem, (sentence) => tell("limited", sentence)))) tell("stale", problem.message);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

period.addEventListener("change", show);
follow();
