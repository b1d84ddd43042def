// Changing a wiring: every change is asked of the server, which knows the exact cost.

import { boot, get, post, runPath } from "./api.js";
import { poll } from "./live.js";
import { attempt, notice } from "./notice.js";
import { set, state, subscribe, unspelled } from "./state.js";
import { si, trialName } from "./trials.js";

const el = (id) => document.getElementById(id);
const COSTS = { params: "Parameters", macs: "MACs", activation_bytes: "Activation memory" };
// What-ifs that were left, by the trial they were begun on: Edit takes them up again.
const parked = new Map();
let queue = Promise.resolve();
// The stage whose sliders are shown: the third is the deepest of the published models.
let shownStage = 3;

// One change after the other, each on what the one before it came to.
function inTurn(action) {
  queue = queue.then(action, action);
  return queue;
}

const ask = (architecture, operation, base) =>
  attempt(() => post(runPath(state.run, "what-if"), { architecture, operation, base }));

export const change = (operation) => inTurn(() => apply(operation));

async function apply(operation) {
  const edit = state.edit;
  if (!edit) return;
  const found = await ask(edit.architecture, operation, edit.base);
  if (!found || !state.edit || state.edit.base !== edit.base) return;
  const same = JSON.stringify(found.architecture.ganglia) === JSON.stringify(edit.architecture.ganglia);
  const history = same ? edit.history : [...edit.history.slice(0, edit.at + 1), found.architecture.ganglia];
  const rules = { ...edit.rules };
  if (operation.kind === "rule" && !found.mistake) rules[operation.stage] = operation;
  else if (!same) delete rules[operation.stage];
  set({ edit: { ...edit, architecture: found.architecture, found, history, rules, at: same ? edit.at : history.length - 1 } });
}

// Ask again what the design leads to: the run has changed, or the design was sent.
const refresh = () => state.edit && change({ kind: "wiring", ganglia: state.edit.architecture.ganglia });

export async function begin(ganglia) {
  const base = state.trial;
  if (base === null) return;
  if (!ganglia && parked.has(base)) {
    set({ edit: parked.get(base) });
    refresh();
    return;
  }
  const known = state.detail && state.detail.number === base ? state.detail : await attempt(() => get(runPath(state.run, `trial/${base}`)));
  if (!known) return;
  const found = await ask(known.architecture, ganglia ? { kind: "wiring", ganglia } : undefined, base);
  // Another trial may have been selected meanwhile.
  if (!found || state.trial !== base) return;
  const first = known.architecture.ganglia;
  const history = ganglia && !found.mistake ? [first, found.architecture.ganglia] : [first];
  set({ edit: { base, architecture: found.architecture, found, history, rules: {}, at: history.length - 1 } });
}

export function end() {
  if (state.edit) parked.set(state.edit.base, state.edit);
  set({ edit: null });
}

const step = (by) => inTurn(async () => {
  const edit = state.edit;
  if (!edit || edit.at + by < 0 || edit.at + by >= edit.history.length) return;
  const at = edit.at + by;
  const found = await ask(edit.architecture, { kind: "wiring", ganglia: edit.history[at] }, edit.base);
  if (found && state.edit) set({ edit: { ...edit, architecture: found.architecture, found, at, rules: {} } });
});

export const undo = () => step(-1);
export const redo = () => step(1);

async function send() {
  const edit = state.edit;
  el("enqueue").disabled = true;
  const found = await attempt(() => post(runPath(state.run, "enqueue"), { architecture: edit.architecture }));
  if (found) {
    notice(found.accepted ? `Sent. ${found.words}` : found.words);
    await refresh();
    poll();
  }
  show();
}

function show() {
  const edit = state.edit;
  el("edit").setAttribute("aria-pressed", String(Boolean(edit)));
  el("edit").textContent = edit ? "End" : "Edit";
  el("edit").disabled = !edit && !state.detail;
  el("undo").disabled = !edit || edit.at === 0;
  el("redo").disabled = !edit || edit.at === edit.history.length - 1;
  el("edit-panel").hidden = !edit;
  el("edit-help").hidden = Boolean(edit);
  if (!edit) return;
  const found = edit.found;
  el("mistake").textContent = found.mistake;
  el("mistake").hidden = !found.mistake;
  showCost(found);
  el("latency").textContent = found.latency ? `Latency: ${found.latency}` : "";
  el("difference").textContent = `Against ${trialName(edit.base)}: ${found.difference}`;
  el("same").textContent = found.same_words;
  showSliders(found.rules, edit.rules);
  const verdict = found.verdict;
  el("verdict").textContent = boot.readOnly ? "This explorer only reads (--read-only)." : verdict.words;
  el("enqueue").disabled = boot.readOnly || !verdict.accepted;
}

function showCost(found) {
  const rows = Object.entries(COSTS).map(([name, label]) => {
    const now = found.cost[name];
    const was = found.base[name];
    const row = document.createElement("tr");
    const unit = name === "activation_bytes" ? "B" : "";
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = label;
    const cells = [`${si(now)}${unit}`, was ? signed(now - was, unit) : ""].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    });
    cells[0].title = now.toLocaleString("en");
    cells[0].dataset.exact = now;
    cells[0].dataset.cost = name;
    row.append(head, ...cells);
    return row;
  });
  el("cost").tBodies[0].replaceChildren(...rows);
}

const signed = (value, unit) => (value ? `${value > 0 ? "+" : "−"}${si(Math.abs(value))}${unit}` : "0");

// One row of sliders a stage, set to the rule that is nearest to what is drawn.
function showSliders(rules, byHand) {
  const box = el("sliders");
  const wanted = rules.map((rule) => rule.depth).join();
  if (box.dataset.depths !== wanted) {
    box.replaceChildren(...rules.map((rule, i) => stageSliders(i + 1, rule.depth)));
    el("stages").replaceChildren(...rules.map((_, i) => stageButton(i + 1)));
    box.dataset.depths = wanted;
    showStage(Math.min(shownStage, rules.length));
  }
  rules.forEach((rule, i) => {
    const fields = box.children[i];
    const put = (name, value) => {
      const slider = fields.querySelector(`[name=${name}]`);
      slider.value = value;
      slider.nextElementSibling.textContent = shownAs(name, Number(slider.value), rule.depth);
    };
    // The rule that was set by hand stands, until the stage is changed in another way.
    const own = byHand[i + 1];
    put("start", (own || rule).start);
    put("stride", (own || rule).stride);
    put("window", (own || rule).window ?? rule.depth);
    put("density", own ? own.density : 1);
    const said = rule.changes ? `nearest rule, ${rule.changes} ${rule.changes === 1 ? "edge" : "edges"} away: ${rule.words}` : rule.words;
    fields.querySelector(".rule").textContent = said;
    fields.querySelector("button").disabled = !rule.changes;
  });
}

// One stage's sliders at a time, so that drawing and cost stay in sight beside them.
function showStage(stage) {
  shownStage = stage;
  [...el("sliders").children].forEach((fields, i) => { fields.hidden = i + 1 !== stage; });
  [...el("stages").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i + 1 === stage)));
}

function stageButton(stage) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: `Stage ${stage}` });
  button.addEventListener("click", () => showStage(stage));
  return button;
}

function shownAs(name, value, depth) {
  if (name === "window") return value >= depth ? "all" : String(value);
  if (name === "start") return value > depth ? "none" : String(value);
  if (name === "density") return value.toFixed(2);
  return String(value);
}

function stageSliders(stage, depth) {
  const fields = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = `Stage ${stage}`;
  const rule = document.createElement("p");
  rule.className = "rule note";
  const take = document.createElement("button");
  take.type = "button";
  take.textContent = "Take the nearest rule";
  take.addEventListener("click", () => change({ kind: "rule", stage, ...values(fields, depth), density: 1 }));
  fields.append(legend);
  const ranges = { start: [1, depth + 1, 1], stride: [1, depth, 1], window: [1, depth, 1], density: [0.05, 1, 0.05] };
  for (const [name, [min, max, by]] of Object.entries(ranges)) {
    const label = document.createElement("label");
    const slider = Object.assign(document.createElement("input"), { type: "range", name, min, max, step: by, value: max });
    const shown = document.createElement("output");
    shown.textContent = shownAs(name, Number(slider.value), depth);
    slider.addEventListener("input", () => { shown.textContent = shownAs(name, Number(slider.value), depth); });
    slider.addEventListener("change", () => change({ kind: "rule", stage, ...values(fields, depth) }));
    label.append(name, slider, shown);
    fields.append(label);
  }
  fields.append(rule, take);
  return fields;
}

function values(fields, depth) {
  const read = (name) => Number(fields.querySelector(`[name=${name}]`).value);
  const window = read("window");
  return { start: read("start"), stride: read("stride"), window: window >= depth ? null : window, density: read("density") };
}

export function startEditing(fromAddress) {
  el("edit").addEventListener("click", () => (state.edit ? end() : begin()));
  el("undo").addEventListener("click", undo);
  el("redo").addEventListener("click", redo);
  el("enqueue").addEventListener("click", send);
  let waiting = fromAddress;
  subscribe((changed) => {
    if (changed.has("detail") && waiting && state.detail) {
      begin(unspelled(waiting));
      waiting = null;
    }
    if (changed.has("trial") && state.edit && state.trial !== state.edit.base) end();
    if (changed.has("edit") || changed.has("detail")) show();
    if (changed.has("data")) refresh();
  });
  show();
}
