// The keyboard: everything that the pointer can do.

import { set, state } from "./state.js";
import { enterTable, stepTrial } from "./table.js";
import { begin, end, redo, undo } from "./what-if.js";

const KEYS = {
  "[ and ]": "the trial before and after, as the table is sorted",
  "c": "in the table: compare this trial with the selected one; elsewhere: end the comparison",
  "v": "arcs, matrix, population",
  "w": "go to the wiring; arrows walk its layers, or the cells of the matrix; Enter picks one or changes it",
  "t": "go to the table; arrows walk its rows, Enter selects, Shift-Enter compares",
  "/": "find a trial",
  "e": "begin or end a what-if",
  "u and U": "undo and redo",
  "1 to 6": "trials, curves, layers, importance, features, what was sent",
  "Escape": "show all trials again, end the comparison",
  "?": "these keys",
};
const VIEWS = ["arc", "matrix", "population"];
const TABS = ["trials", "curves", "layers", "importance", "features", "sent"];

function focusFirst(selector) {
  const found = document.querySelector(selector);
  if (found) found.focus();
}

const ACTIONS = {
  "[": () => stepTrial(-1),
  "]": () => stepTrial(1),
  c: () => set({ vs: null }),
  v: () => set({ view: VIEWS[(VIEWS.indexOf(state.view) + 1) % VIEWS.length] }),
  m: () => set({ view: state.view === "matrix" ? "arc" : "matrix" }),
  w: () => focusFirst("#drawing [tabindex='0']"),
  t: () => { set({ tab: "trials" }); setTimeout(enterTable); },
  "/": () => { set({ tab: "trials" }); setTimeout(() => focusFirst("#find")); },
  e: () => (state.edit ? end() : begin()),
  u: undo,
  U: redo,
  "?": () => document.getElementById("help").showModal(),
  Escape: () => set({ vs: null, filter: null, find: "" }),
};
TABS.forEach((tab, i) => { ACTIONS[i + 1] = () => set({ tab }); });

export function startKeys() {
  const list = document.getElementById("keys");
  for (const [key, does] of Object.entries(KEYS)) {
    const row = document.createElement("div");
    const name = document.createElement("dt");
    const said = document.createElement("dd");
    name.textContent = key;
    said.textContent = does;
    row.append(name, said);
    list.append(row);
  }
  document.getElementById("help-open").addEventListener("click", ACTIONS["?"]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input:not([type=range]), select, textarea");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = ACTIONS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
