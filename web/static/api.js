// The API, with the key of this tab if there is one.

const STORED = "fraudapp-key";
const SILENCE = 6000; // ms without an event after which a stream counts as broken

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || `the server answered ${status}`);
    this.status = status;
    this.document = document;
  }
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
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, document);
  return { status: response.status, document };
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
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
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
