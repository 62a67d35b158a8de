// The page of the policy: what is in force, what waits, and what is wrong.

import { act, asked, post, wake, when } from "./acting.js";
import { ask, limited } from "./api.js";
import { el, put } from "./format.js";
import { askForKey } from "./key.js";
import * as editor from "./policy-editor.js";
import * as history from "./policy-history.js";
import * as lists from "./policy-lists.js";

const INTERVAL = 5000; // ms between two looks at what is in force

const status = document.getElementById("status");

function tell(state, text) {
  status.dataset.state = state;
  put("status", text);
}

function described(policy) {
  if (!policy.number) return "The thresholds of the settings";
  const approved = policy.approved_by ? `, approved by ${policy.approved_by}` : "";
  return `Version ${policy.number} by ${policy.author}${approved}, ${when(policy.at)}`;
}

function endOf(cap) {
  const button = el("button", { type: "button" }, "End it");
  button.addEventListener("click", () => act("status", button, () => post("/policy/caps", { rule: cap.rule })));
  return button;
}

function banner(policy) {
  const what = (cap) => (cap.rule ? `Rule ${cap.rule} is in test` : "What would be blocked is flagged");
  const caps = policy.caps.map((cap) => el("li", {}, el("span", {}, `${what(cap)}: its cap has begun ${cap.since ? when(cap.since) : ""} at ${(100 * cap.share).toFixed(2)} %, seen by ${cap.author}. ${cap.note}`), endOf(cap)));
  document.getElementById("banner-notes").replaceChildren(...policy.notes.map((note) => el("li", {}, note)), ...caps);
  document.getElementById("banner").hidden = !(policy.notes.length || caps.length);
}

let shown = "";

function show(policy, { policies }) {
  const key = JSON.stringify([policy, policies]);
  if (key === shown) return; // focus and selection are not disturbed
  shown = key;
  put("version", policy.version);
  put("current", policy.in_force ? described(policy) : `${described(policy)}: it does not fit this worker, and another one decides`);
  put("explore", policy.explore ? `Of what the model alone would block, ${+(100 * policy.explore).toPrecision(6)} % is flagged instead, to learn from.` : "");
  put("models", policy.model ? `Model ${policy.model} scores${policy.shadow.length ? `; in its shadow${policy.canary ? "" : ", deciding nothing"}: ${policy.shadow.join(", ")}` : ""}.` : "");
  put("canary", policy.canary ? `The one in shadow decides for ${+(100 * policy.canary).toPrecision(6)} % of senders.` : "");
  put("current-note", policy.note);
  banner(policy);
  editor.show(policy);
  history.show(policies, policy);
  lists.show(policy.lists);
}

async function follow() {
  for (;;) {
    const asleep = asked();
    try {
      const [{ document: policy }, { document: told }] = await Promise.all([ask("/policy"), ask("/policy/history")]);
      show(policy, told);
      tell("live", "Live");
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) {
        tell("key", "Key needed");
        await askForKey();
        continue;
      }
      if (!(await limited(problem, (sentence) => tell("limited", sentence)))) tell("stale", problem.message);
    }
    await Promise.race([asleep, new Promise((resolve) => setTimeout(resolve, INTERVAL))]);
  }
}

document.getElementById("other-key")?.addEventListener("click", async () => {
  await askForKey("Enter the other key.");
  wake();
});

follow();
