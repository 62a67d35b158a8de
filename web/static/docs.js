// Swagger UI over this server's own description.

import { ask, authorized, limited, storedKey } from "./api.js";
import { put } from "./format.js";
import { askForKey } from "./key.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

async function description() {
  for (;;) {
    try {
      return (await ask("/openapi.json")).document;
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) await askForKey();
      else if (!(await limited(problem, (sentence) => put("docs", sentence)))) throw problem;
    }
  }
}

const spec = await description();
window.SwaggerUIBundle({
  spec,
  domNode: document.getElementById("docs"),
  deepLinking: true,
  tryItOutEnabled: true,
  requestInterceptor: (request) => {
    const given = request.headers.Authorization || request.headers["X-API-Key"];
    if (storedKey() && !given) request.headers = authorized(request.headers);
    return request;
  },
});
