// Starts the page: its parts, its head, what was asked for in its address.

import { boot, get } from "./api.js";
import { startCharts } from "./charts.js";
import { startDetails } from "./details.js";
import { startFind } from "./find.js";
import { startKeys } from "./keys.js";
import { poll, startLive } from "./live.js";
import { attempt, notice } from "./notice.js";
import { followHistory, readAddress, set, state, subscribe } from "./state.js";
import { startSent } from "./sent.js";
import { startTable } from "./table.js";
import { startEditing } from "./what-if.js";
import { startWiring } from "./wiring.js";

const count = (value) => value.toLocaleString("en");

function showSummary() {
  const s = state.summary;
  if (!s) {
    document.getElementById("progress").textContent = state.run ? "Reading the run …" : "";
    return;
  }
  const badge = document.getElementById("state");
  badge.textContent = s.state === "space" ? "space, nothing trained" : s.state;
  badge.dataset.state = s.state;
  const parts = [];
  if (s.asked) parts.push(`${count(s.trained ?? 0)} of ${count(s.asked)} trained`);
  const queued = (s.sent || []).filter((one) => one.state === "queued").length;
  if (queued) parts.push(`${queued} sent and queued`);
  if (s.running.length) parts.push(`${s.running.length} running`);
  if (s.counts.failed) parts.push(`${s.counts.failed} failed`);
  parts.push(`${count(s.trials)} ${s.state === "space" ? "designs" : "trials"}, ${count(s.wirings)} wirings`);
  const seed = s.seed === null ? "" : `seed ${s.seed}`;
  if (s.data) parts.push([s.data, s.fidelity, seed].filter(Boolean).join(", "));
  if (s.state === "running" && s.seconds_a_trial && s.asked > s.trained) {
    const minutes = ((s.asked - s.trained) * s.seconds_a_trial) / 60;
    parts.push(`about ${minutes < 1.5 ? "a minute" : `${Math.round(minutes)} minutes`} of training left`);
  }
  document.getElementById("progress").textContent = parts.join(" · ");
  document.getElementById("reliability").textContent = s.reliability;
  document.title = `${s.name} · SparX explorer`;
}

async function listRuns() {
  const found = await attempt(() => get("/api/v1/runs"));
  if (!found) return;
  const pick = document.getElementById("run");
  pick.replaceChildren(
    ...found.runs.map((run) => {
      const option = new Option(`${run.name}${run.state === "running" ? " (running)" : ""}`, run.name);
      option.selected = run.name === state.run;
      return option;
    }),
  );
  const several = found.runs.length > 1;
  pick.closest("label").hidden = !several;
  document.getElementById("run-name").hidden = several;
  pick.addEventListener("change", () => {
    location.assign(`?run=${encodeURIComponent(pick.value)}`);
  });
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    notice("The link is copied.");
  } catch {
    notice(location.href, true);
  }
}

function start() {
  const { edit, trial, vs, ...asked } = readAddress();
  set(asked);
  if (boot.asked && boot.asked !== boot.run) notice(`There is no run “${boot.asked}” here.`, true);
  startWiring();
  startFind();
  startTable();
  startDetails();
  startCharts();
  startEditing(edit);
  startKeys();
  startSent();
  subscribe((changed) => changed.has("summary") && showSummary());
  document.getElementById("run-name").textContent = state.run;
  showSummary();
  listRuns();
  document.getElementById("share").addEventListener("click", copyLink);
  document.addEventListener("visibilitychange", () => !document.hidden && poll());
  startLive({ trial, vs }).then(() => {
    document.body.dataset.ready = "yes";
    queueMicrotask(followHistory);
  });
}

start();
