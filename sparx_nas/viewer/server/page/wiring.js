// The drawing of a wiring: fetched as SVG, then walked, isolated and edited here.

import { boot, post, runPath } from "./api.js";
import { shownRows } from "./find.js";
import { attempt } from "./notice.js";
import { set, state, subscribe } from "./state.js";
import { trialName } from "./trials.js";
import { change } from "./what-if.js";

const box = document.getElementById("drawing");
let asked = 0;
let pinned = null;
const PLAIN_COLORS = ["class", "age"];

export function parsedSvg(text) {
  const made = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (made.nodeName !== "svg") throw new Error("the server sent no drawing");
  return document.importNode(made, true);
}

// What the server is asked to draw.
export function drawingOf() {
  const asked = { a: state.edit ? state.edit.architecture : state.trial, view: state.view, width: state.width };
  asked.color = measuredHere() ? state.color : plainColor();
  if (state.vs !== null) asked.b = state.vs;
  if (state.view === "population" && state.data && (state.filter || state.find)) {
    asked.only = shownRows(state.data).map((i) => state.data.number[i]);
  }
  return asked;
}

export async function draw() {
  if (state.trial === null && !state.edit) return;
  asked += 1;
  const mine = asked;
  const found = await attempt(() => post(runPath(state.run, "wiring"), drawingOf()));
  if (mine !== asked) return;
  if (!found) {
    box.replaceChildren();
    showKey([]);
    showWords("not drawn");
    return;
  }
  const focused = box.contains(document.activeElement) ? placeOf(document.activeElement) : null;
  box.replaceChildren(parsedSvg(found.svg));
  showKey(found.key);
  showWords(found.words, found.scores);
  ready(focused);
}

const plainColor = () => (PLAIN_COLORS.includes(state.color) ? state.color : "class");

// Importance belongs to one trained design, and is known once its details have come.
const measuredHere = () =>
  !state.edit && state.detail && state.detail.number === state.trial && typeof state.detail.importance === "object";

function showKey(rows) {
  const list = document.getElementById("key");
  list.replaceChildren(
    ...rows.map(([said, drawn]) => {
      const item = document.createElement("li");
      const sample = parsedSvg(
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 22" width="22" height="22" class="sx sx-wiring sx-matrix" aria-hidden="true">${drawn}</svg>`,
      );
      item.append(sample, said);
      return item;
    }),
  );
}

function showWords(words, scores = []) {
  document.getElementById("compare-scores").textContent = scores.join(" ");
  const line = document.getElementById("compare-words");
  const here = state.edit ? "the what-if" : trialName(state.trial);
  const versus = state.vs === null ? "" : `From ${here} (A) to ${trialName(state.vs)} (B): `;
  line.textContent = state.view === "population" ? words : versus + words;
  document.getElementById("compare-clear").hidden = state.vs === null;
  const name = state.view === "population" ? "Population" : state.edit ? "What-if" : state.trial === null ? "Wiring" : trialName(state.trial);
  document.getElementById("wiring-title").textContent = name[0].toUpperCase() + name.slice(1);
}

// What the arrows walk over: layers, or the cells of a matrix.
const stops = () => [...box.querySelectorAll(state.view === "matrix" ? "[data-edge][data-source]" : "[data-layer]")];

const placeOf = (stop) => stop.dataset.layer || `${stop.dataset.source}>${stop.dataset.target}`;

// They take the focus one at a time.
function ready(focused) {
  const drawing = box.querySelector("svg");
  if (!drawing) return;
  drawing.setAttribute("role", "group");
  // A small wiring is not blown up to the width of the panel.
  drawing.style.maxWidth = `${1.35 * Number(drawing.getAttribute("width"))}px`;
  const all = stops();
  all.forEach((stop, i) => {
    stop.setAttribute("tabindex", i ? "-1" : "0");
    stop.setAttribute("role", "button");
    const title = stop.querySelector("title");
    if (title) stop.setAttribute("aria-label", title.textContent.replaceAll("\n", ", "));
  });
  box.querySelectorAll("[data-layer]").forEach(widen);
  box.querySelectorAll("path[data-kind=aggregate]").forEach(thicken);
  box.classList.toggle("editable", Boolean(state.edit));
  const again = all.find((stop) => placeOf(stop) === focused);
  if (again) focusOn(all, again);
  if (pinned) isolate(pinned);
  box.dataset.ready = String(asked);
}

// What is clicked is larger than what is seen: a finger is wider than a symbol, and than a line.
function widen(layer) {
  const { x, y, width, height } = layer.getBBox();
  const hit = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const room = Math.max(0, (22 - width) / 2);
  const place = { x: x - room, y: y - 4, width: width + 2 * room, height: height + 6, class: "hit" };
  Object.entries(place).forEach(([name, value]) => hit.setAttribute(name, value));
  layer.append(hit);
}

function thicken(edge) {
  const hit = edge.cloneNode(true);
  hit.removeAttribute("data-kind");
  hit.setAttribute("class", "hit");
  edge.after(hit);
}

function focusOn(layers, layer) {
  layers.forEach((other) => other.setAttribute("tabindex", other === layer ? "0" : "-1"));
  layer.focus();
}

function isolate(name) {
  box.classList.toggle("isolating", Boolean(name));
  const near = new Set(name ? [name] : []);
  for (const edge of box.querySelectorAll("[data-source][data-target]")) {
    const on = name && (edge.dataset.target === name || (edge.dataset.source === name && edge.dataset.kind === "aggregate"));
    edge.classList.toggle("near", Boolean(on));
    if (on) near.add(edge.dataset.source).add(edge.dataset.target);
  }
  for (const layer of box.querySelectorAll("[data-layer]")) {
    layer.classList.toggle("near", near.has(layer.dataset.layer));
  }
}

function tell(element) {
  const title = element && element.querySelector(":scope > title");
  document.getElementById("tip").textContent = title ? title.textContent.replaceAll("\n", " · ") : " ";
}

const layerOf = (event) => event.target.closest("[data-layer]");
const edgeOf = (event) => event.target.closest("[data-source][data-target]");

function act(event) {
  const layer = layerOf(event);
  const edge = layer ? null : edgeOf(event);
  if (event.target.closest("[data-half=b], [data-layer][data-side=b]")) return;
  if (state.edit && state.view !== "population") {
    if (layer && !layer.dataset.layer.endsWith(".0")) return toggleLayer(layer.dataset.layer);
    if (edge && (edge.dataset.kind || "aggregate") === "aggregate") return toggleEdge(edge);
  }
  pinned = layer && pinned !== layer.dataset.layer ? layer.dataset.layer : null;
  return isolate(pinned);
}

function toggleLayer(name) {
  const [stage, layer] = name.split(".").map(Number);
  return change({ kind: "layer", stage, layer });
}

function toggleEdge(edge) {
  const [stage, source] = edge.dataset.source.split(".").map(Number);
  const target = Number(edge.dataset.target.split(".")[1]);
  return change({ kind: "edge", stage, source, target });
}

function walk(event) {
  const all = stops();
  const here = all.indexOf(document.activeElement);
  if (here < 0) return;
  const beside = state.view === "matrix" ? besideCell : besideLayer;
  const next = {
    ArrowRight: () => all[here + 1],
    ArrowLeft: () => all[here - 1],
    ArrowUp: () => beside(all, all[here], -1),
    ArrowDown: () => beside(all, all[here], 1),
    Home: () => all[0],
    End: () => all[all.length - 1],
  }[event.key];
  if (next) {
    event.preventDefault();
    const found = next();
    if (found) focusOn(all, found);
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    act(event);
  }
}

// The layer of the stage above or below that stands under or over this one; lanes end together.
function besideLayer(all, stop, by) {
  const [stage, layer] = stop.dataset.layer.split(".").map(Number);
  const layersOf = (s) => all.filter((other) => other.dataset.layer.startsWith(`${s}.`));
  const wanted = Math.max(0, layer - layersOf(stage).length + layersOf(stage + by).length);
  return all.find((other) => other.dataset.layer === `${stage + by}.${wanted}`);
}

// The cell of the same source in the next row up or down.
function besideCell(all, stop, by) {
  const [stage, layer] = stop.dataset.target.split(".").map(Number);
  const target = `${stage}.${layer + by}`;
  return all.find((other) => other.dataset.target === target && other.dataset.source === stop.dataset.source);
}

function showChoices() {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
  }
  for (const name of ["color", "width"]) {
    const pick = document.getElementById(name);
    pick.value = name === "color" && !measuredHere() ? plainColor() : state[name];
    pick.disabled = state.view !== "arc" || state.vs !== null;
  }
  const group = document.getElementById("importance-colors");
  group.disabled = !measuredHere();
  group.label = group.disabled ? "importance (not measured)" : "importance";
}

export function startWiring() {
  ready(null);
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => set({ view: button.dataset.view }));
  }
  for (const name of ["color", "width"]) {
    document.getElementById(name).addEventListener("change", (event) => set({ [name]: event.target.value }));
  }
  document.getElementById("compare-clear").addEventListener("click", () => set({ vs: null }));
  box.addEventListener("click", act);
  box.addEventListener("keydown", walk);
  box.addEventListener("pointerover", (event) => {
    const layer = layerOf(event);
    tell(layer || edgeOf(event));
    if (!pinned) isolate(layer ? layer.dataset.layer : null);
  });
  box.addEventListener("pointerleave", () => { tell(null); if (!pinned) isolate(null); });
  box.addEventListener("focusin", (event) => {
    const layer = layerOf(event);
    const stop = layer || edgeOf(event);
    tell(stop);
    if (layer && !pinned) isolate(layer.dataset.layer);
    if (stop) document.getElementById("says").textContent = stop.getAttribute("aria-label") || "";
  });
  subscribe((changed) => {
    const names = ["trial", "vs", "view", "color", "width", "edit", "detail"];
    if (names.some((name) => changed.has(name))) showChoices();
    if (changed.has("trial")) pinned = null;
    const population = state.view === "population" && ["data", "filter", "find", "stages"].some((name) => changed.has(name));
    const importance = changed.has("detail") && !PLAIN_COLORS.includes(state.color);
    if (population || importance || ["trial", "vs", "view", "color", "width", "edit"].some((name) => changed.has(name))) draw();
  });
  showChoices();
  if (boot.trial !== null && !box.firstChild) draw();
}
