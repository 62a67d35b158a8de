// The stats page: keeps it live, and says so when it is not.

import { ask, limited, listen } from "./api.js";
import { Charts } from "./charts.js";
import * as decision from "./decision.js";
import * as form from "./form.js";
import { ago, put } from "./format.js";
import { askForKey } from "./key.js";
import * as tables from "./tables.js";

const STALE = 3500; // ms without news
const LONGEST_PAUSE = 5000; // ms between two attempts to connect

const status = document.getElementById("status");
const charts = new Charts();
const totals = []; // of the last seconds: [time, decisions]
let heardAt = 0;
let isDescribed = false; // whether the page knows the fields of transactions

function tell(state, text) {
  status.dataset.state = state;
  put("status", text);
  document.body.classList.toggle("stale", state === "stale" || (state === "limited" && heardAt > 0));
}

function currentRate(details) {
  totals.push([details.at, details.stats.decisions.total]);
  while (totals.length > 2 && totals[0][0] < details.at - 5) totals.shift();
  const [[since, before], [now, total]] = [totals[0], totals.at(-1)];
  if (now > since) return Math.max(0, total - before) / (now - since);
  const last = details.recent.seconds.at(-2);
  return last && last[0] > details.at - 25 ? (last[1] + last[2] + last[3]) / 10 : 0;
}

function show(details) {
  heardAt = Date.now();
  tell("live", "Live");
  tables.tiles(details, currentRate(details));
  tables.blocked(details.recent.blocked);
  tables.workers(details);
  charts.show(details.recent, details.at);
}

setInterval(() => {
  const silent = Date.now() - heardAt;
  if (heardAt && silent > STALE && status.dataset.state !== "limited") tell("stale", `Stale: last heard ${ago(silent / 1000)} ago`);
}, 500);

// Learns the fields of transactions. The page is live without, as when an older worker answers.
async function describe() {
  if (isDescribed) return;
  try {
    const { document: described } = await ask("/stats/form");
    for (const part of [decision, form, tables]) part.setUp(described);
    isDescribed = true;
  } catch (problem) {
    if ([401, 403, 429].includes(problem.status)) throw problem;
  }
}

async function stayConnected() {
  let pause = 500;
  for (;;) {
    try {
      await describe();
      await listen("/stats/stream", (details) => {
        pause = 500;
        show(details);
      });
    } catch (problem) {
      if (heardAt && status.dataset.state === "live") tell("stale", "Stale: connecting again");
      if (problem.status === 401 || problem.status === 403) {
        tell("key", "Key needed");
        await askForKey();
        pause = 0;
      } else if (await limited(problem, (sentence) => tell("limited", sentence))) {
        tell(heardAt ? "stale" : "connecting", "Connecting…");
        pause = 0;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(LONGEST_PAUSE, Math.max(500, 2 * pause));
  }
}

stayConnected();
