// The front, drawn by Plotly inside Dash's component.

import { drawCurves } from "./curves.js";
import { shownRows } from "./find.js";
import { css, escaped, graph, layout, put, whenReady } from "./plot.js";
import { set, state, subscribe } from "./state.js";
import { choose } from "./table.js";
import { measures, NAMES, role, stateOf, trialName, value, words } from "./trials.js";

const MOST_POINTS = 2000;
// What a limit kept from training has no accuracy: it stands on the x axis.
const AXIS = 0.015;
const SHAPES = { sparx: "star", plain: "triangle-up", dense: "diamond" };
let view = null;
let drag = "zoom";
let bound = false;

// What a trial is drawn as; a baseline is named whatever else it is.
function kind(data, i) {
  const number = data.number[i];
  const what = stateOf(data, i);
  if (data.over.has(i)) return "over";
  if (data.front.has(number)) return "front";
  return what === "complete" || what === "untrained" ? "dominated" : "stopped";
}

function points(data) {
  const found = { dominated: [], stopped: [], over: [], untrained: [], front: [], named: [] };
  // The lasso leaves the chart whole, where Plotly itself fades what is outside.
  for (const i of shownRows(data, { lasso: false })) {
    const point = pointOf(data, i);
    const x = value(data, i, state.x);
    if (!point && data.over.has(i) && x !== null && x !== undefined) found.untrained.push({ i, number: data.number[i], x, y: AXIS });
    if (!point) continue;
    found[kind(data, i)].push(point);
    if (data.baselines[point.number]) found.named.push(point);
  }
  return found;
}

// Where a trial stands; one that is not done by its last epoch, and without a value nowhere.
function pointOf(data, i) {
  const number = data.number[i];
  const x = value(data, i, state.x);
  let y = value(data, i, state.y);
  const partial = data.partial[number];
  if ((y === null || y === undefined) && state.y === "top1" && partial) y = partial[1];
  return x === null || y === null || x === undefined || y === undefined ? null : { i, number, x, y };
}

// Of very many points only so many are drawn, all of those in sight once few enough are.
function thinned(list) {
  const inside = view
    ? list.filter((p) => p.x >= view.x[0] && p.x <= view.x[1] && p.y >= view.y[0] && p.y <= view.y[1])
    : list;
  if (inside.length <= MOST_POINTS) return inside;
  const by = inside.length / MOST_POINTS;
  return Array.from({ length: MOST_POINTS }, (_, k) => inside[Math.floor(k * by)]);
}

function hover(data, p) {
  const said = [trialName(p.number) + (role(data, p.i) ? ` (${role(data, p.i)})` : "")];
  if (p.y !== AXIS) said.push(`${NAMES[state.y] || state.y}: ${words(state.y, p.y)}`);
  said.push(`${NAMES[state.x] || state.x}: ${words(state.x, p.x)}`);
  const partial = data.partial[p.number];
  if (partial) said.push(`${stateOf(data, p.i)} after epoch ${partial[0]}`);
  return said.map(escaped).join("<br>");
}

function trace(data, name, list, marker, more = {}) {
  return {
    type: "scatter",
    mode: "markers",
    name,
    x: list.map((p) => p.x),
    y: list.map((p) => p.y),
    customdata: list.map((p) => p.number),
    text: list.map((p) => hover(data, p)),
    hovertemplate: "%{text}<extra></extra>",
    marker,
    ...more,
  };
}

// How far an accuracy can be off, by seeds and by images, and a latency; nothing for other measures.
function bars(data, list, color) {
  const along = (axis) => {
    const bounds = data.bounds[state[axis]];
    if (!bounds || !list.some((p) => bounds[p.number])) return {};
    const reach = (side) => list.map((p) => (bounds[p.number] ? Math.abs(bounds[p.number][side] - p[axis]) : 0));
    return { [`error_${axis}`]: { type: "data", symmetric: false, array: reach(1), arrayminus: reach(0), color, thickness: 1, width: 3 } };
  };
  return { ...along("x"), ...along("y") };
}

const open = (color, size, symbol = "circle-open") => ({ symbol, size, color, line: { width: 1.6, color } });

function frontTraces(data) {
  const found = points(data);
  const drawn = thinned(found.dominated);
  noteShown(found, drawn.length);
  const blue = css("--sx-blue");
  const red = css("--sx-red");
  const out = [];
  const add = (name, list, marker, more) => list.length && out.push(trace(data, name, list, marker, more));
  add(isSpace() ? "design" : "dominated", drawn, { symbol: "circle", size: 7, color: css("--sx-grey"), opacity: 0.55 });
  add("stopped or running", found.stopped, open(css("--sx-grey"), 9));
  add("over a limit", found.over, open(css("--sx-pink"), 9, "x-thin-open"));
  add("over a limit, not trained", found.untrained, open(css("--sx-pink"), 8, "triangle-up-open"), { yaxis: "y2" });
  const front = [...found.front].sort((a, b) => a.x - b.x);
  const stepped = state.x === state.usualX && state.y === state.usualY && state.x !== "number";
  add("front", front, { symbol: "circle", size: 9, color: blue }, { ...bars(data, front, blue), ...(stepped ? { mode: "lines+markers", line: { shape: shape(), color: blue, width: 1.5 } } : {}) });
  for (const p of found.named) {
    const name = data.baselines[p.number];
    out.push(trace(data, `${name} baseline`, [p], { symbol: SHAPES[name] || "pentagon", size: 13, color: data.front.has(p.number) ? red : css("--sx-paper"), line: { width: 2, color: red } }, { ...bars(data, [p], red), mode: "markers+text", texttemplate: escaped(name), textposition: "top center", textfont: { size: 11 }, showlegend: false }));
  }
  return out;
}

// Where a limit of the run forbids a design: the side of it that is too much.
function limits() {
  return ["x", "y"].flatMap((axis) => {
    const most = state.summary.limits[state[axis]];
    if (most === undefined) return [];
    const top = Math.max(...(state.data.measures[state[axis]] || []).filter((v) => v !== null));
    if (!(top > most)) return [];
    const other = axis === "x" ? "y" : "x";
    const across = { [`${other}ref`]: "paper", [`${other}0`]: 0, [`${other}1`]: 1 };
    const color = css("--sx-pink");
    const edge = { type: "line", [`${axis}0`]: most, [`${axis}1`]: most, ...across, line: { color, width: 1.5, dash: "dash" } };
    const beyond = { type: "rect", [`${axis}0`]: most, [`${axis}1`]: top + 0.02 * (top - most), ...across, fillcolor: color, opacity: 0.12, line: { width: 0 }, layer: "below" };
    return [beyond, edge];
  });
}

// Rings around the selected trial and the one it is compared with: shapes, which move without
// the points being drawn again.
function rings() {
  const data = state.data;
  const around = [[state.trial, css("--sx-ink")], [state.vs, css("--sx-red")]];
  return around.flatMap(([number, color]) => {
    const i = data.place.get(number);
    const p = i === undefined ? null : pointOf(data, i);
    if (!p) return [];
    const size = { xsizemode: "pixel", ysizemode: "pixel", x0: -9, x1: 9, y0: -9, y1: 9 };
    return [{ type: "circle", xanchor: p.x, yanchor: p.y, ...size, line: { width: 2.5, color } }];
  });
}

function moveRings() {
  const plot = graph("front");
  if (state.data && plot && plot.layout) window.Plotly.relayout(plot, { shapes: [...limits(), ...rings()] });
}

const isSpace = () => state.summary && state.summary.state === "space";

// Between two front members only what both already reach is reached.
function shape() {
  const directions = state.summary.directions || {};
  return directions[state.x] === "max" ? "vh" : "hv";
}

function noteShown(found, drawn) {
  const all = found.dominated.length;
  const parts = [];
  if (drawn < all) {
    const where = view ? " in sight" : "";
    parts.push(`${drawn.toLocaleString("en")} of ${all.toLocaleString("en")} dominated trials drawn${where}; zoom in for the rest`);
  }
  const off = state.data.count - new Set(Object.values(found).flat().map((p) => p.number)).size;
  if (off && !state.find) parts.push(`${off.toLocaleString("en")} without a value are not drawn`);
  parts.push("click: select, Shift-click: compare");
  document.getElementById("front-note").textContent = parts.join(" · ");
}

function drawFront() {
  if (!state.data || !state.x) return;
  fillPickers();
  const drawn = layout(`${state.run} ${state.x} ${state.y}`, state.x, state.y, drag);
  drawn.shapes = [...limits(), ...rings()];
  drawn.yaxis2 = { overlaying: "y", range: [0, 1], visible: false, fixedrange: true };
  if (view) {
    // A new drawing keeps the zoom: Dash's component would start from the whole again.
    drawn.xaxis.range = [...view.x];
    drawn.yaxis.range = [...view.y];
  }
  put("front", { data: frontTraces(state.data), layout: drawn });
  bind();
}

function fillPickers() {
  const names = measures(state.data);
  for (const axis of ["x", "y"]) {
    const pick = document.getElementById(`axis-${axis}`);
    if (pick.options.length !== names.length) {
      pick.replaceChildren(...names.map((name) => new Option(NAMES[name] || name, name)));
    }
    pick.value = state[axis];
  }
}

function bind(tries = 100) {
  const plot = graph("front");
  if (bound || !plot || !plot.on) {
    if (!bound && tries) setTimeout(() => bind(tries - 1), 50);
    return;
  }
  bound = true;
  plot.on("plotly_click", (event) => {
    const number = event.points[0].customdata;
    choose(number, event.event && event.event.shiftKey);
  });
  // A chart that is drawn again tells of its selection once more, without its outline.
  plot.on("plotly_selected", (event) => {
    if (event && (event.lassoPoints || event.range)) set({ filter: inside(event) });
  });
  plot.on("plotly_deselect", () => set({ filter: null }));
  plot.on("plotly_relayout", () => onZoom(plot));
}

function onZoom(plot) {
  const { xaxis, yaxis, dragmode } = plot._fullLayout;
  drag = dragmode;
  const now = xaxis.autorange && yaxis.autorange ? null : { x: [...xaxis.range], y: [...yaxis.range] };
  if (JSON.stringify(now) === JSON.stringify(view)) return;
  view = now;
  if (state.data.count > MOST_POINTS) drawFront();
}

// The lasso selects among all trials, not only among those that are drawn.
function inside(event) {
  const within = event.lassoPoints ? polygon(event.lassoPoints) : event.range ? box(event.range) : () => false;
  const all = Object.values(points({ ...state.data })).flat();
  return new Set(all.filter((p) => within(p.x, p.y)).map((p) => p.number));
}

const box = ({ x, y }) => (px, py) =>
  px >= Math.min(...x) && px <= Math.max(...x) && py >= Math.min(...y) && py <= Math.max(...y);

function polygon({ x, y }) {
  return (px, py) => {
    let odd = false;
    for (let i = 0, j = x.length - 1; i < x.length; j = i, i += 1) {
      if (y[i] > py !== y[j] > py && px < ((x[j] - x[i]) * (py - y[i])) / (y[j] - y[i]) + x[i]) odd = !odd;
    }
    return odd;
  };
}

export function startCharts() {
  for (const axis of ["x", "y"]) {
    document.getElementById(`axis-${axis}`).addEventListener("change", (event) => { view = null; set({ [axis]: event.target.value, filter: null }); });
  }
  whenReady(() => {
    drawFront();
    drawCurves();
    subscribe((changed) => {
      if (["data", "x", "y", "find", "stages"].some((name) => changed.has(name))) drawFront();
      else if (changed.has("trial") || changed.has("vs")) moveRings();
      if (["data", "tab", "trial", "vs", "filter"].some((name) => changed.has(name))) drawCurves();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawFront(); drawCurves(); });
    document.body.dataset.charts = "yes";
  });
}
