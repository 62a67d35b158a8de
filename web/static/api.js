// The API, with the key of this tab if there is one.

import { ago } from "./format.js";

const STORED = "fraudapp-key";
const LONGEST_WAIT = 24 * 3600; // s
const SILENCE = 6000; // ms without an event after which a stream counts as broken

export class Problem extends Error {
  constructor(response, document) {
    super(document.detail || `the server answered ${response.status}`);
    this.status = response.status;
    this.document = document;
    this.retryAfter = seconds(response.headers.get("Retry-After"));
  }
}

// What `Retry-After` says, a number or a date; a few seconds if it says nothing.
function seconds(text) {
  const given = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(given) ? 5 : Math.min(LONGEST_WAIT, Math.max(1, given));
}

async function refuse(response) {
  throw new Problem(response, await response.json().catch(() => ({})));
}

// Whether a problem is that requests were too many; then it calls `tell` with a sentence twice a
// second until one may be sent again.
export async function limited(problem, tell) {
  if (problem.status !== 429) return false;
  const until = Date.now() + problem.retryAfter * 1000;
  for (let left = until - Date.now(); left > 0; left = until - Date.now()) {
    tell(`Too many requests: going on in ${ago(left / 1000)}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(500, left)));
  }
  return true;
}

export function storedKey() {
  return sessionStorage.getItem(STORED);
}

export function storeKey(key) {
  sessionStorage.setItem(STORED, key);
}

export function forgetKey() {
  sessionStorage.removeItem(STORED);
}

export function authorized(headers = {}) {
  const key = storedKey();
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

export async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: authorized(options.headers) });
  if (!response.ok) await refuse(response);
  return { status: response.status, document: await response.json().catch(() => ({})) };
}

// Calls `heard` with the data of each server-sent event; returns or throws when the stream ends.
// EventSource would do, but it cannot send a key.
export async function listen(path, heard) {
  const gone = new AbortController();
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => gone.abort(), SILENCE);
  };
  alive();
  try {
    const response = await fetch(path, { headers: authorized(), signal: gone.signal });
    if (!response.ok) await refuse(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        if (event.startsWith("data: ")) heard(JSON.parse(event.slice(6)));
      }
    }
  } finally {
    clearTimeout(timer);
    gone.abort();
  }
}
