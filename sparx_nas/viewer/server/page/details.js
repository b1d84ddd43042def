// What is known of the selected trial, and the panes below.

import { get, postForText, runPath } from "./api.js";
import { attempt } from "./notice.js";
import { set, state, subscribe } from "./state.js";
import { role, si, trialName } from "./trials.js";
import { drawingOf, parsedSvg } from "./wiring.js";

const el = (id) => document.getElementById(id);
const KINDS = { svg: "SVG drawing", png: "PNG drawing", json: "JSON, for Architecture.load", yaml: "YAML", graphml: "GraphML", graph: "Graph JSON (node-link)", py: "Python snippet" };
let asked = 0;
let featuresOf = null;

function made(tag, text, attributes = {}) {
  const element = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) element.textContent = text;
  return element;
}

async function load() {
  if (state.trial === null) return;
  asked += 1;
  const mine = asked;
  const number = state.trial;
  const found = await attempt(() => get(runPath(state.run, `trial/${number}`)));
  if (found && mine === asked) set({ detail: found });
}

function showFacts() {
  const d = state.detail;
  if (!d) return;
  el("facts-title").textContent = d.name[0].toUpperCase() + d.name.slice(1);
  const i = state.data ? state.data.place.get(d.number) : undefined;
  const said = i === undefined ? d.baseline : role(state.data, i);
  el("facts-role").textContent = [d.state, said].filter(Boolean).join(" · ");
  el("facts").replaceChildren(
    ...d.says.map(([label, value, behind]) => {
      const row = made("div");
      const data = made("dd", value);
      if (behind) data.append(made("small", behind));
      row.append(made("dt", label), data);
      return row;
    }),
  );
  el("facts-notes").replaceChildren(...d.notes.map((note) => made("li", note)));
}

function table(target, heads, rows) {
  const head = made("tr");
  head.append(...heads.map(([name, numeric]) => made("th", name, { scope: "col", className: numeric ? "n" : "" })));
  const body = rows.map((cells) => {
    const line = made("tr");
    line.append(...cells.map((cell, i) => made(i ? "td" : "th", cell, i ? { className: heads[i][1] ? "n" : "" } : { scope: "row" })));
    return line;
  });
  const thead = made("thead");
  const tbody = made("tbody");
  thead.append(head);
  tbody.append(...body);
  target.replaceChildren(thead, tbody);
}

// The layers of what is drawn: the what-if while there is one, else the selected trial.
function showLayers() {
  const d = state.edit ? state.edit.found : state.detail;
  if (!d) return;
  const heads = [["Layer"], ["Kind"], [`Channels x map at ${d.image_size} px`], ["Parameters", true], ["MACs", true], ["Reads"]];
  table(el("layers"), heads, d.layers.map((l) => [l.layer, l.kind, l.shape, l.params ? si(l.params) : "", l.macs ? si(l.macs) : "", l.reads.join(", ") || "-"]));
}

const share = (value) => (value === null || value === undefined ? "" : `${(100 * value).toFixed(1)} %`);

function showImportance() {
  const found = state.detail && state.detail.importance;
  if (!found) return;
  if (typeof found === "string") {
    el("importance-says").textContent = found;
    el("importance").replaceChildren();
    return;
  }
  el("importance-says").textContent = `${found.says} Measured on ${found.images} ${found.split} images, ${found.device}.`;
  const heads = [["Edge"], ["Attention mass", true], ["Gradient x activation", true], ["Top-1 lost without it", true], ["Log-likelihood lost", true]];
  const edges = [...found.edges].sort((a, b) => b.ablation_nll - a.ablation_nll);
  table(el("importance"), heads, edges.map((e) => [`${e.target} reads ${e.source}`, share(e.mass), share(e.gradient), share(e.ablation_top1), lostWords(e)]));
}

// What a cut loses, with how far other images might move it: 95 %, as the colours take it.
function lostWords(edge) {
  const error = edge.ablation_nll_error;
  const lost = edge.ablation_nll.toPrecision(3);
  if (error === undefined) return lost;
  const noise = 1.96 * error;
  return `${lost} ± ${noise.toPrecision(2)}${Math.abs(edge.ablation_nll) <= noise ? ", noise" : ""}`;
}

async function showFeatures() {
  if (state.tab !== "features" || !state.data || featuresOf === state.data) return;
  featuresOf = state.data;
  const found = await attempt(() => get(runPath(state.run, "features")));
  if (!found) return;
  el("features-says").replaceChildren(...found.sentences.map((text) => made("li", text)));
  el("features-chart").replaceChildren(...(found.svg ? [parsedSvg(found.svg)] : []));
}

function showTab() {
  document.body.dataset.tab = state.tab;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.dataset.tab === state.tab;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
}

function save(name, blob) {
  const link = made("a", "", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const drawn = () => postForText(runPath(state.run, "drawing.svg"), drawingOf());

async function png(name) {
  const image = new Image();
  const source = URL.createObjectURL(new Blob([await drawn()], { type: "image/svg+xml" }));
  await new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed, src: source }));
  const canvas = made("canvas", undefined, { width: 2 * image.width, height: 2 * image.height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  if (!matchMedia("(prefers-color-scheme: dark)").matches) context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(source);
  canvas.toBlob((blob) => save(name, blob));
}

async function exportAs(kind) {
  el("exports").open = false;
  const name = `${state.run}-${state.edit ? "what-if" : trialName(state.trial).replace(" ", "-")}`;
  if (kind === "png") return attempt(() => png(`${name}.png`));
  if (kind === "svg") return attempt(async () => save(`${name}.svg`, new Blob([await drawn()], { type: "image/svg+xml" })));
  if (state.edit) {
    const text = await attempt(() => postForText(runPath(state.run, `export.${kind}`), { architecture: state.edit.architecture }));
    return text && save(`${name}.${kind === "graph" ? "graph.json" : kind}`, new Blob([text]));
  }
  return location.assign(runPath(state.run, `export/${state.trial}.${kind}`));
}

function listExports() {
  const items = Object.entries(KINDS).map(([kind, label]) => {
    const button = made("button", label, { type: "button" });
    button.dataset.export = kind;
    button.addEventListener("click", () => exportAs(kind));
    return button;
  });
  const links = [["trials.csv", "All trials as CSV"], ["report.html", "Offline report"]].map(([file, label]) =>
    made("a", label, { href: runPath(state.run, file), download: "" }));
  el("export-list").replaceChildren(...[...items, ...links].map((item) => { const li = made("li"); li.append(item); return li; }));
}

export function startDetails() {
  listExports();
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => set({ tab: tab.dataset.tab }));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const tabs = [...document.querySelectorAll("[role=tab]")];
      const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
      set({ tab: next.dataset.tab });
      next.focus();
    });
  }
  subscribe((changed) => {
    if (changed.has("trial")) load();
    if (changed.has("data") && state.detail && ["running", "interrupted"].includes(state.detail.state)) load();
    if (changed.has("detail") || changed.has("data")) showFacts();
    if (changed.has("detail") || changed.has("edit")) showLayers();
    if (changed.has("detail")) showImportance();
    if (changed.has("tab")) showTab();
    if (changed.has("tab") || changed.has("data")) showFeatures();
  });
  showTab();
}

