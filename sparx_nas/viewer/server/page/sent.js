// What was sent to the search, and what became of it; what is still queued can be taken back.

import { boot, post, runPath } from "./api.js";
import { poll } from "./live.js";
import { attempt, notice } from "./notice.js";
import { set, state, subscribe } from "./state.js";
import { trialName, words } from "./trials.js";

const el = (id) => document.getElementById(id);
const STATES = { queued: "queued", running: "training", complete: "finished", interrupted: "interrupted", failed: "failed", infeasible: "over a limit", duplicate: "same as another trial" };

async function withdraw(number, button) {
  button.disabled = true;
  const found = await attempt(() => post(runPath(state.run, "withdraw"), { number }));
  if (found) notice(`${trialName(number)} is withdrawn.`);
  poll();
}

function button(text, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", () => action(made));
  return made;
}

function rowOf(one) {
  const row = document.createElement("tr");
  row.dataset.sent = one.number;
  const head = Object.assign(document.createElement("th"), { scope: "row", textContent: trialName(one.number) });
  const cells = [STATES[one.state] || one.state, words("top1", one.top1), one.ganglia, one.edges, one.wiring, one.guest ? "guest, beside the search" : "of the space"];
  row.append(head, ...cells.map((text, i) => Object.assign(document.createElement("td"), { textContent: text, className: [1, 2, 3].includes(i) ? "n" : "" })));
  const last = document.createElement("td");
  if (one.state !== "queued") last.append(button("Show", () => set({ trial: one.number })));
  else if (!boot.readOnly) last.append(button("Withdraw", (made) => withdraw(one.number, made)));
  row.append(last);
  return row;
}

function show() {
  const sent = (state.summary && state.summary.sent) || [];
  const queued = sent.filter((one) => one.state === "queued").length;
  el("tab-sent").textContent = sent.length ? `Sent (${sent.length})` : "Sent";
  const all = sent.length === 1 ? "1 design was sent" : `${sent.length} designs were sent`;
  const rest = queued ? `${queued} queued` : "none is queued";
  el("sent-says").textContent = sent.length
    ? `${all} to this search, ${rest}. What is queued is trained next, or when the run is resumed.`
    : "Nothing was sent to this search. Edit a wiring under What if, then send it.";
  el("sent").hidden = !sent.length;
  el("sent").tBodies[0].replaceChildren(...sent.map(rowOf));
}

export function startSent() {
  subscribe((changed) => changed.has("summary") && show());
  show();
}
