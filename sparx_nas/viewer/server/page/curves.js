// Validation accuracy over epochs.

import { get, runPath } from "./api.js";
import { attempt } from "./notice.js";
import { css, escaped, layout, put } from "./plot.js";
import { state } from "./state.js";
import { trialName } from "./trials.js";

const MOST_CURVES = 40;

export async function drawCurves() {
  const data = state.data;
  if (!data || state.tab !== "curves") return;
  const wanted = new Set([state.trial, state.vs].filter((number) => number !== null));
  for (const number of Object.keys(data.baselines)) wanted.add(Number(number));
  for (const number of data.front) wanted.add(number);
  if (state.filter) for (const number of state.filter) wanted.add(number);
  for (const { number } of state.summary.running) wanted.add(number);
  const numbers = [...wanted].slice(0, MOST_CURVES);
  const found = await attempt(() => get(runPath(state.run, `curves?trials=${numbers.join(",")}`)));
  if (!found) return;
  const told = document.getElementById("curves-note");
  told.textContent = found.curves.length
    ? `Validation top-1 over epochs of ${found.curves.length} of ${data.count.toLocaleString("en")} trials: selected, front, baselines, running and those in the lasso.`
    : "No trial has finished an epoch yet.";
  put("curves", { data: found.curves.map((c) => curve(data, c)), layout: { ...layout(`${state.run} curves`, "epoch", "top1"), height: 380 } });
}

function curve(data, c) {
  const chosen = c.number === state.trial || c.number === state.vs;
  const named = data.baselines[c.number];
  const color = chosen ? css("--sx-ink") : named ? css("--sx-red") : data.front.has(c.number) ? css("--sx-blue") : css("--sx-grey");
  return {
    type: "scatter",
    mode: "lines+markers",
    name: escaped(trialName(c.number) + (named ? ` (${named})` : "")),
    x: c.epoch,
    y: c.top1,
    line: { color, width: chosen ? 3 : 1.5, dash: named ? "dash" : c.number === state.vs ? "dot" : "solid" },
    marker: { size: 4 },
    hovertemplate: "epoch %{x}: %{y:.1%}",
  };
}
