// The slider, the toggles, and the beginning.
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

// The page is in use before its figures are read; paper waits for them.
addEventListener("beforeprint", showMore);
function showMore() {
  const more = document.getElementById("more");
  if (!more) return;
  more.insertAdjacentHTML("afterend", more.textContent);
  more.remove();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

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
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = "yes";
    (window.requestIdleCallback ?? setTimeout)(showMore);
  }));
});
