// All trials in a table that only draws the rows in sight.

import { sayFound, shownRows } from "./find.js";
import { set, state, subscribe } from "./state.js";
import { role, stateOf, trialName, value, words } from "./trials.js";

const ROW = 30;
const AROUND = 12;
const MOST_HEIGHT = 440;
const scroll = document.getElementById("table-scroll");
const table = document.getElementById("table");
let rows = [];
// How the rows are sorted: a column's name, with a minus in front for the largest first.
const sorting = () => ({ name: state.sort.replace(/^-/, ""), down: state.sort.startsWith("-") });
let columns = [];

const columnsOf = (data) => [
  "number", "state", "role",
  ...["top1", "val_loss", "test_top1", "latency_ms", "macs", "params", "activation_bytes"].filter((name) => data.measures[name]),
  "density", "edges", "ganglia", "span",
  ...(data.measures.seconds ? ["seconds"] : []),
  "wiring",
];
const HEADS = { number: "Trial", state: "State", role: "Role", top1: "Val top-1", val_loss: "Val loss", test_top1: "Test top-1", macs: "MACs", params: "Params", activation_bytes: "Act. memory", latency_ms: "Latency", density: "Density", edges: "Edges", ganglia: "Ganglia", span: "Span", seconds: "Time", wiring: "Wiring" };
const TEXT = new Set(["state", "role", "wiring"]);

function cellText(data, i, name) {
  if (name === "number") return data.number[i] < 0 ? trialName(data.number[i]) : String(data.number[i]);
  if (name === "state") return stateOf(data, i);
  if (name === "role") return role(data, i);
  if (name === "wiring") return data.wirings.id[data.wiring[i]];
  return words(name, value(data, i, name));
}

function sortKey(data, i, sort) {
  return TEXT.has(sort.name) ? cellText(data, i, sort.name) : value(data, i, sort.name);
}

function refresh() {
  const data = state.data;
  if (!data) return;
  const wanted = columnsOf(data);
  if (wanted.join() !== columns.join()) {
    columns = wanted;
    drawHead();
  }
  rows = shownRows(data);
  const sort = sorting();
  const keys = new Map(rows.map((i) => [i, sortKey(data, i, sort)]));
  const sign = sort.down ? -1 : 1;
  rows.sort((a, b) => {
    const x = keys.get(a);
    const y = keys.get(b);
    if (x === y) return a - b;
    if (x === null || x === undefined || x === "") return 1;
    if (y === null || y === undefined || y === "") return -1;
    return x < y ? -sign : sign;
  });
  sayFound(rows.length);
  const all = rows.length === data.count;
  document.getElementById("shown").textContent = all
    ? `All ${data.count.toLocaleString("en")} trials` : `Showing ${rows.length.toLocaleString("en")} of ${data.count.toLocaleString("en")} trials`;
  document.getElementById("unfilter").hidden = !state.filter && !state.find;
  if (scroll.scrollTop > rows.length * ROW) scroll.scrollTop = 0;
  table.setAttribute("aria-rowcount", String(rows.length + 1));
  scroll.style.height = `${Math.min(MOST_HEIGHT, (rows.length + 1) * (ROW + 1) + 6)}px`;
  drawRows();
}

function drawHead() {
  const line = document.createElement("tr");
  for (const name of columns) {
    const head = document.createElement("th");
    head.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = HEADS[name];
    button.addEventListener("click", () => {
      const now = sorting();
      const down = now.name === name ? !now.down : name === "top1" || name === "test_top1";
      set({ sort: `${down ? "-" : ""}${name}` });
    });
    head.append(button);
    head.dataset.name = name;
    if (!TEXT.has(name)) head.classList.add("n");
    line.append(head);
  }
  table.tHead.replaceChildren(line);
  showSort();
}

function showSort() {
  const sort = sorting();
  for (const head of table.tHead.querySelectorAll("th")) {
    head.setAttribute("aria-sort", head.dataset.name !== sort.name ? "none" : sort.down ? "descending" : "ascending");
  }
}

function drawRows() {
  const data = state.data;
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - AROUND);
  const last = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + AROUND);
  const focused = table.contains(document.activeElement) ? document.activeElement.dataset.number : null;
  const lines = [spacer(first * ROW)];
  for (let at = first; at < last; at += 1) lines.push(drawRow(data, rows[at], at));
  lines.push(spacer((rows.length - last) * ROW));
  table.tBodies[0].replaceChildren(...lines);
  // Tab finds a row as well where the selected one is out of sight.
  if (!table.querySelector("tr[tabindex='0']")) table.querySelector("tr[data-number]")?.setAttribute("tabindex", "0");
  const again = focused === null ? null : table.querySelector(`[data-number="${focused}"]`);
  if (again) again.focus({ preventScroll: true });
}

function spacer(height) {
  const line = document.createElement("tr");
  line.className = "spacer";
  line.setAttribute("aria-hidden", "true");
  line.style.height = `${height}px`;
  return line;
}

function drawRow(data, i, at) {
  const line = document.createElement("tr");
  const number = data.number[i];
  line.dataset.number = number;
  line.dataset.at = at;
  line.setAttribute("aria-rowindex", String(at + 2));
  line.tabIndex = number === state.trial ? 0 : -1;
  if (data.front.has(number)) line.classList.add("front");
  if (number === state.trial) line.classList.add("selected");
  if (number === state.vs) line.classList.add("versus");
  line.setAttribute("aria-selected", String(number === state.trial));
  for (const name of columns) {
    const cell = document.createElement(name === "number" ? "th" : "td");
    if (name === "number") cell.scope = "row";
    cell.textContent = cellText(data, i, name);
    if (!TEXT.has(name)) cell.classList.add("n");
    line.append(cell);
  }
  return line;
}

export function choose(number, compare) {
  if (compare && number !== state.trial) set({ vs: state.vs === number ? null : number });
  else set({ trial: number, vs: state.vs === number ? null : state.vs });
}

export function stepTrial(by) {
  const data = state.data;
  if (!data || !rows.length) return;
  const here = rows.findIndex((i) => data.number[i] === state.trial);
  const next = rows[Math.min(rows.length - 1, Math.max(0, here + by))];
  choose(data.number[next], false);
  reveal(data.number[next]);
}

// The keyboard enters at the selected trial, or at the first row where the filter left it out.
export function enterTable() {
  if (!rows.length) return scroll.focus();
  const at = Math.max(0, rows.findIndex((i) => state.data.number[i] === state.trial));
  const number = state.data.number[rows[at]];
  reveal(number);
  return table.querySelector(`[data-number="${number}"]`)?.focus({ preventScroll: true });
}

export function reveal(number) {
  const at = rows.findIndex((i) => state.data.number[i] === number);
  if (at < 0) return;
  const top = at * ROW;
  if (top < scroll.scrollTop || top + 2 * ROW > scroll.scrollTop + scroll.clientHeight) {
    scroll.scrollTop = Math.max(0, top - scroll.clientHeight / 2);
  }
  drawRows();
}

function onKey(event) {
  const line = event.target.closest("tr[data-number]");
  if (!line) return;
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
  if (by) {
    event.preventDefault();
    const at = Math.min(rows.length - 1, Math.max(0, Number(line.dataset.at) + by));
    const number = state.data.number[rows[at]];
    reveal(number);
    table.querySelector(`[data-number="${number}"]`)?.focus({ preventScroll: true });
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(Number(line.dataset.number), event.shiftKey);
  } else if (event.key === "c") {
    event.stopPropagation();
    choose(Number(line.dataset.number), true);
  }
}

export function startTable() {
  let pending = false;
  scroll.addEventListener("scroll", () => {
    if (pending || !state.data) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; drawRows(); });
  });
  table.tBodies[0].addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-number]");
    if (line) choose(Number(line.dataset.number), event.shiftKey);
  });
  table.tBodies[0].addEventListener("keydown", onKey);
  const find = document.getElementById("find");
  find.addEventListener("input", () => set({ find: find.value }));
  document.getElementById("unfilter").addEventListener("click", () => { find.value = ""; set({ find: "", filter: null }); });
  subscribe((changed) => {
    if (changed.has("sort")) showSort();
    if (["data", "filter", "find", "sort", "stages"].some((name) => changed.has(name))) {
      find.value = state.find;
      refresh();
    } else if (state.data && (changed.has("trial") || changed.has("vs"))) drawRows();
  });
}
