// The search words: plain ones, and properties such as ganglia>3, params<4M or s3.stride=2.

import { get, runPath } from "./api.js";
import { attempt } from "./notice.js";
import { set, state, subscribe } from "./state.js";
import { role, stateOf, value } from "./trials.js";

// What a property is called, and the column that it means.
const NUMBERS = { trial: "number", number: "number", top1: "top1", accuracy: "top1", test: "test_top1", test_top1: "test_top1", loss: "val_loss", val_loss: "val_loss", params: "params", parameters: "params", macs: "macs", memory: "activation_bytes", activation_bytes: "activation_bytes", latency: "latency_ms", latency_ms: "latency_ms", time: "seconds", seconds: "seconds", density: "density", edges: "edges", ganglia: "ganglia", span: "span", sources: "in_degree", in_degree: "in_degree" };
const TEXTS = { state: stateOf, role, wiring: (data, i) => data.wirings.id[data.wiring[i]] };
const OF_STAGES = ["depth", "ganglia", "edges", "density", "start", "stride", "window"];
const SHOWN = ["trial", "state", "role", "wiring", "top1", "test", "loss", "params", "macs", "memory", "latency", "time", "density", "edges", "ganglia", "span", "sources", "s3.ganglia", "s3.stride"];
const SHARES = new Set(["top1", "test_top1", "density"]);
const UNITS = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
const TERM = /([\p{L}_][\w.]*)\s*(<=|>=|!=|≤|≥|≠|=|<|>)\s*(-?[\d.]+(?:\s*(?:%|ms\b|s\b|[kmgt]?b?(?![\w.])))?|[\w-]+)?/giu;
const TESTS = {
  "<": (v, x) => v < x,
  "<=": (v, x) => v <= x,
  ">": (v, x) => v > x,
  ">=": (v, x) => v >= x,
  // As many digits as were written have to be the same.
  "=": (v, x, half) => Math.abs(v - x) <= half,
  "!=": (v, x, half) => Math.abs(v - x) > half,
};
const PLAIN = { "≤": "<=", "≥": ">=", "≠": "!=" };
let known = { text: null };
let asked = null;

// What a text asks for: tests of a row, and what of it cannot be understood.
function sought() {
  if (known.text === state.find) return known;
  const found = { text: state.find, tests: [], mistakes: [], words: [], stages: false };
  const rest = state.find.replace(TERM, (_, name, sign, given) => {
    const made = term(name.toLowerCase(), PLAIN[sign] || sign, given, found);
    if (typeof made === "string") found.mistakes.push(made);
    else found.tests.push(made);
    return " ";
  });
  found.words = rest.toLowerCase().split(/\s+/).filter(Boolean);
  known = found;
  return known;
}

function fits(data, i, { tests, words }) {
  if (!tests.every((test) => test(data, i))) return false;
  if (!words.length) return true;
  const text = `${data.number[i]} ${stateOf(data, i)} ${role(data, i)} ${data.wirings.id[data.wiring[i]]}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

// Rows that the lasso and the search box leave, as places in the columns.
export function shownRows(data, { lasso = true } = {}) {
  const wanted = sought();
  const rows = [];
  for (let i = 0; i < data.count; i += 1) {
    if (lasso && state.filter && !state.filter.has(data.number[i])) continue;
    if (fits(data, i, wanted)) rows.push(i);
  }
  return rows;
}

function term(name, sign, given, found) {
  if (given === undefined) return `${name}${sign} what? For instance ganglia${sign}3.`;
  if (TEXTS[name]) return textTerm(name, sign, given.trim().toLowerCase());
  const stage = /^s(\d+)\.(\w+)$/.exec(name);
  const column = NUMBERS[name];
  if (!column && !(stage && OF_STAGES.includes(stage[2]))) return unknown(name, stage);
  const number = amount(stage ? stage[2] : column, given);
  if (typeof number === "string") return `${name}: ${number}`;
  const test = (v) => v !== null && v !== undefined && TESTS[sign](v, number.value, number.half);
  if (!stage) return (data, i) => test(value(data, i, column));
  found.stages = true;
  return (data, i) => test(ofStage(data, i, Number(stage[1]), stage[2]));
}

function textTerm(name, sign, wanted) {
  if (sign !== "=" && sign !== "!=") return `${name} is a word: write ${name}=${wanted} or ${name}!=${wanted}.`;
  const has = (data, i) => String(TEXTS[name](data, i)).toLowerCase().includes(wanted);
  return sign === "=" ? has : (data, i) => !has(data, i);
}

function unknown(name, stage) {
  if (stage) return `A stage has no “${stage[2]}”; it has ${OF_STAGES.join(", ")}.`;
  const near = SHOWN.find((other) => other.slice(0, 3) === name.slice(0, 3));
  return `There is no property “${name}”${near ? `; did you mean ${near}?` : "."} There are ${SHOWN.join(", ")}.`;
}

// A number as it is written, with half of its last digit.
function amount(column, given) {
  const parts = /^(-?(?:\d+\.?\d*|\.\d+))\s*(%|ms|s|[kmgt]?b?)$/i.exec(given.trim());
  if (!parts) return `“${given.trim()}” is no number; write 3, 0.5, 60 % or 4M.`;
  const [, digits, unit] = parts;
  const share = SHARES.has(column);
  if (unit === "%" && !share) return "it is no share, so it takes no %.";
  const one = unit === "%" ? 0.01 : /^m?s$/i.test(unit) ? 1 : UNITS[unit.toLowerCase().replace("b", "")];
  const number = Number(digits) * one;
  if (share && number > 1) return `it is a share; write ${digits} % or ${Number(digits) / 100}.`;
  const after = (digits.split(".")[1] || "").length;
  return { value: number, half: 0.5 * one * 10 ** -after * (1 - 1e-9) };
}

// Whole counts are told exactly; what is said of stages is asked for once it is needed.
function ofStage(data, i, stage, name) {
  const told = state.stages;
  const at = told ? told.place.get(data.number[i]) : undefined;
  const columns = told && told.stages[stage - 1];
  return at === undefined || !columns ? null : columns[name][told.wiring[at]];
}

async function askForStages() {
  if (!state.data || asked === state.data) return;
  asked = state.data;
  const found = await attempt(() => get(runPath(state.run, "stages")));
  if (found) set({ stages: { ...found, place: new Map(found.number.map((number, i) => [number, i])) } });
}

export function sayFound(rows) {
  const found = sought();
  const said = [...found.mistakes];
  const stages = [...state.find.matchAll(/\bs(\d+)\./gi)].map((match) => Number(match[1]));
  const most = state.stages ? state.stages.stages.length : 0;
  if (most) said.push(...stages.filter((s) => s < 1 || s > most).map((s) => `There is no stage ${s}; stages are 1 to ${most}.`));
  if (!rows && !said.length && found.words.length) {
    said.push(`No trial has “${found.words.join(" ")}” in its number, state, role or wiring. Properties are written ganglia>3, params<4M, s3.stride=2.`);
  }
  const line = document.getElementById("find-says");
  line.textContent = said.join(" ");
  line.hidden = !said.length;
}

export function startFind() {
  subscribe((changed) => {
    if ((changed.has("find") || changed.has("data")) && sought().stages) askForStages();
  });
}
