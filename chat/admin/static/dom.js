// Elements without markup: whatever a client calls itself ends up in textContent or an attribute, never in HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("data-") || name.startsWith("aria-") || !(name in element)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

// A line of up to `size` numbers, drawn as one path; null leaves a gap.
export class Spark {
  constructor(size = 60) {
    this.size = size;
    this.path = document.createElementNS(SVG, "path");
    this.area = document.createElementNS(SVG, "path");
    this.area.setAttribute("class", "area");
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("viewBox", "0 0 100 24");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("aria-hidden", "true");
    this.element.append(this.area, this.path);
  }

  draw(values) {
    const shown = values.slice(-this.size);
    const known = shown.filter((value) => value != null);
    // From a little below the lowest: what moves by a percent shall be seen to move, and what stands still to stand.
    const highest = Math.max(...known, 1e-9);
    const span = Math.max((highest - Math.min(...known, highest)) * 1.6, highest * 0.25);
    const lowest = Math.max(0, highest - span);
    const step = 100 / Math.max(1, this.size - 1);
    const start = 100 - step * (shown.length - 1);
    let line = "";
    let area = "";
    let open = null;
    shown.forEach((value, index) => {
      const x = (start + index * step).toFixed(2);
      if (value == null) {
        if (open !== null) area += `V24H${open}Z`;
        open = null;
        return;
      }
      const y = (21 - ((value - lowest) / Math.max(highest - lowest, 1e-9)) * 17).toFixed(2);
      line += `${open === null ? "M" : "L"}${x} ${y}`;
      area += open === null ? `M${x} 24L${x} ${y}` : `L${x} ${y}`;
      open ??= x;
    });
    if (open !== null) area += `V24H${open}Z`;
    this.path.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}

// Sets text only when it differs, so that a selection in a table survives the next second.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
