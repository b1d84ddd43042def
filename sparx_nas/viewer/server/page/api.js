// Questions to the server; an answer that is an error is thrown with the server's own words.

export const boot = JSON.parse(document.getElementById("boot").textContent);

export class Refused extends Error {
  constructor(message, hint, status) {
    super(hint ? `${message} (${hint})` : message);
    this.status = status;
  }
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("the server does not answer", "is it still running?", 0);
  }
  if (response.ok) return response;
  let said = {};
  try {
    said = await response.json();
  } catch { /* not one of ours: the status says enough */ }
  throw new Refused(said.error || `the server answered ${response.status}`, said.hint, response.status);
}

export const runPath = (run, rest) => `/api/v1/run/${encodeURIComponent(run)}/${rest}`;

export const get = async (path) => (await asked(path)).json();

export async function getIfChanged(path, revision) {
  const response = await asked(path, { cache: "no-cache" });
  const now = response.headers.get("ETag");
  const note = decodeURIComponent(response.headers.get("X-SparX-Note") || "");
  return now === revision && !note ? null : { revision: now, note, value: await response.json() };
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-SparX-CSRF": boot.csrf };
  return (await asked(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

export async function postForText(path, body) {
  const headers = { "Content-Type": "application/json", "X-SparX-CSRF": boot.csrf };
  return (await asked(path, { method: "POST", headers, body: JSON.stringify(body) })).text();
}
