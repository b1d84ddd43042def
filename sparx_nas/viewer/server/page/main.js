// Starts the page, keeps it live, and shows what went wrong.

import { boot, get, getIfChanged, runPath } from "./api.js";
import { startCharts } from "./charts.js";
import { startDetails } from "./details.js";
import { startKeys } from "./keys.js";
import { followHistory, readAddress, set, state, subscribe } from "./state.js";
import { startTable } from "./table.js";
import { indexed, measures, trialName } from "./trials.js";
import { startEditing } from "./what-if.js";
import { startWiring } from "./wiring.js";

const LIVE_MS = 2000;
const IDLE_MS = 10000;
let revision = null;
let timer = null;
let noticeTimer = null;
let wanted = {};
let noted = false;

export function notice(text, lasting = false) {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.hidden = !text;
  clearTimeout(noticeTimer);
  if (text && !lasting) noticeTimer = setTimeout(() => notice(""), 8000);
}

export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notice(error.message);
    return null;
  }
}

export async function poll() {
  clearTimeout(timer);
  if (!state.run) return;
  try {
    const found = await getIfChanged(runPath(state.run, "trials"), revision);
    if (found && found.revision !== revision) take(found);
    document.body.dataset.live = "yes";
    if (found && found.note) notice(found.note, true);
    else if (noted) notice("");
    noted = Boolean(found && found.note);
  } catch (error) {
    document.body.dataset.live = "no";
    notice(error.message, true);
  }
  const going = state.summary && state.summary.state === "running";
  if (!document.hidden && !boot.isSpace) timer = setTimeout(poll, going ? LIVE_MS : IDLE_MS);
}

function take(found) {
  const before = state.data;
  revision = found.revision;
  const data = indexed(found.value.columns);
  if (document.body.dataset.live === "no") notice("");
  if (before) tellArrivals(before, data);
  set({ data, summary: found.value.summary });
  settle(data);
}

// A new trial never replaces the one that is looked at; it is announced.
function tellArrivals(before, data) {
  const added = data.count - before.count;
  const reached = [...data.front].filter((number) => !before.front.has(number));
  if (!added && !reached.length) return;
  const said = added ? [`${added} new ${added === 1 ? "trial" : "trials"}`] : [];
  if (reached.length) said.push(`${reached.map(trialName).join(", ")} reached the front`);
  notice(said.join("; "));
}

// Choose what is shown where nothing was chosen, or what was asked for is not there.
function settle(data) {
  const changes = {};
  const usual = usualAxes(data);
  for (const [axis, before] of [["x", state.usualX], ["y", state.usualY]]) {
    const chosen = state[axis] && state[axis] !== before && measures(data).includes(state[axis]);
    if (!chosen) changes[axis] = usual[axis];
  }
  Object.assign(state, { usualX: usual.x, usualY: usual.y });
  for (const [name, number] of Object.entries(wanted)) {
    if (number === null) continue;
    if (data.place.has(number)) changes[name] = number;
    else notice(`${state.run} has no ${trialName(number)}`);
  }
  wanted = {};
  if (changes.vs !== undefined && changes.vs === changes.trial) delete changes.vs;
  if (state.trial === null && changes.trial === undefined) {
    const first = data.best ?? data.front.values().next().value ?? data.number[0];
    if (first !== undefined) changes.trial = first;
  }
  set(changes);
}

function usualAxes(data) {
  const names = Object.keys(data.measures);
  const objectives = (state.summary.objectives || []).map((o) => o.name).filter((name) => names.includes(name));
  const y = objectives[0] || (names.includes("params") ? "params" : names[0]) || "edges";
  const x = objectives[1] || (objectives.length ? "number" : names.includes("macs") ? "macs" : "number");
  return { x, y };
}

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
  if (s.waiting) parts.push(`${s.waiting} sent and waiting`);
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
  pick.closest("label").hidden = found.runs.length < 2;
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
  wanted = { trial, vs };
  set(asked);
  if (boot.asked && boot.asked !== boot.run) notice(`There is no run “${boot.asked}” here.`, true);
  startWiring();
  startTable();
  startDetails();
  startCharts();
  startEditing(edit);
  startKeys();
  subscribe((changed) => changed.has("summary") && showSummary());
  showSummary();
  listRuns();
  document.getElementById("share").addEventListener("click", copyLink);
  document.addEventListener("visibilitychange", () => !document.hidden && poll());
  poll().then(() => {
    document.body.dataset.ready = "yes";
    queueMicrotask(followHistory);
  });
}

start();
