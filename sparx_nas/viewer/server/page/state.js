// One selection for the whole page, mirrored in the address.

import { boot } from "./api.js";

const CHOICES = {
  view: ["arc", "matrix", "population"],
  color: ["class", "age", "mass", "gradient", "ablation"],
  width: ["plain", "channels", "macs"],
  tab: ["trials", "curves", "layers", "importance", "features", "sent"],
};

export const state = {
  run: boot.run,
  summary: boot.summary,
  data: null,
  trial: null,
  vs: null,
  detail: null,
  view: "arc",
  color: "class",
  width: "plain",
  tab: "trials",
  x: "",
  y: "",
  filter: null,
  find: "",
  sort: "number",
  stages: null,
  edit: null,
};

const listeners = [];
let waiting = null;
// Whether selections make steps of the browser's history: not before the first one stands.
let stepping = false;

export function subscribe(listener) {
  listeners.push(listener);
}

// Changes of one moment are told together, with the names of what changed.
export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  if (!waiting) {
    waiting = new Set();
    queueMicrotask(() => {
      const told = waiting;
      waiting = null;
      writeAddress(stepping && (told.has("trial") || told.has("vs")));
      for (const listener of listeners) listener(told);
    });
  }
  changed.forEach((key) => waiting.add(key));
}

const whole = (text) => (/^-?\d{1,9}$/.test(text || "") ? Number(text) : null);

export function readAddress() {
  const query = new URLSearchParams(location.search);
  const found = { trial: whole(query.get("trial")), vs: whole(query.get("vs")) };
  for (const [name, choices] of Object.entries(CHOICES)) {
    if (choices.includes(query.get(name))) found[name] = query.get(name);
  }
  found.x = query.get("x") || "";
  found.y = query.get("y") || "";
  found.find = query.get("find") || "";
  found.sort = query.get("sort") || "number";
  return { ...found, edit: query.get("edit") };
}

function writeAddress(step) {
  const query = new URLSearchParams();
  if (state.run) query.set("run", state.run);
  if (state.trial !== null) query.set("trial", state.trial);
  if (state.vs !== null) query.set("vs", state.vs);
  const usual = { view: "arc", color: "class", width: "plain", tab: "trials", find: "", sort: "number" };
  for (const [name, value] of Object.entries(usual)) {
    if (state[name] !== value) query.set(name, state[name]);
  }
  if (state.x && state.x !== state.usualX) query.set("x", state.x);
  if (state.y && state.y !== state.usualY) query.set("y", state.y);
  if (state.edit) query.set("edit", spelled(state.edit.architecture.ganglia));
  const address = `?${query}`;
  if (address === location.search) return;
  if (step) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// Back and forward go through the selections.
export function followHistory() {
  stepping = true;
  addEventListener("popstate", () => {
    const { edit, ...asked } = readAddress();
    if (asked.trial === null) delete asked.trial;
    stepping = false;
    set({ view: "arc", color: "class", width: "plain", tab: "trials", ...asked, x: asked.x || state.usualX, y: asked.y || state.usualY });
    queueMicrotask(() => { stepping = true; });
  });
}

// A wiring in an address: "3.4:0,2;3.6:4" for layer 3.4 that reads 3.0 and 3.2, and so on.
export function spelled(ganglia) {
  return Object.entries(ganglia)
    .map(([layer, sources]) => `${layer}:${sources.map((s) => s.split(".")[1]).join(",")}`)
    .join(";") || "none";
}

export function unspelled(text) {
  const ganglia = Object.create(null);
  if (text === "none") return ganglia;
  for (const part of text.split(";")) {
    const [layer, sources] = part.split(":");
    const stage = (layer || "").split(".")[0];
    ganglia[layer] = (sources || "").split(",").filter(Boolean).map((s) => `${stage}.${s}`);
  }
  return ganglia;
}
