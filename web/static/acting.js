// What a person asks for on a page that is kept up to date.

import { ask } from "./api.js";
import { put } from "./format.js";
import { askForKey } from "./key.js";

const JSON_TYPE = { "Content-Type": "application/json" };
let waking = () => {};

export const when = (iso) => (iso ? new Date(iso).toLocaleString("en-GB") : "");
export const post = (path, body, method = "POST") => ask(path, { method, body: JSON.stringify(body), headers: JSON_TYPE });

// Lets whoever waits for `asked` look again.
export const wake = () => waking();

// Resolves once somebody has done something.
export function asked() {
  return new Promise((resolve) => {
    waking = resolve;
  });
}

// Does what a person has asked for; a sentence on what is wrong goes to `answerAt`.
export async function act(answerAt, button, doIt) {
  button.disabled = true;
  try {
    await doIt();
  } catch (problem) {
    put(answerAt, problem.message);
    if (problem.status === 401) await askForKey();
  } finally {
    button.disabled = false;
    wake();
  }
}
