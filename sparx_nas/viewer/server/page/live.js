// Keeps the page live: asks for what is new, and chooses what is shown where nothing was chosen.

import { boot, getIfChanged, runPath } from "./api.js";
import { notice } from "./notice.js";
import { set, state } from "./state.js";
import { indexed, measures, trialName } from "./trials.js";

const LIVE_MS = 2000;
const IDLE_MS = 10000;
let revision = null;
let timer = null;
let wanted = {};
let noted = false;

// `asked` holds the trials that the address names.
export function startLive(asked) {
  wanted = asked;
  return poll();
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
