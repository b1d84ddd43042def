// The columns of a run, and what a row of them says.

export const NAMES = {
  top1: "validation top-1",
  val_loss: "validation loss",
  test_top1: "test top-1",
  macs: "MACs",
  params: "parameters",
  activation_bytes: "activation memory",
  latency_ms: "latency",
  seconds: "training time",
  number: "trial number",
  density: "density",
  edges: "edges",
  ganglia: "ganglia",
  span: "mean span",
  in_degree: "sources a ganglion",
};
const PREFIXES = ["", "k", "M", "G", "T", "P"];

export function si(value) {
  let size = Math.abs(value);
  let power = 0;
  while (size >= 999.5 && power < PREFIXES.length - 1) {
    size /= 1000;
    power += 1;
  }
  const digits = power === 0 && Number.isInteger(value) ? 0 : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${value < 0 ? "-" : ""}${size.toFixed(digits)} ${PREFIXES[power]}`.trim();
}

export function words(name, value) {
  if (value === null || value === undefined) return "";
  if (name === "top1" || name === "test_top1") return `${(100 * value).toFixed(1)} %`;
  if (name === "val_loss") return value.toFixed(3);
  if (name === "latency_ms") return `${value.toPrecision(3)} ms`;
  if (name === "seconds") return `${value.toPrecision(3)} s`;
  if (name === "activation_bytes") return `${si(value)}B`;
  if (["density", "span", "in_degree"].includes(name)) return value.toFixed(2);
  if (name === "number") return String(value);
  return si(value);
}

export const trialName = (number) => (number < 0 ? `guest ${-number}` : `trial ${number}`);

// Turn what the server tells into something that rows are looked up in.
export function indexed(columns) {
  const place = new Map(columns.number.map((number, i) => [number, i]));
  const over = new Set(columns.over);
  const front = new Set(columns.front);
  return { ...columns, place, over, front, count: columns.number.length };
}

export const measures = (data) => [...Object.keys(data.measures), "number", "density", "edges", "ganglia", "span", "in_degree"];

export function value(data, i, name) {
  if (name === "number") return data.number[i];
  if (data.measures[name]) return data.measures[name][i];
  const known = data.wirings[name];
  return known ? known[data.wiring[i]] : null;
}

export const stateOf = (data, i) => data.state.words[data.state.codes[i]];

export function role(data, i) {
  const number = data.number[i];
  const said = [];
  if (number === data.best) said.push("best");
  if (data.front.has(number)) said.push("front");
  if (data.baselines[number]) said.push(data.baselines[number]);
  if (number < 0) said.push("guest");
  if (data.sources[number]) said.push("what-if");
  if (data.over.has(i)) said.push("over a limit");
  if (data.duplicates[number] !== undefined) said.push(`same as ${data.duplicates[number]}`);
  return said.join(", ");
}
