"use strict";
// The fronts of a page: hover, click, toggle, and a budget that picks networks.
{
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
    rows.push(["accuracy predicted, on validation images", `${pct(point.accuracy)} %${range(point.accuracy_interval, pct)}`]);
    const where = front.evaluated_on && front.evaluated_on !== "the device" ? `, ${front.evaluated_on}` : "";
    rows.push(["accuracy on test images", point.accuracy_measured === null ? "not evaluated"
      : `${pct(point.accuracy_measured)} %${range(point.accuracy_measured_interval, pct)}${where}`]);
    return rows;
  }

  function hover(front, number) {
    const point = front.points[number];
    const lines = facts(front, point).map(([name, value]) => `${name}: ${plain(value)}`);
    const stages = point.stages.map((text, stage) => `stage ${stage + 1}: ${plain(text)}`);
    return [`<b>front:${number} on ${plain(front.device)}</b>`, ...lines,
      `${count(point.macs)} MACs, ${count(point.params)} parameters, ${point.size}`, ...stages].join("<br>");
  }

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
      hovertemplate: "a random sub-network<br>%{x:.4g} ms, %{y:.1f} %<extra></extra>", hoverlabel: labels, kind: "cloud",
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
    return { title: { text: title }, color: colour("--ink"), gridcolor: colour("--line"), zeroline: false, automargin: true };
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
      yaxis: { ...axis("top-1 accuracy, %"), range: accuracies() },
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

  // The most accurate network that keeps to the budget by its upper end, as `harness export` picks it.
  function pick(front) {
    let best = null;
    front.points.forEach((point, number) => {
      if (upper(point) <= budget && (best === null || y(point) > y(front.points[best]))) best = number;
    });
    return best;
  }

  function command(template, number) {
    const text = template.replaceAll("{ms}", String(budget)).replaceAll("{at}", time).replaceAll("{number}", String(number));
    const pre = element("pre", {}, text);
    const copy = element("button", { type: "button" }, "copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "copied";
      } catch {
        window.getSelection().selectAllChildren(pre);
      }
    });
    return element("div", { class: "command" }, pre, copy);
  }

  function howToGet(front, template, number) {
    if (!template) return [];
    const told = ["It writes .pt2, .onnx and .tflite files (float and int8; left out where the extra litert is not installed), each loaded again and compared, with a card."];
    if (template.includes("SUPERNET")) {
      told.push(`SUPERNET: a file with trained weights, yours or the authors' (harness fetch ${data.space}); the search needed none.`);
    }
    return [command(template, number), element("p", { class: "small soft" }, told.join(" "))];
  }

  // What the figures of a network that was picked leave out.
  function remarks(front, point) {
    const found = [];
    if (front.doubts.length) found.push(`Mind: ${front.doubts.join("; ")}.`);
    if (point.accuracy_measured === null && front.caveat) found.push(`Accuracies: ${front.caveat}.`);
    if (time === "full" && (point.seen.p50?.[0] ?? point.ms_wall) > budget) {
      found.push(`The budget is kept ${front.times.full} (${front.origin}); on the wall clock, slow moments included, half of the runs ${point.ms_measured === null ? "are expected to take" : "took"} more than ${ms(point.seen.p50?.[0] ?? point.ms_wall)} ms.`);
    }
    if (time !== "full") found.push("What the wall clock shows is as busy a device as it was while it was measured: beside more other work it takes longer.");
    if (point.accuracy_measured !== null) {
      found.push(`${front.older ? "Intervals are of the older kind, within one session of measuring" : "Intervals say where measuring again finds it, 95 times of 100"}; accuracy on ${front.test_images} test images. Being picked among `
        + `${front.points.length} for that accuracy flatters it a little.`);
    }
    return found;
  }

  function answer(front, index) {
    const card = element("div", { class: "card", "data-device": front.device });
    const swatch = element("span", { class: "swatch", style: `background:${front.colour}` });
    card.append(element("h3", {}, ...(one ? [] : [swatch]), one ? `Within ${ms(budget)} ms ${times[time]}` : front.device));
    if (!front.times[time]) {
      card.append(element("p", {}, `Nobody knows ${times[time]} of this device: harness verify measures what its runtime tells.`));
      return card;
    }
    const number = pick(front);
    if (number === null) {
      const fastest = Math.min(...front.points.map(upper));
      card.append(element("p", {}, `No network of this front takes ${ms(budget)} ms or less; the fastest takes up to ${ms(fastest)} ms.`));
      return card;
    }
    const point = front.points[number];
    const show = element("button", { type: "button" }, `front:${number}`);
    show.addEventListener("click", () => choose(index, number, true));
    const guessed = (measured) => (measured === null ? " (predicted)" : "");
    card.append(element("div", { class: "figures" }, show, ` ${pct(y(point))} %${guessed(point.accuracy_measured)} in `
      + `${ms(x(point))} ms${batch(front)}${guessed(point.ms_measured)}`
      + (time === "full" ? "" : ` ${front.times.full ?? ""}; ${times[time]} at most ${ms(upper(point))} ms`)));
    const list = element("dl", { class: "small" });
    for (const [name, value] of facts(front, point)) list.append(element("dt", {}, name), element("dd", {}, value));
    card.append(list);
    for (const text of remarks(front, point)) card.append(element("p", { class: "small soft" }, text));
    if (front.commands.first) card.append(element("p", { class: "small" }, "To have it measured first: ", element("code", {}, front.commands.first)));
    card.append(...howToGet(front, front.commands.best ?? front.commands.one, number));
    return card;
  }

  function choose(index, number, show = false) {
    chosen = { front: index, number };
    const front = fronts[index], point = front.points[number];
    const box = document.getElementById("network");
    const title = element("h3", {}, `front:${number} on ${front.device}, ${point.size}, `
      + `${count(point.macs)} MACs, ${count(point.params)} parameters`);
    const list = element("dl", { class: "small" });
    for (const [name, value] of facts(front, point)) list.append(element("dt", {}, name), element("dd", {}, value));
    const timed = point.layers.some((layer) => layer.ms > 0) ? " Grey bars below: each layer's part of the time, by the table." : "";
    const legend = element("p", { class: "small soft" });
    for (const [kernel, fill] of Object.entries(data.kernels)) {
      legend.append(element("span", { class: "swatch", style: `background:${fill}` }), `${kernel}x${kernel}  `);
    }
    legend.append(`Height: channels inside (root); x: how many times the input's; below: channels out, pixels or tokens in; dotted: left out.${timed}`);
    box.replaceChildren(title, element("div", { class: "drawing" }, drawing(point, data.kernels)), legend, list,
      ...howToGet(front, front.commands.one, number));
    if (show) box.scrollIntoView({ block: "nearest" });
    document.querySelectorAll("tr[data-point]").forEach((row) =>
      row.classList.toggle("chosen", one && Number(row.dataset.point) === number));
    if (plot.data) showMarks();
  }

  // What is no network of the front cannot be taken out of it: the one that is as fast can.
  function beside(index, name, at, up) {
    const front = fronts[index];
    const fitting = front.points.map((point, number) => [number, point]).filter(([, point]) => x(point) <= at);
    const [number, point] = fitting.reduce((best, each) => (y(each[1]) > y(best[1]) ? each : best), fitting[0] ?? [0, front.points[0]]);
    choose(index, number);
    document.getElementById("network").prepend(element("p", {}, `${name} takes ${ms(at)} ms and reaches ${pct(up)} %. `
      + `Beside it on the front of ${front.device}: front:${number}, ${ms(x(point))} ms and ${pct(y(point))} %.`));
  }

  function unchoose() {
    chosen = null;
    document.getElementById("network").replaceChildren("No network keeps to this budget.");
    document.querySelectorAll("tr.chosen").forEach((row) => row.classList.remove("chosen"));
    if (plot.data) showMarks();
  }

  // The slider runs over latencies, each step as many percent more.
  const slider = document.getElementById("budget"), exact = document.getElementById("budget-ms");
  let least, most;
  function reach() {
    const all = fronts.flatMap((front) => front.points.map(upper)).filter(Number.isFinite);
    [least, most] = [Math.min(...all), Math.max(...all)];
  }
  reach();
  const clock = document.getElementById("budget-time");
  for (const [at, words] of Object.entries(times)) clock.append(element("option", { value: at }, words));
  clock.value = time;
  clock.addEventListener("change", () => {
    time = clock.value;
    reach();
    ask(budget);
  });
  const ofSlider = (value) => least * Math.pow(most / least, value / 1000);

  function set(value, from) {
    budget = value;
    if (from !== exact) exact.value = budget;
    slider.setAttribute("aria-valuetext", `${ms(budget)} ms`);
    if (from !== slider) slider.value = Math.round((1000 * Math.log(budget / least)) / (Math.log(most / least) || 1));
  }

  let waiting = false;
  function ask(value, from) {
    exact.classList.toggle("wrong", !(value > 0));
    if (!(value > 0)) {
      document.getElementById("answers").replaceChildren("A budget is a number of milliseconds above 0.");
      return;
    }
    set(value, from);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
    });
  }

  function update() {
    const on = fronts.filter(isOn);
    const cards = on.length ? on.map((front) => answer(front, fronts.indexOf(front))) : ["All devices are switched off."];
    document.getElementById("answers").replaceChildren(...cards);
    const found = one ? pick(fronts[0]) : null;
    if (found !== null) choose(0, found);
    else if (one) unchoose();
    else if (plot.data) showMarks();
  }
  // Three digits, rounded up: the slowest network still fits where the slider ends.
  function readable(value) {
    const unit = 10 ** (Math.floor(Math.log10(value)) - 2);
    return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(3));
  }
  slider.addEventListener("input", () => ask(readable(ofSlider(Number(slider.value))), slider));
  exact.addEventListener("input", () => ask(Number(exact.value), exact));

  function toggle(kind, value, text, fill) {
    const button = element("button", { type: "button", "aria-pressed": "true", "data-toggle": kind }, text);
    if (fill) button.prepend(element("span", { class: "swatch", style: `background:${fill}` }));
    button.addEventListener("click", () => {
      if (!off[kind].delete(value)) off[kind].add(value);
      button.setAttribute("aria-pressed", String(!off[kind].has(value)));
      showToggles();
      showVisible();
      update();
    });
    return button;
  }
  // A device whose runtime is off cannot be on.
  function showToggles() {
    fronts.forEach((front) => {
      const button = document.querySelector(`[data-front="${fronts.indexOf(front)}"]`);
      button.disabled = off.runtime.has(front.runtime);
      button.setAttribute("aria-pressed", String(isOn(front)));
    });
  }
  if (!one) {
    const row = document.getElementById("toggles");
    const devices = fronts.map((front) => toggle("device", front.device, front.device, front.colour));
    devices.forEach((button, index) => button.setAttribute("data-front", index));
    row.append("devices: ", ...devices);
    const runtimes = [...new Set(fronts.map((front) => front.runtime))];
    if (runtimes.length > 1) row.append(" runtimes: ", ...runtimes.map((name) => toggle("runtime", name, name)));
    const cloud = element("button", { type: "button", "aria-pressed": "false", "data-toggle": "cloud" }, "random sub-networks");
    cloud.addEventListener("click", () => {
      off.cloud = !off.cloud;
      cloud.setAttribute("aria-pressed", String(!off.cloud));
      showVisible();
    });
    row.append(" ", cloud);
  }

  document.querySelectorAll("tr[data-point]").forEach((row) => {
    row.addEventListener("click", () => choose(0, Number(row.dataset.point), true));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); row.click(); } });
  });
  document.documentElement.addEventListener("themechange", () => {
    Plotly.react(plot, traces(), layout());
    if (chosen) choose(chosen.front, chosen.number);
  });

  // At first a budget for which every front has more than its fastest network: what its middle one takes.
  const middles = fronts.map((front) => front.points.map(upper).sort((a, b) => a - b)[Math.floor(front.points.length / 2)]);
  set(readable(Math.max(...middles.filter(Number.isFinite))), null);
  update();
  Plotly.newPlot(plot, traces(), layout(), { responsive: true, displaylogo: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] }).then(() => {
    plot.on("plotly_click", (event) => {
      const { customdata: which, data: trace, x: at, y: up, text } = event.points[0];
      if (which) choose(which[0], which[1]);
      else beside(trace.front, trace.kind === "cloud" ? "A random sub-network" : text.match(/<b>(.*?)<\/b>/)[1], at, up);
    });
    plot.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((name) => name.startsWith("xaxis.range") || name.startsWith("xaxis.autorange"))) return;
      const { tickvals, ticktext } = ticks(...plot._fullLayout.xaxis.range.map((end) => 10 ** end));
      Plotly.relayout(plot, { "xaxis.tickvals": tickvals, "xaxis.ticktext": ticktext });
    });
    requestAnimationFrame(() => requestAnimationFrame(() => { document.documentElement.dataset.ready = "yes"; }));
  });
}
