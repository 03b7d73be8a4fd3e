// The network that a budget picks, or a click, and how to get it.
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
  const told = ["It writes .pt2 and .onnx files, and .tflite (float and int8) where they can be made, each loaded again and compared, with a card."];
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
    found.push(`${front.older ? "Intervals are of the older kind, within one session of measuring" : "Intervals say where measuring again finds it, 95 times of 100"}; accuracy on ${front.test_images} test ${front.examples}. Being picked among `
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
  card.append(element("div", { class: "figures" }, show, ` ${pct(y(point))} ${front.mark}${guessed(point.accuracy_measured)} in `
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
  document.getElementById("network").prepend(element("p", {}, `${name} takes ${ms(at)} ms and reaches ${pct(up)} ${front.mark}. `
    + `Beside it on the front of ${front.device}: front:${number}, ${ms(x(point))} ms and ${pct(y(point))} ${front.mark}.`));
}

function unchoose() {
  chosen = null;
  document.getElementById("network").replaceChildren("No network keeps to this budget.");
  document.querySelectorAll("tr.chosen").forEach((row) => row.classList.remove("chosen"));
  if (plot.data) showMarks();
}
