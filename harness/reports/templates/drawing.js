"use strict";
// A network drawn layer by layer, and what is needed to make a page of parts.
const ms = (value) => Number(value.toPrecision(4)).toString();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(point, kernels) {
  const step = 34, top = 22, height = 120, bottom = 46;
  const widest = Math.sqrt(Math.max(...point.layers.map((layer) => layer.width ?? 0)));
  const slowest = Math.max(...point.layers.map((layer) => layer.ms ?? 0));
  const svg = shape("svg", { width: step * point.layers.length + 10, height: top + height + bottom, role: "img",
    "aria-label": `layers: ${point.stages.join(" | ")}` });
  point.layers.forEach((layer, place) => {
    const left = 5 + step * place, middle = left + step / 2 - 2;
    if (place && layer.stage !== point.layers[place - 1].stage) {
      svg.append(shape("line", { x1: left - 2, x2: left - 2, y1: top, y2: top + height + bottom - 8, stroke: colour("--line") }));
    }
    if (!layer.kind) {
      svg.append(shape("rect", { x: left, y: top + height - 12, width: step - 4, height: 12, fill: "none",
        stroke: colour("--soft"), "stroke-dasharray": "2 3" }));
      return;
    }
    const tall = Math.max(4, (height * Math.sqrt(layer.width)) / widest);
    const fill = layer.stage === null ? colour("--cloud") : kernels[layer.kernel] ?? colour("--cloud");
    const box = shape("rect", { x: left, y: top + height - tall, width: step - 4, height: tall, rx: 3, fill });
    const expands = layer.expand === null ? "" : `, x${Number(layer.expand.toPrecision(2))}`;
    const part = layer.ms === null ? "" : `; about ${ms(layer.ms)} ms of the network`;
    const attends = layer.kind === "encoder" || layer.kind === "decoder";
    const tokens = attends || layer.kind === "vocabulary" || layer.kind === "classifier";
    const chosen = attends ? `${layer.kernel} heads` : tokens ? "" : `${layer.kernel}x${layer.kernel}`;
    const size = tokens ? `${layer.size} tokens in` : `${layer.size} pixels in, stride ${layer.stride}`;
    box.append(shape("title", {}, `${layer.kind} ${chosen}${expands}, ${layer.width} channels inside, `
      + `${layer.out} out, ${size}${part}`));
    svg.append(box);
    const over = layer.expand === null ? "" : `${attends ? "h" : "k"}${layer.kernel} x${Number(layer.expand.toPrecision(2))}`;
    svg.append(shape("text", { x: middle, y: top + height - tall - 4, "text-anchor": "middle", style: "font-size:9px" }, over));
    svg.append(shape("text", { x: middle, y: top + height + 12, "text-anchor": "middle", style: "font-size:9px" }, String(layer.out)));
    svg.append(shape("text", { x: middle, y: top + height + 23, "text-anchor": "middle", style: "font-size:9px" }, `${layer.size}${tokens ? "" : "px"}`));
    if (layer.ms !== null && slowest) {
      svg.append(shape("rect", { x: left, y: top + height + 29, width: ((step - 4) * layer.ms) / slowest, height: 5, fill: colour("--soft") }));
    }
  });
  return svg;
}
