// The form that asks for a key, shown when the server refuses.

import { forgetKey, storedKey, storeKey } from "./api.js";

const section = document.getElementById("key");

const REFUSED = "The server does not take this key.";

// Shows the form, and resolves once a key was entered.
export function askForKey(why = REFUSED) {
  const error = document.getElementById("key-error");
  const input = document.getElementById("key-input");
  error.textContent = storedKey() ? why : "";
  forgetKey();
  section.hidden = false;
  input.focus();
  return new Promise((resolve) => {
    document.getElementById("key-form").onsubmit = (event) => {
      event.preventDefault();
      if (!input.value.trim()) return;
      storeKey(input.value.trim());
      input.value = "";
      section.hidden = true;
      resolve();
    };
  });
}
