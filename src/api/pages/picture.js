// SPDX-License-Identifier: Apache-2.0
// Two pictures, each with the same numbers as a table: an area for what adds up, bars for a rate.
import { translate } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600, HEIGHT = 160;

function node(name, attributes = {}, ...children) {
  const element = name === "svg" || name === "path" || name === "line"
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Built once for each figure, so that a table that was opened stays open.
function frame(figure) {
  if (figure.firstChild) return figure.parts;
  const shape = node("path", { class: "shape" });
  const edge = node("path", { class: "edge" });
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    node("line", { class: "grid", x1: 0, x2: WIDTH, y1: 0.5, y2: 0.5 }),
    node("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
    node("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    shape, edge);
  const top = node("span", { class: "axis-top", "aria-hidden": "true" });
  const axis = node("div", { class: "axis", "aria-hidden": "true" });
  const summary = node("summary");
  const head = node("tr");
  const body = node("tbody");
  const details = node("details", {}, summary,
    node("div", { class: "rows", tabindex: 0 }, node("table", {}, node("thead", {}, head), body)));
  figure.append(node("div", { class: "plot" }, svg, top), axis, details);
  figure.parts = { svg, shape, edge, top, axis, summary, head, body, details };
  return figure.parts;
}

function fill(parts, { label, top, axis, columns, rows }) {
  parts.svg.setAttribute("aria-label", label);
  parts.top.textContent = top;
  parts.axis.replaceChildren(...axis.map((text) => node("span", {}, text)));
  parts.summary.textContent = translate("asTable");
  parts.details.querySelector(".rows").setAttribute("aria-label", label);
  parts.head.replaceChildren(...columns.map((text) => node("th", { scope: "col" }, text)));
  if (parts.details.open || parts.body.childElementCount === 0)
    parts.body.replaceChildren(...(rows.length === 0 ? [[translate("nothing"), ""]] : rows)
      .map(([name, value]) => node("tr", {}, node("th", { scope: "row" }, name), node("td", {}, value))));
}

/** Values that only grow, from nothing to `most`. */
export function area(figure, values, most, told) {
  const parts = frame(figure);
  const x = (i) => ((i * WIDTH) / Math.max(values.length, 1)).toFixed(1);
  const y = (value) => (HEIGHT - 1 - (value / Math.max(most, 1)) * (HEIGHT - 4)).toFixed(1);
  let line = `M0 ${y(0)}`;
  values.forEach((value, i) => { line += `L${x(i + 1)} ${y(value)}`; });
  parts.edge.setAttribute("d", values.length ? line : "");
  parts.shape.setAttribute("d", values.length ? `${line}V${HEIGHT}H0Z` : "");
  fill(parts, told);
}

/** A bar for each value. */
export function bars(figure, values, most, told) {
  const parts = frame(figure);
  const width = WIDTH / Math.max(values.length, 1);
  let path = "";
  values.forEach((value, i) => {
    if (value === 0) return;
    const height = Math.max((value / most) * (HEIGHT - 4), 1.5);
    path += `M${(i * width).toFixed(1)} ${HEIGHT}v${(-height).toFixed(1)}h${(width * 0.8).toFixed(2)}v${height.toFixed(1)}Z`;
  });
  parts.shape.setAttribute("d", path);
  parts.shape.setAttribute("class", "bars");
  fill(parts, told);
}
