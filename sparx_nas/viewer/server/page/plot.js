// What the charts share: Dash's components, the look of an axis, text that Plotly takes as text.

import { state } from "./state.js";
import { NAMES } from "./trials.js";

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const graph = (id) => document.querySelector(`#${id} .js-plotly-plot`);

export function put(id, figure) {
  window.dash_clientside.set_props(id, { figure });
}

export function whenReady(action, tries = 400) {
  const there = window.dash_clientside && window.dash_clientside.set_props && document.getElementById("front");
  if (there) action();
  else if (tries) setTimeout(() => whenReady(action, tries - 1), 50);
}

const longest = () => (state.summary && state.summary.epochs) || 0;

const SHARES = ["top1", "test_top1"];
// As many digits as tell two ticks apart, however far the chart is zoomed.
const PERCENTS = [[1e-2, ".0%"], [1e-3, ".1%"], [1e-4, ".2%"], [1e-5, ".3%"], [0, ".4%"]].map(([least, value], i, all) => ({
  dtickrange: [least * (1 - 1e-9), i ? all[i - 1][0] * (1 - 1e-9) : null],
  value,
}));

export function layout(revision, x, y, drag = "zoom") {
  const axis = (name) => ({
    title: { text: NAMES[name] || name, font: { size: 12 } },
    gridcolor: css("--sx-line"),
    zeroline: false,
    linecolor: css("--sx-grey"),
    tickformatstops: SHARES.includes(name) ? PERCENTS : undefined,
    dtick: name === "epoch" && longest() < 12 ? 1 : undefined,
    exponentformat: "SI",
    automargin: true,
  });
  return {
    uirevision: revision,
    xaxis: axis(x),
    yaxis: axis(y),
    margin: { l: 8, r: 12, t: 10, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--sx-ink") },
    showlegend: true,
    legend: { orientation: "h", yanchor: "top", y: -0.16, x: 0, font: { size: 11 } },
    hoverlabel: { align: "left" },
    dragmode: drag,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--sx-muted"), activecolor: css("--sx-ink") },
  };
}

export const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
