// The alarms of the watch on the page of quality.

import { ask } from "./api.js";
import { el, put, whole } from "./format.js";

const list = document.getElementById("alarms");

function item({ since, says, advice }, number, alarms) {
  const line = el("li", {}, el("strong", {}, `${since}: `), says);
  const last = alarms[number + 1]?.advice !== advice; // several of one kind have one advice
  if (last) line.append(el("span", { class: "note" }, ` What to do: ${advice}.`));
  return line;
}

function summary({ alarms, models }) {
  if (alarms.length) return `${whole(alarms.length)} ${alarms.length === 1 ? "alarm" : "alarms"}`;
  const judged = models.flatMap(({ days }) => days.slice(0, 2)).find(({ unjudged }) => !unjudged);
  if (judged) return `Nothing has changed by more than chance (${whole(judged.rows)} transactions on ${judged.day}).`;
  const told = models.flatMap(({ days }) => days.slice(0, 1)).find(({ unjudged }) => unjudged);
  return told ? `The last day is not judged, or not in all: ${told.unjudged}.` : "Nothing was scored yet.";
}

export async function watch() {
  const { document: told } = await ask("/watch");
  put("watched", summary(told));
  const shown = JSON.stringify(told.alarms);
  if (list.dataset.shown === shown) return; // screen readers are not disturbed
  list.dataset.shown = shown;
  list.replaceChildren(...told.alarms.map(item));
}
