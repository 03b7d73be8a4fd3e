// What the page knows of its fronts, and values as a reader wants them.
const data = JSON.parse(document.getElementById("data").textContent);
const fronts = data.fronts, tints = data.colours;
for (const front of fronts) {
  for (const point of front.points) {
    point.layers = point.layers.map((values) => Object.fromEntries(data.layer.map((name, at) => [name, values[at] ?? null])));
  }
}
const one = fronts.length === 1;
const plot = document.getElementById("plot");
const off = { device: new Set(), runtime: new Set(), cloud: !one };
let budget = null, chosen = null;
// The time that the budget is about: what ships, where every front tells it.
const times = Object.assign({}, ...fronts.map((front) => front.times));
let time = fronts.every((front) => front.time === fronts[0].time) ? fronts[0].time : "full";

// Values as a reader wants them.
const pct = (value) => value.toFixed(1);
// Behind a run's latency, where a run has several images.
const anImage = (front, value) => (front.images_per_run > 1 ? ` (${ms(value / front.images_per_run)} ms an image)` : "");
const batch = (front) => (front.images_per_run > 1 ? ` of a batch of ${front.images_per_run} images` : "");
const range = (ends, show) => (ends ? ` (${show(ends[0])} to ${show(ends[1])})` : "");
const count = (value) => (value >= 1e6 ? `${(value / 1e6).toPrecision(3)}M` : `${(value / 1e3).toPrecision(3)}k`);
const x = (point) => point.ms_measured ?? point.ms;
const y = (point) => point.accuracy_measured ?? point.accuracy;
// What counts against a budget.
const upper = (point) => point.upper_ms[time] ?? Infinity;
const isOn = (front) => !off.device.has(front.device) && !off.runtime.has(front.runtime);

// Plotly takes some tags in texts: names from files stay text.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

// Names in the legend: on a narrow screen in several lines.
const folded = (text) => (plot.clientWidth < 600 ? text.replace(/(.{28,}?) /g, "$1<br>") : text);

function facts(front, point) {
  const told = front.told === "simulated" ? "simulated whole" : "measured";
  const rows = [[`${front.times.full ?? "latency"}, predicted`, `${ms(point.ms)} ms${range(point.ms_interval, ms)}${anImage(front, point.ms)}`]];
  rows.push([`${front.times.full ?? "latency"}, ${told}`, point.ms_measured === null ? "not yet"
    : `${ms(point.ms_measured)} ms${front.told === "simulated" ? "" : range(point.ms_measured_interval, ms)}${anImage(front, point.ms_measured)}`]);
  for (const [at, [value, ...ends]] of Object.entries(point.seen)) {
    rows.push([front.times[at] ?? at, `${ms(value)} ms${range(ends, ms)}${anImage(front, value)}`]);
  }
  if (!Object.keys(point.seen).length && point.ms_wall !== null) rows.push(["wall clock, median", `${ms(point.ms_wall)} ms${anImage(front, point.ms_wall)}`]);
  rows.push([`accuracy predicted, on validation ${front.examples}`, `${pct(point.accuracy)} ${front.mark}${range(point.accuracy_interval, pct)}`]);
  const where = front.evaluated_on && front.evaluated_on !== "the device" ? `, ${front.evaluated_on}` : "";
  rows.push([`accuracy on test ${front.examples}`, point.accuracy_measured === null ? "not evaluated"
    : `${pct(point.accuracy_measured)} ${front.mark}${range(point.accuracy_measured_interval, pct)}${where}`]);
  return rows;
}

function hover(front, number) {
  const point = front.points[number];
  const lines = facts(front, point).map(([name, value]) => `${name}: ${plain(value)}`);
  const stages = point.stages.map((text, stage) => `stage ${stage + 1}: ${plain(text)}`);
  return [`<b>front:${number} on ${plain(front.device)}</b>`, ...lines,
    `${count(point.macs)} MACs, ${count(point.params)} parameters, ${point.size}`, ...stages].join("<br>");
}
