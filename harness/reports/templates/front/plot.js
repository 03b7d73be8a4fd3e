// The plot: traces, axes, marks.
function bars(points, value, ends) {
  const lengths = (side) => points.map((p) => (p[ends] ? Math.abs(p[ends][side] - p[value]) : 0));
  return { type: "data", symmetric: false, array: lengths(1), arrayminus: lengths(0), thickness: 1, width: 2 };
}

const labels = { bgcolor: tints.card, bordercolor: tints.edge, align: "left",
  font: { color: tints.ink, size: plot.clientWidth < 600 ? 10 : 12 } };

function tracesOf(front, index) {
  const mine = front.points.map((_, number) => [index, number]);
  const text = front.points.map((_, number) => hover(front, number));
  const common = { customdata: mine, text, hovertemplate: "%{text}<extra></extra>", hoverlabel: labels };
  const measured = front.points.filter((point) => point.ms_measured !== null);
  const tint = one ? tints : { predicted: front.colour, measured: front.colour };
  const traces = [{
    name: folded(`random sub-networks (${plain(front.cloud_is)})`), x: front.cloud.map((dot) => dot[0]), y: front.cloud.map((dot) => dot[1]),
    mode: "markers", marker: { color: one ? colour("--cloud") : front.colour, size: 4, opacity: one ? 0.8 : 0.35 },
    hovertemplate: `a random sub-network<br>%{x:.4g} ms, %{y:.1f} ${front.mark}<extra></extra>`, hoverlabel: labels, kind: "cloud",
  }, {
    ...common, name: "front: predicted", x: front.points.map((p) => p.ms), y: front.points.map((p) => p.accuracy),
    mode: "lines+markers", line: { color: tint.predicted, width: 1.5, dash: one || measured.length ? "dot" : "solid" },
    marker: { color: tint.predicted, size: one ? 7 : 5 }, kind: "front", opacity: one || !measured.length ? 1 : 0.6,
  }];
  if (measured.length) {
    traces.push({
      ...common, name: `front: ${front.told}`, x: measured.map(x), y: measured.map(y),
      error_x: front.told === "simulated" ? undefined : bars(measured, "ms_measured", "ms_measured_interval"),
      error_y: measured[0].accuracy_measured === null ? undefined : bars(measured, "accuracy_measured", "accuracy_measured_interval"),
      mode: one ? "markers" : "lines+markers", line: { color: tint.measured, width: 1.5 },
      marker: { color: tint.measured, size: 8 }, kind: "front",
    });
  }
  for (const group of one ? new Set(front.others.map((other) => other.group)) : []) {
    const others = front.others.filter((other) => other.group === group);
    traces.push({
      name: folded(`${plain(group)} (ImageNet top-1)`), x: others.map((o) => o.ms), y: others.map((o) => o.accuracy), mode: "markers",
      marker: { symbol: group.startsWith("published") ? "diamond" : "square", size: 8,
        color: group.startsWith("published") ? tints.published : tints.baselines },
      text: others.map((o) => `<b>${plain(o.name)}</b><br>${ms(o.ms)} ms${anImage(front, o.ms)}, ImageNet top-1 ${pct(o.accuracy)} %<br>${plain(o.source)}`),
      hovertemplate: "%{text}<extra></extra>", hoverlabel: labels, kind: "other",
    });
  }
  return traces.map((trace) => ({ type: "scatter", cliponaxis: false, ...trace, front: index, showlegend: one }));
}

function axis(title) {
  return { title: { text: title }, color: colour("--ink"), gridcolor: colour("--line"), zeroline: false, automargin: true, ticklabeloverflow: "allow" };
}

// The budget's line, and a ring around the chosen network: the plot's last trace.
function marks() {
  const point = chosen && isOn(fronts[chosen.front]) ? fronts[chosen.front].points[chosen.number] : null;
  return { x: point ? [x(point)] : [], y: point ? [y(point)] : [], shapes: budget === null ? [] : [
    { type: "line", xref: "x", yref: "paper", x0: budget, x1: budget, y0: 0, y1: 1,
      line: { color: colour("--ink"), width: 1, dash: "dash" } }] };
}
function showMarks() {
  const { x: at, y: up, shapes } = marks();
  const ring = plot.data.at(-1);
  // Moving the ring draws all anew, moving the line does not.
  if (String(ring.x) === String(at) && String(ring.y) === String(up)) Plotly.relayout(plot, { shapes });
  else Plotly.update(plot, { x: [at], y: [up] }, { shapes }, [plot.data.length - 1]);
}

// Where the front lies: random sub-networks far below it would press it to the edge.
// So would single networks of the front or of others that are far below the rest.
function accuracies() {
  const on = fronts.filter(isOn);
  const own = on.flatMap((f) => f.points.flatMap((p) => [p.accuracy, y(p)])).sort((a, b) => a - b);
  if (!own.length) return [0, 100];
  const quarter = (part) => own[Math.floor(part * (own.length - 1))];
  const fence = quarter(0.25) - 3 * Math.max(0.5, quarter(0.75) - quarter(0.25));
  const ends = on.flatMap((f) => f.points.flatMap((p) => p.accuracy_measured_interval ?? []));
  const others = one ? fronts[0].others.map((o) => o.accuracy) : [];
  const values = [...own, ...ends, ...others].filter((value) => value >= fence);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = Math.max(0.5, high - low);
  return [low - 0.25 * margin, high + 0.1 * margin];
}

// Which multiples of a power of ten are written out, by how far the axis reaches.
const STEPS = [[2.5, [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]], [5, [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]],
  [20, [1, 1.5, 2, 3, 4, 5, 7]], [Infinity, [1, 2, 5]]];
function ticks(low, high) {
  const reach = (high / low) * (plot.clientWidth < 600 ? 2.5 : 1);
  const steps = STEPS.find(([most]) => reach < most)[1], found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const step of steps) found.push(Number((step * 10 ** power).toPrecision(3)));
  }
  return { tickvals: found, ticktext: found.map(String) };
}
function latencies() {
  const values = fronts.filter(isOn).flatMap((f) => [...f.points.flatMap((p) => [p.ms, x(p)]), ...(one ? f.others.map((o) => o.ms) : [])]);
  return values.length ? [Math.min(...values) / 1.08, Math.max(...values) * 1.08] : [1, 10];
}

// What predicted accuracies are off by, where real ones of others stand beside them.
function notes() {
  const caveat = one ? fronts[0].caveat : null;
  return caveat === null ? [] : [{ xref: "paper", yref: "paper", x: 0.01, y: 0.99, xanchor: "left", yanchor: "top", align: "left",
    showarrow: false, font: { size: 11 }, text: plain(`predicted accuracies: ${caveat}`).replace(/(.{40,}?) /g, "$1<br>") }];
}

function layout() {
  const narrow = plot.clientWidth < 600;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 12 },
    margin: { l: 55, r: 15, t: 30, b: 60 }, hovermode: "closest", dragmode: narrow ? false : "zoom",
    xaxis: { ...axis(one ? `latency${batch(fronts[0])}, ms (${plain(fronts[0].origin)})` : fronts.some(batch) ? "latency of a run, ms" : "latency, ms"), type: "log",
      range: latencies().map(Math.log10), ...ticks(...latencies()) },
    yaxis: { ...axis(fronts[0].scored), range: accuracies() },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
    legend: { orientation: "h", yanchor: "bottom", y: 1, x: 0, font: { size: 11 } }, shapes: marks().shapes, annotations: notes(),
  };
}

const isVisible = (trace) => trace.kind === "ring" || (isOn(fronts[trace.front]) && !(trace.kind === "cloud" && off.cloud));
function traces() {
  const { x: at, y: up } = marks();
  const ring = { type: "scatter", kind: "ring", x: at, y: up, mode: "markers", hoverinfo: "skip", showlegend: false,
    marker: { symbol: "circle-open", size: 19, color: colour("--ink"), line: { width: 2 } } };
  return [...fronts.flatMap(tracesOf).map((trace) => ({ ...trace, visible: isVisible(trace) })), ring];
}
function showVisible() {
  const { xaxis, yaxis } = layout();
  Plotly.update(plot, { visible: plot.data.map(isVisible) },
    { "xaxis.range": xaxis.range, "xaxis.tickvals": xaxis.tickvals, "xaxis.ticktext": xaxis.ticktext, "yaxis.range": yaxis.range });
}
